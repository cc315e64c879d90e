# SPDX-License-Identifier: Apache-2.0
"""Programs that are run on given processors and within a time: to their end, or until they are ended by their pid."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time


class Failure(Exception):
    """A measurement that could not be made, or whose trace is not what it has to be; the text says why."""


class Missing(Failure):
    """A program that is not installed, or a kernel that lacks what it needs; the text says which."""


def session_of(processors):
    """Arguments of subprocess.Popen for a session of its own, pinned; Ctrl-C is not ignored, as it is by background
    jobs of a shell."""
    def prepare():
        os.sched_setaffinity(0, processors)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)

    return {'start_new_session': True, 'preexec_fn': prepare}


def run(argv, processors, limit_s, environment=None):
    """Runs a program to its end; returns its standard output. Raises Failure when it fails or takes too long.

    processors: numbers of those it may use. limit_s: seconds after which its session is killed.
    """
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment, **session_of(processors))
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Failure(f'took longer than {limit_s} s: {shlex.join(argv)}') from None
    if process.returncode != 0:
        raise Failure(f'exit {process.returncode}: {shlex.join(argv)}\n{(err or out).decode(errors="replace")[-800:]}')
    return out.decode()


def find(name, package, *places):
    """Path of an installed program; Missing, which names its package, where there is none. places: folders to try
    first."""
    path = shutil.which(name, path=':'.join([*places, '/usr/local/bin', '/usr/bin', '/usr/sbin', '/bin', '/sbin']))
    if not path:
        raise Missing(f'{name} is not installed: package {package} (scripts/bench installs what the benchmarks need)')
    return path


def free_port():
    """A TCP port of the loopback interface that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def listens(port):
    """Whether somebody listens on a TCP port, seen without connecting to it."""
    for table in ('/proc/net/tcp', '/proc/net/tcp6'):
        with open(table, encoding='ascii') as file:
            if re.search(rf'^ *\d+: [0-9A-F]+:{port:04X} [0-9A-F]+:0000 0A ', file.read(), re.M):
                return True
    return False


class Service:
    """A program that runs beside a measurement until it is ended, by its pid. Its output goes into a file."""

    def __init__(self, argv, processors, log, environment=None, folder=None):
        """log: path of that file; folder: the working directory."""
        self.argv, self.log = argv, log
        with open(log, 'wb') as output:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                             env=environment, cwd=folder, **session_of(processors))

    @property
    def pid(self):
        return self._process.pid

    def words(self):
        """The end of what it printed."""
        with open(self.log, errors='replace', encoding='utf-8') as log:
            return log.read()[-800:]

    def wait_until(self, ready, limit_s):
        """Waits until ready() is true; Failure when the program ends before, or after limit_s seconds."""
        deadline = time.monotonic() + limit_s
        while not ready():
            if self._process.poll() is not None:
                raise Failure(f'exit {self._process.returncode}: {shlex.join(self.argv)}\n{self.words()}')
            if time.monotonic() > deadline:
                raise Failure(f'not ready after {limit_s} s: {shlex.join(self.argv)}\n{self.words()}')
            time.sleep(0.01)

    def end(self, number, limit_s, statuses=(0,)):
        """Sends the signal `number` (0: none, it ends by itself) and waits for the end; returns the exit status, -N for
        signal N. Failure where that is none of `statuses`, or after limit_s seconds."""
        try:
            if number and self._process.poll() is None:
                self._process.send_signal(number)
            status = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f'did not end within {limit_s} s: {shlex.join(self.argv)}\n{self.words()}') from None
        if status not in statuses:
            raise Failure(f'exit {status}: {shlex.join(self.argv)}\n{self.words()}')
        return status

    def kill(self):
        """Kills its session where it still runs: after a failure."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
