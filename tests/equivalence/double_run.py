# SPDX-License-Identifier: Apache-2.0
"""Runs one scenario once, under both: each of its programs under its own strace, all of them recorded into one trace.

strace itself is not recorded, and neither is the recorder traced: strace gives its program the environment that records
into a running `socktale collect` (strace -E), and keeps its own clean of it.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import strace_log
import tale_log
from calls import read_hooks

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'e2e' / 'programs'))
import driver  # noqa: E402  (tests/e2e/programs: knows when a server is ready)

_POLL_S = 0.01


class Failed(Exception):
    """The scenario did not run as it should; what it would have shown is not known."""


class DoubleRun:
    """socktale: the program's path. frames: path of quick_frames' library, or None. folder: an empty one of its own."""

    def __init__(self, socktale, frames, folder, seconds):
        self._socktale, self._frames, self._folder = socktale, frames, pathlib.Path(folder)
        self._deadline = time.monotonic() + seconds
        self._seconds = seconds
        self._running = []
        self._count = 0
        self.environment = {'PATH': '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', 'LC_ALL': 'C.UTF-8',
                            'HOME': str(self._folder),
                            'USER': 'root' if os.geteuid() == 0 else os.environ.get('USER', ''),
                            'GIT_CONFIG_NOSYSTEM': '1', 'GIT_CONFIG_GLOBAL': '/dev/null'}
        for name in ('XDG_STATE_HOME', 'XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME'):
            place = self._folder / name.lower()
            place.mkdir(mode=0o700)
            self.environment[name] = str(place)
        (self._folder / 'strace').mkdir()
        self._folder.chmod(0o711)  # servers that change their user reach their files

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._running:
            if process.poll() is None:
                _end_tree(process.pid)
                process.kill()
                process.wait()

    # ---- the recorder ----------------------------------------------------------------------------------------------

    def start_recorder(self, options):
        """options: of `socktale collect`, what is kept."""
        self._recorder = self._start([self._socktale, 'collect', '-q', '--name', 'equivalence', *options,
                                      '-o', str(self._folder / 'trace.tale')], 'recorder')
        session = pathlib.Path(self.environment['XDG_RUNTIME_DIR']) / 'socktale' / 'equivalence.session'
        self._recorded = None

        def is_ready():
            if not session.exists():
                return False
            told = subprocess.run([self._socktale, 'env', '--json', '--into', 'equivalence'], env=self.environment,
                                  capture_output=True, check=False, timeout=self._left())
            if told.returncode == 0:
                self._recorded = json.loads(told.stdout)['env']
            return self._recorded is not None

        self._wait_for(is_ready, 'the recorder')

    def stop_recorder(self):
        """Returns what was recorded, as tale_log.read does."""
        self._recorder.terminate()
        self._end_of(self._recorder, [0], 'the recorder')
        show = subprocess.Popen([self._socktale, 'show', '-q', '--json', '-t', str(self._folder / 'trace.tale')],
                                env=self.environment, stdout=subprocess.PIPE)
        with show:
            calls, in_calls, trace = tale_log.read(show.stdout)
        if show.returncode != 0 or trace is None:
            raise Failed(f'socktale show: exit status {show.returncode}')
        return calls, in_calls, trace

    # ---- programs --------------------------------------------------------------------------------------------------

    def run(self, argv, traced=True, status=(0,), stdin=None, stdout=None):
        """Runs a program to its end."""
        name = self._name(argv)
        process = self._start(self._traced(argv, name) if traced else argv, name, stdin, stdout)
        self._end_of(process, status, name)

    def serve(self, argv, ready, traced=True):
        """Starts a server and returns when it is ready: something for stop()."""
        name = self._name(argv)
        process = self._start(self._traced(argv, name) if traced else argv, name)
        log = self._folder / f'{name}.log'

        def is_ready():
            if process.poll() is not None:
                raise Failed(f'{name} ended with {process.returncode} before it was ready\n{_tail(log)}')
            return driver.is_ready(ready, log)

        self._wait_for(is_ready, name)
        return process, traced, name

    def stop(self, served, how='SIGTERM', pid_file=None, status=(0, 143, -15)):
        """Ends a server by a signal (none for "self") and waits for it and, as strace does, for all it started."""
        process, traced, name = served
        if how != 'self':
            if pid_file:
                pid = int(pathlib.Path(pid_file).read_text().split()[0])
            else:
                pid = _children(process.pid)[0] if traced else process.pid
            os.kill(pid, getattr(signal, how))
        self._end_of(process, status, name)

    def read_strace(self):
        """What strace saw: tid → calls."""
        threads = {}
        libc = strace_log.LibcNames.of_file('/lib/x86_64-linux-gnu/libc.so.6')
        hooks = read_hooks((HERE.parents[1] / 'preload' / 'abi' / 'hooks.def').read_text(encoding='utf-8'))
        prefixes = {path.name.rsplit('.', 1)[0] for path in (self._folder / 'strace').iterdir()}
        for prefix in sorted(prefixes):
            threads.update(strace_log.read_folder(self._folder / 'strace', prefix, libc, hooks))
        return threads

    def _traced(self, argv, name):
        return strace_log.command(self._folder / 'strace' / name, argv, self._recorded)

    def _name(self, argv):
        self._count += 1
        return f'{self._count}-{os.path.basename(argv[0])}'

    def _start(self, argv, name, stdin=None, stdout=None):
        environment = dict(self.environment)
        if argv[0] == 'strace' and self._frames:
            environment['LD_PRELOAD'] = str(self._frames)
        with open(self._folder / f'{name}.log', 'wb') as log, open(stdin or os.devnull, 'rb') as source, \
                open(stdout or self._folder / f'{name}.log', 'ab') as output:
            process = subprocess.Popen(argv, env=environment, cwd=self._folder, stdin=source, stdout=output, stderr=log,
                                       start_new_session=True)
        self._running.append(process)
        return process

    def _end_of(self, process, status, name):
        try:
            process.wait(self._left())
        except subprocess.TimeoutExpired as error:
            raise Failed(f'{name}: not at its end after {self._seconds} s') from error
        self._running.remove(process)
        if process.returncode not in status:
            raise Failed(f'{name} ended with {process.returncode}\n{_tail(self._folder / f"{name}.log")}')

    def _wait_for(self, condition, name):
        while not condition():
            if self._left() <= 0.1:
                raise Failed(f'{name}: not ready after {self._seconds} s\n{_tail(self._folder / f"{name}.log")}')
            time.sleep(_POLL_S)

    def _left(self):
        return max(0.1, self._deadline - time.monotonic())


def _children(pid):
    """Children of a process, oldest first."""
    found = []
    for task in pathlib.Path(f'/proc/{pid}/task').glob('*/children'):
        found += [int(child) for child in task.read_text().split()]
    return sorted(found)


def _end_tree(pid):
    """Kills all that a process started, and what these started."""
    for child in _children(pid):
        _end_tree(child)
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            pass


def _tail(log, size=2000):
    try:
        return log.read_bytes()[-size:].decode(errors='replace')
    except OSError:
        return ''


def missing_programs(needs):
    """needs: program → Debian's package. Returns the packages whose programs are not here."""
    path = ':'.join(['/usr/bin', '/usr/sbin', '/bin', '/sbin', '/usr/lib/postgresql/15/bin'])
    return sorted({package for program, package in needs.items()
                   if not (os.path.exists(program) if program.startswith('/') else shutil.which(program, path=path))})
