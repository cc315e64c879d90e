# SPDX-License-Identifier: Apache-2.0
"""What all acts share: servers that are started and waited for, and what is told at the end.

An act is started with the name of the file to tell into, in whose folder it works, as {"answers": …, "processes":
{pid: name}}. Answers are the same in every run: no port, pid, time or path is in them. It notes its processes whenever
it looks, so that only those it cannot have seen for certain are left out.
"""

import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

_PR_SET_CHILD_SUBREAPER = 36
PYTHON = '/usr/bin/python3'
PATH = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'


def program(name, *places):
    """Path of a system's program."""
    path = shutil.which(name, path=':'.join([*places, PATH]))
    if not path:
        sys.exit(f'{name} is not installed: scripts/packages.sh names its package')
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Stage:

    def __init__(self):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # servers whose parents end become ours
        self._told = pathlib.Path(sys.argv[1])
        self.dir = self._told.parent
        self.arguments = sys.argv[2:]
        self._answers, self._processes, self._named = [], {}, {}

    def path(self, name):
        return str(self.dir / name)

    def write(self, name, content):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def read(self, name):
        path = self.dir / name
        return path.read_text(errors='replace') if path.exists() else ''

    def answer(self, question, value):
        self._answers.append([question, value])
        self.look()

    def note(self, pid, name):
        """A process that is known for certain, whenever it lives; what it is called here is what it is."""
        self._named[pid] = name

    def look(self):
        """Notes every process below this one. Returns them: pid → name."""
        now, parents = {}, [os.getpid()]
        while parents:
            parent = pathlib.Path(f'/proc/{parents.pop()}/task')
            try:
                tasks = list(parent.glob('*/children'))
            except OSError:  # gone meanwhile
                continue
            for task in tasks:
                try:
                    for pid in map(int, task.read_text().split()):
                        name, _, state = pathlib.Path(f'/proc/{pid}/stat').read_text().partition('(')[2].rpartition(')')
                        if state.split()[0] not in 'ZX':
                            now[pid] = name
                        parents.append(pid)
                except OSError:  # this one
                    continue
        for pid, name in now.items():
            # A child that has not executed its program yet bears its parent's name: the last one seen counts.
            self._processes[pid] = name
        return now

    def start(self, argv, log, **options):
        """Starts a program whose output goes to a file of this folder."""
        with open(self.dir / log, 'ab') as output:
            return subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=output, **options)

    def until(self, condition, what, seconds=60):
        """Waits for condition() to be true, and returns what it gave."""
        end = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                for log in self.dir.glob('*.log'):
                    sys.stderr.write(f'--- {log.name}\n{log.read_text(errors="replace")[-2000:]}\n')
                sys.exit(f'waited {seconds} s in vain: {what}')
            time.sleep(0.01)

    def gone(self, pid):
        """Has this process ended? Reaps it when it is ours."""
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass
        return not os.path.exists(f'/proc/{pid}')

    def end(self, pid, number=signal.SIGTERM):
        """Sends a signal and waits for the end."""
        os.kill(pid, number)
        self.until(lambda: self.gone(pid), f'process {pid} to end')

    def finish(self):
        """Waits for every process to end, and tells."""
        self.until(self._alone, 'all processes to end')
        told = {'answers': self._answers, 'processes': {**self._processes, **self._named}}
        self._told.write_text(json.dumps(told, indent=1), encoding='utf-8')

    def _alone(self):
        try:
            return os.waitpid(-1, os.WNOHANG) == (0, 0) and not self.look()
        except ChildProcessError:
            return True
