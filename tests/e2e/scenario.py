# SPDX-License-Identifier: Apache-2.0
"""What all scenarios share: a place of their own, programs that are ended and reaped, and the comparison of what
socktale tells with what went over the wire.

SOCKTALE in the environment names the program under test. With E2E_SELF_CHECK=1 and without SOCKTALE, the scenarios run
untraced and only their ground truth is checked.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from tale import Tale, end_address, first_difference, joined, moved
from wire_capture import WireCapture

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = '/usr/bin/python3'
_PR_SET_CHILD_SUBREAPER = 36


def program(name, *places):
    """Path of a system's program; an error that names the way out when it is not installed."""
    path = shutil.which(name, path=':'.join([*places, '/usr/bin', '/usr/sbin', '/bin', '/sbin']))
    if not path:
        raise AssertionError(f'{name} is not installed: scripts/packages.sh names its package')
    return path


class Scenario(unittest.TestCase):
    """One recorded meeting of programs. seconds: all it may take."""

    seconds = 60

    def setUp(self):
        self.socktale = os.environ.get('SOCKTALE')
        if not self.socktale and os.environ.get('E2E_SELF_CHECK') != '1':
            self.fail('SOCKTALE does not name the program under test (E2E_SELF_CHECK=1: check the ground truth alone)')
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # daemons become ours when their parents are gone
        self._deadline = time.monotonic() + self.seconds
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='socktale-e2e-'))
        if os.environ.get('E2E_KEEP') == '1':
            print(f'kept: {self.dir}', file=sys.stderr)
        else:
            self.addCleanup(shutil.rmtree, self.dir)
        self.addCleanup(self._no_process_is_left)
        self.dir.chmod(0o711)  # servers that change their user reach their files
        self.env = {'PATH': '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', 'LC_ALL': 'C.UTF-8', 'HOME': str(self.dir),
                    'USER': 'root' if os.geteuid() == 0 else os.environ.get('USER', ''), 'GIT_CONFIG_NOSYSTEM': '1'}
        for name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS'):
            if name in os.environ:
                self.env[name] = os.environ[name]
        for name in ('XDG_STATE_HOME', 'XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME'):
            self.env[name] = str(self.dir / name.lower())
            pathlib.Path(self.env[name]).mkdir(mode=0o700)
        self.trace = str(self.dir / 'trace.tale')
        self.tale = Tale(self.socktale, self.trace, self.env, self.seconds_left) if self.socktale else None
        self.wire = None

    # ---- places, ports, files --------------------------------------------------------------------------------------

    def free_port(self, kind=socket.SOCK_STREAM):
        """A port nobody has now. Kept taken until the end of this call only, as every program under test binds its own."""
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.bind(('127.0.0.1', 0))
            return probe.getsockname()[1]

    def write(self, name, content):
        """Writes a file into the scenario's directory and returns its path, a string."""
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def path(self, name):
        return str(self.dir / name)

    def read(self, name):
        return (self.dir / name).read_bytes()

    # ---- processes -------------------------------------------------------------------------------------------------

    def seconds_left(self):
        left = self._deadline - time.monotonic()
        self.assertGreater(left, 0, f'the scenario took more than {self.seconds} s')
        return left

    def wait_until(self, what, happens):
        """Asks again and again until happens() is true, and returns what it is then. what: for the scenario's end."""
        while True:
            value = happens()
            if value:
                return value
            self.assertGreater(self.seconds_left(), 0, what)
            time.sleep(0.002)

    def run_program(self, argv, status=0, **options):
        """Runs a program to its end, within the scenario's time, and checks its exit status. Returns stdout, stderr."""
        process = subprocess.Popen([str(word) for word in argv], env=options.pop('env', self.env), cwd=self.dir,
                                   stdin=options.pop('stdin', subprocess.DEVNULL), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, start_new_session=True, **options)
        try:
            stdout, stderr = process.communicate(timeout=self.seconds_left())
        except subprocess.TimeoutExpired:
            who = _descendants()
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            self.fail(f'{argv}: not at its end after {self.seconds} s\nrunning: {who}\n{_words(stdout, stderr)}')
        if status is not None:
            self.assertEqual(process.returncode, status, f'{argv}\n{_words(stdout, stderr)}')
        return stdout, stderr

    def _no_process_is_left(self):
        """Waits a moment for children that are about to end; kills and names those that do not."""
        patience = time.monotonic() + 5
        left = []
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid:
                continue
            if time.monotonic() > patience:
                for pid, words in _descendants():
                    left.append(f'{pid} {words}')
                    os.kill(pid, signal.SIGKILL)
                patience = time.monotonic() + 1
            time.sleep(0.01)
        self.assertEqual(left, [], 'processes that outlived the scenario')

    # ---- recording -------------------------------------------------------------------------------------------------

    def capture(self, ports):
        """The wire capture of these ports, to be used in `with`; where there is none, says so loudly."""
        if not ports:
            return contextlib.nullcontext()
        if WireCapture.available():
            self.wire = WireCapture(ports)
            return self.wire
        print('\n*** No packet socket here (CAP_NET_RAW): what socktale tells is compared with known content only, '
              'NOT with the wire. ***', file=sys.stderr)
        return contextlib.nullcontext()

    def traced(self, argv, *options):
        """argv as it is recorded into self.trace; argv itself without a program under test."""
        return [self.socktale, 'run', '-o', self.trace, *options, '--', *argv] if self.socktale else list(argv)

    def record(self, plan, ports=()):
        """Runs a plan of programs/driver.py, recorded, beside a wire capture of the ports."""
        driver = [PYTHON, HERE / 'programs' / 'driver.py', self.write('plan.json', json.dumps(plan))]
        with self.capture(ports):
            self.run_program(self.traced(driver))

    # ---- what was told against what was exchanged --------------------------------------------------------------------

    def assert_told_right(self, port, connections, client_said=(), server_said=()):
        """Every TCP connection to `port` is told byte for byte, both sides, both ends joined, and nothing was dropped.

        connections: how many there must be at least. client_said, server_said: what must be found in the streams of one
        side; shows that the truth is the truth, and is all there is without a wire capture.
        """
        truth = None
        if self.wire:
            truth = {conn.client: (conn.from_client, conn.from_server)
                     for conn in self.wire.tcp_connections(port) if conn.established}
            self.assert_said('on the wire', truth, connections, client_said, server_said)
        if not self.tale:
            return
        told = {}
        for conn in self.tale.connections(port=port):
            if conn['end'] == 'refused':
                continue
            self.assertTrue(joined(conn), f'its two ends are not told of as one: {conn}')
            client = end_address(conn, 'client')
            self.assertNotIn(client, told, 'one connection told of twice')
            told[client] = self.tale.both_sides(conn)
            self.assertEqual(moved(conn), tuple(map(len, told[client])), conn)
        self.assert_said('told', told, connections, client_said, server_said)
        if truth is not None:
            self.assert_same_conversations(told, truth)
        self.assertEqual(self.tale.drops(), 0)

    def assert_same_conversations(self, told, truth):
        """told, truth: a client's address → (client's bytes, server's bytes)."""
        self.assertEqual({client: tuple(map(len, sides)) for client, sides in told.items()},
                         {client: tuple(map(len, sides)) for client, sides in truth.items()},
                         'bytes of client and server by the client: first as told, second as exchanged')
        for client in truth:
            for side, name in enumerate(('client', 'server')):
                self.assertIsNone(first_difference(told[client][side], truth[client][side]), f'{name} of {client}')

    def assert_said(self, where, conversations, connections, client_said, server_said):
        """conversations: as in assert_same_conversations; the rest as in assert_told_right."""
        self.assertGreaterEqual(len(conversations), connections, f'connections {where}')
        for side, said in ((0, client_said), (1, server_said)):
            for words in said:
                self.assertTrue(any(words in sides[side] for sides in conversations.values()),
                                f'{words[:80]!r} is not {where}, {("client", "server")[side]}')


def _words(stdout, stderr):
    return f'--- stdout\n{stdout[-3000:].decode(errors="replace")}--- stderr\n{stderr[-3000:].decode(errors="replace")}'


def _descendants():
    """(pid, command line) of all processes below this one."""
    found, parents = [], [os.getpid()]
    while parents:
        for task in pathlib.Path(f'/proc/{parents.pop()}/task').glob('*/children'):
            try:
                pids = [int(pid) for pid in task.read_text().split()]
                rows = [(pid, pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().replace(b'\0', b' ').decode()[:200])
                        for pid in pids]
            except OSError:  # gone meanwhile
                continue
            found += rows
            parents += pids
    return found
