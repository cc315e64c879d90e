# SPDX-License-Identifier: Apache-2.0
"""What the process that records takes for itself: processor time and memory."""

import os
import re
import subprocess
import tempfile
import time
from typing import NamedTuple

from harness.processes import Failure, session_of

LOOK_S = 0.02  # between two looks at its memory


class Used(NamedTuple):
    cpu_s: float  # user and system time, from its start to its end
    pss_kib: int  # the most that was seen
    rss_kib: int
    peak_kib: int  # the most that was ever resident, also of the program; known without looking
    output: str  # of the program it recorded


def run_watched(argv, processors, limit_s, environment, memory=False):
    """Runs `socktale run ...` to its end; returns what that process itself used, without the program it recorded.

    memory: also look at its memory while it runs, which takes some of a processor's time.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment,
                                   **session_of(processors))
        try:
            pss, rss = _wait_for_end(process, limit_s, memory)
            with open(f'/proc/{process.pid}/stat', encoding='utf-8') as file:  # of the dead, who is not yet reaped
                fields = file.read().rpartition(')')[2].split()
        finally:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = status = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if status != 0:
            raise Failure(f'exit {status}: {" ".join(argv)}\n{err.read().decode(errors="replace")[-800:]}')
        ticks = int(fields[11]) + int(fields[12])
        return Used(ticks / os.sysconf('SC_CLK_TCK'), pss, rss, usage.ru_maxrss, out.read().decode())


def _wait_for_end(process, limit_s, memory):
    """Waits until the process has ended and leaves it to be reaped. Returns the most PSS and RSS seen, in KiB."""
    pss = rss = 0
    deadline = time.monotonic() + limit_s
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            os.killpg(process.pid, 9)
            raise Failure(f'took longer than {limit_s} s')
        if memory:
            now_pss, now_rss = _memory_kib(process.pid)
            pss, rss = max(pss, now_pss), max(rss, now_rss)
        time.sleep(LOOK_S)
    return pss, rss


def _memory_kib(pid):
    try:
        with open(f'/proc/{pid}/smaps_rollup', encoding='utf-8') as file:
            text = file.read()
    except ProcessLookupError:  # it is about to end
        return 0, 0
    found = dict(re.findall(r'^(Pss|Rss):\s+(\d+) kB', text, re.M))
    return int(found.get('Pss', 0)), int(found.get('Rss', 0))
