# SPDX-License-Identifier: Apache-2.0
"""One run of a suite, plain or traced, in a folder, an environment and (where that can be had) a network of its own."""

import contextlib
import ctypes
import dataclasses
import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

_PR_SET_CHILD_SUBREAPER = 36
# A network with a loopback device alone: suites cannot meet one another's ports, and reach no other machine.
_OWN_NETWORK = ['unshare', '--net', '/bin/sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
_RECORDER_SECONDS = 120  # what a recorder may take to end when all that it records have ended


@dataclasses.dataclass
class Run:
    """outcomes: as in outcomes.py. wall_s: from start to the program's end. trouble: why this run counts for nothing,
    in words; empty when it does count. missing: of a traced run, what `socktale info` says is missing: kind → count."""
    outcomes: dict
    wall_s: float
    trouble: str = ''
    missing: dict = dataclasses.field(default_factory=dict)


@functools.lru_cache
def own_network():
    """What stands before a command to give it a network of its own; empty where that is not allowed."""
    done = subprocess.run([*_OWN_NETWORK, 'true'], stdin=subprocess.DEVNULL, capture_output=True)
    return _OWN_NETWORK if done.returncode == 0 else []


def one_run(suite, socktale, options, keep):
    """Runs a suite once. socktale: the program under test, to be traced by; None: plain. options: of `socktale run`.
    keep: a directory where output, outcomes and trace are put; or None. Ends every process that the suite leaves
    behind, so it must not be called in a process that has other children."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    folder = pathlib.Path(tempfile.mkdtemp(prefix='conf-'))
    try:
        folder.chmod(0o755)  # tests that change their user must reach their files
        return _run_in(folder, suite, socktale, options, keep)
    except BaseException:  # Ctrl-C, too, leaves nothing running
        _end_what_is_left(0)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_in(folder, suite, socktale, options, keep):
    own, tmp, trace = folder / 'own', folder / 'tmp', folder / 'own' / 'trace.tale'
    for each in (own, tmp, folder / 'suite'):
        each.mkdir()
    argv, work = suite.prepare(folder / 'suite')
    env = {'PATH': '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', 'LC_ALL': 'C.UTF-8', 'HOME': str(folder),
           'TMPDIR': str(tmp), 'USER': 'root' if os.geteuid() == 0 else os.environ.get('USER', '')}
    for name in ('XDG_STATE_HOME', 'XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME'):
        env[name] = str(own / name.lower())
        pathlib.Path(env[name]).mkdir(mode=0o700)
    if socktale:
        argv = [str(socktale), 'run', '-q', '-o', str(trace), *options, '--', *argv]
    begin = time.monotonic()
    with open(own / 'output', 'wb') as output:
        process = subprocess.Popen([*own_network(), *argv], env=env, cwd=work, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        trouble = ''
        try:
            process.wait(suite.seconds)
        except subprocess.TimeoutExpired:
            trouble = f'not at its end after {suite.seconds} s'
    wall_s = time.monotonic() - begin
    _end_what_is_left(_RECORDER_SECONDS)
    text = (own / 'output').read_text(encoding='utf-8', errors='replace')
    run = Run(suite.outcomes(folder / 'suite', text), wall_s, trouble)
    if not run.outcomes and not run.trouble:
        run.trouble = f'told of no test, exit status {process.returncode}: {text[-300:]!r}'
    if socktale:
        _read_trace(run, socktale, trace, env)
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / 'outcomes.json').write_text(json.dumps(run.outcomes, indent=1, sort_keys=True), encoding='utf-8')
        for file in (own / 'output', trace):
            if file.exists():
                shutil.copy(file, keep)
    return run


def _read_trace(run, socktale, trace, env):
    """Puts into `run` what the trace is missing, or that there is none."""
    info = subprocess.run([socktale, 'info', str(trace), '--json'], env=env, stdin=subprocess.DEVNULL,
                          capture_output=True)
    if info.returncode != 0:
        run.trouble = run.trouble or f'no trace that can be read: {info.stderr.decode(errors="replace").strip()}'
        return
    about = json.loads(info.stdout.splitlines()[0])
    for row in about['missing']:
        run.missing[row['kind']] = run.missing.get(row['kind'], 0) + row['count']
    if not about['sealed']:
        run.trouble = run.trouble or 'the trace is not sealed: its recorder did not end by itself'


def _end_what_is_left(recorder_seconds):
    """Reaps what is left of a run: a recorder that still writes is waited for that long, everything else is killed."""
    patience = time.monotonic() + recorder_seconds
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid:
            continue
        for each in _descendants():
            recorder = False
            with contextlib.suppress(OSError):  # of a process that may not be looked into
                recorder = os.readlink(f'/proc/{each}/exe').rpartition('/')[2] == 'socktale'
            if not recorder or time.monotonic() > patience:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
        time.sleep(0.02)


def _descendants():
    found, parents = [], [os.getpid()]
    while parents:
        for task in pathlib.Path(f'/proc/{parents.pop()}/task').glob('*/children'):
            with contextlib.suppress(OSError):
                pids = [int(pid) for pid in task.read_text().split()]
                found += pids
                parents += pids
    return found
