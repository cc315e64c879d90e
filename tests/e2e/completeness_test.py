# SPDX-License-Identifier: Apache-2.0
"""The completeness statement: empty where everything was recorded, and each of its rows where just that is missing."""

import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import time
import unittest

from scenario import PYTHON, Scenario, program

# Connects to a UNIX listener that has no room from three threads at the same time, then accepts them: who is who is
# known to the kernel alone.
_CROWD = '''
import socket, sys, threading, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(0)
clients = [socket.socket(socket.AF_UNIX) for _ in range(4)]
clients[0].connect(sys.argv[1])
threads = [threading.Thread(target=client.connect, args=(sys.argv[1],)) for client in clients[1:]]
for thread in threads: thread.start()
waiting = lambda: sum(open(f'/proc/self/task/{thread.native_id}/syscall').read().startswith(sys.argv[2] + ' ')
                      for thread in threads)
patience = time.monotonic() + 60
while waiting() < 2:
    if time.monotonic() > patience: sys.exit('two clients never waited at the same time')
ends = [listener.accept()[0] for _ in clients]
for thread in threads: thread.join()
for end in clients + ends: end.close()
'''

_MANY_PEERS = '''
import socket
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(70_000): sender.sendto(b'x', (f'127.{number >> 16}.{number >> 8 & 255}.{number & 255}', 9))
'''


# Sends pieces of a MiB over a socketpair, and says in 8 bytes of a file how many.
_LARGE_SENDS = '''
import os, socket, struct, sys, threading
counter = os.open(sys.argv[1], os.O_WRONLY)
a, b = socket.socketpair()
piece = bytes(1 << 20)
def receive():
    while b.recv(1 << 20): pass
receiver = threading.Thread(target=receive)
receiver.start()
for number in range(1, int(sys.argv[2]) + 1):
    if a.send(piece) != len(piece): sys.exit('a short send')
    os.pwrite(counter, struct.pack('<Q', number), 0)
a.close()
receiver.join()
'''


class CompletenessTest(Scenario):

    seconds = 80

    def setUp(self):
        super().setUp()
        if not self.socktale:
            self.skipTest('there is nothing to say about an untraced run')

    def record(self, *words, options=(), status=0):
        self.run_program([self.socktale, 'run', '-q', *options, '-o', self.trace, '--', *words], status=status)

    def missing(self):
        """Rows of the statement: kind → count."""
        rows = self.tale.missing()
        kinds = [row['kind'] for row in rows]
        self.assertEqual(len(kinds), len(set(kinds)), rows)
        return {row['kind']: row['count'] for row in rows}

    def assert_strict(self, *words, options=()):
        """--strict makes of what is missing an exit status."""
        self.record(*words, options=['--strict', *options], status=125)

    def test_nothing_is_missing(self):
        self.record(PYTHON, '-c', 'import socket; a, b = socket.socketpair(); a.send(b"all"); b.recv(9); a.close()',
                    options=['--strict'])
        self.assertEqual(self.missing(), {})
        self.assertIn(b'Nothing: every call that was seen is there', self.tale.command('info', self.trace))

    def record_overtaken(self, counter, count, *words):
        """Records a program that counts to `count` in the file `counter`, most of it while the collector stands still."""
        process = subprocess.Popen(
            [self.socktale, 'run', '-q', '--on-full', 'drop', '--payload', 'full', '--arena', '16M', '-o', self.trace, '--',
             *words], env=self.env, cwd=self.dir)
        try:
            sent = lambda: struct.unpack('<Q', pathlib.Path(counter).read_bytes())[0]
            self.wait_until('the program sends', lambda: sent() > count // 100)
            process.send_signal(signal.SIGSTOP)
            self.wait_until('it has sent all', lambda: sent() == count)
            process.send_signal(signal.SIGCONT)
            self.assertEqual(process.wait(self.seconds_left()), 0)
        finally:
            process.kill()
            process.wait()

    def calls(self):
        """How often each call is in the trace."""
        return {row['call']: row['count'] for row in self.tale.json('info', self.trace)[0] if row['type'] == 'calls'}

    def test_dropped_full(self):
        """The collector stands still while the program sends more than the shared memory holds."""
        counter = self.write('counter', bytes(8))
        count = 400_000
        self.record_overtaken(counter, count, os.environ['NUMBERED_SENDS'], counter, str(count), '0')
        missing, calls = self.missing(), self.calls()
        self.assertGreater(missing['dropped_full'], 0)
        self.assertEqual(calls['send'] + calls['recv'] + missing['dropped_full'], 2 * count)

    def test_payload_broken_off(self):
        """The same amid the pieces of one large payload."""
        counter = self.write('counter', bytes(8))
        self.record_overtaken(counter, 300, PYTHON, '-c', _LARGE_SENDS, counter, '300')
        self.assertEqual(set(self.missing()), {'dropped_full', 'payload_broken_off'})

    def test_dropped_nested(self):
        self.record(os.environ['NESTED_SIGNALS'])
        self.assertEqual(self.missing(), {'dropped_nested': 1})
        self.assertEqual(self.calls()['send'], 4)

    def test_dropped_no_slot(self):
        """More than 4096 processes at one time."""
        try:
            self.record(os.environ['MANY_CHILDREN'], '4150')
        except AssertionError:
            self.run_program([os.environ['MANY_CHILDREN'], '4150'], status=77)
            self.skipTest('so many processes may not be')
        missing, calls = self.missing(), self.calls()
        self.assertEqual(calls['fork'], 4150)
        self.assertEqual(calls['dup'], 4095)
        self.assertEqual(missing, {'dropped_no_slot': 3 * (4150 - 4095)})  # dup, close and _exit

    def test_dropped_confined(self):
        self.record(os.environ['CONFINED_THREADS'], '800')
        missing, calls = self.missing(), self.calls()
        self.assertGreater(missing['dropped_confined'], 0)
        self.assertEqual(set(missing), {'dropped_confined'})
        self.assertEqual(calls['send'] + calls['recv'] + missing['dropped_confined'], 2 * 800)

    def test_dropped_shared(self):
        self.record(os.environ['CHILDREN_WORKLOAD'])
        self.assertGreater(self.missing()['dropped_shared'], 0)

    def test_static(self):
        self.record('sh', '-c', os.environ['STATIC_PROGRAM'])
        self.assertEqual(self.missing(), {'static': 1})
        self.assert_strict('sh', '-c', os.environ['STATIC_PROGRAM'])

    def test_go(self):
        """As the linker of Go marks its programs."""
        marked = self.path('marked')
        note = self.write('note', struct.pack('<III4s4s', 4, 4, 4, b'Go\0\0', b'4242'))
        self.run_program([program('objcopy'), '--add-section', f'.note.go.buildid={note}', '--set-section-flags',
                          '.note.go.buildid=alloc,readonly', os.environ['STATIC_PROGRAM'], marked])
        self.record('sh', '-c', marked)
        self.assertEqual(self.missing(), {'go': 1})

    def test_io_uring(self):
        try:
            self.record(os.environ['IO_URING_USER'])
        except AssertionError:
            self.run_program([os.environ['IO_URING_USER']], status=77)
            self.skipTest('no io_uring here')
        self.assertEqual(self.missing(), {'io_uring': 1})

    def test_implicit_close(self):
        self.record(os.environ['UNSEEN_CLOSE'])
        self.assertEqual(self.missing(), {'implicit_close': 1})

    def test_payload_cut(self):
        counter = self.write('counter', bytes(8))
        self.record(os.environ['NUMBERED_SENDS'], counter, '3', '0', options=['--payload', '20'])
        self.assertEqual(self.missing(), {'payload_cut': 2 * (3 * 8 - 20)})

    def numbers(self):
        """What NUMBERED_SENDS sent, as far as the trace holds it, and the connection."""
        conn, = self.tale.connections()
        data = self.tale.side(conn, 'client')
        return [number for number, in struct.iter_unpack('<Q', data)], conn

    def test_ring(self):
        """The last of many sends is kept, with its place in the stream."""
        count = 400_000
        self.record(os.environ['NUMBERED_SENDS'], self.write('counter', bytes(8)), str(count), '0', options=['--ring', '1M'])
        self.assertLess(os.path.getsize(self.trace), 3 << 20)
        (_, described), missing = self.tale.json('info', self.trace), self.missing()
        self.assertEqual(set(missing), {'ring'})
        self.assertGreater(missing['ring'], 0)
        self.assertEqual(sum(self.calls().values()) + missing['ring'], described['events'])
        numbers, conn = self.numbers()
        self.assertEqual(numbers, list(range(count - len(numbers) + 1, count + 1)))
        self.assertEqual((conn['client']['sent'], conn['server']['recv']), (8 * count, 8 * count))
        steps = self.tale.json('follow', conn['id'], '-t', self.trace)[0]
        gap, = [step for step in steps if step['type'] == 'gap']
        self.assertEqual(gap['why'], 'ring')
        first = next(step for step in steps if step['type'] == 'transfer')
        self.assertEqual(first['offset'], 8 * (count - len(numbers)))

    def test_stopped(self):
        """The trace may have a MiB; the program goes on to its end."""
        count = 400_000
        counter = self.write('counter', bytes(8))
        words = os.environ['NUMBERED_SENDS'], counter, str(count), '0'
        _, told = self.run_program([self.socktale, 'run', '--max', '1M', '-o', self.trace, '--', *words])
        self.assertEqual(struct.unpack('<Q', pathlib.Path(counter).read_bytes())[0], count)
        self.assertRegex(told.decode(), r'the trace has the size of --max: recording stopped at \+\d+\.\d s, numbered_sends '
                                        r'ran on\. The 1(\.\d)? MiB so far are readable\. +a larger --max, or --ring')
        self.assertEqual(self.missing(), {'stopped': 1})
        numbers, _ = self.numbers()
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.assertLess(len(numbers), count)
        self.assert_strict(*words, options=['--max', '1M'])

    def test_payload_not_seen(self):
        self.record(PYTHON, '-c', 'import os, socket\n'
                    'r, w = os.pipe(); a, b = socket.socketpair()\n'
                    'os.write(w, b"within"); os.splice(r, a.fileno(), 6); b.recv(9)')
        self.assertEqual(self.missing(), {'payload_not_seen': 6})

    def test_one_ended(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            self.record(PYTHON, '-c', 'import socket, sys\n'
                        'socket.create_connection(("127.0.0.1", int(sys.argv[1]))).close()',
                        str(server.getsockname()[1]))
        self.assertEqual(self.missing(), {'one_ended': 1})

    def test_guessed_join(self):
        number = {'x86_64': '42', 'aarch64': '203'}[os.uname().machine]  # connect
        self.record(PYTHON, '-c', _CROWD, self.path('door'), number)
        missing = self.missing()
        self.assertGreater(missing.pop('guessed_join'), 0)
        self.assertEqual(missing, {})

    def test_many_peers(self):
        self.record(PYTHON, '-c', _MANY_PEERS)
        missing = self.missing()
        self.assertEqual(missing.pop('many_peers'), 70_000 - 65_536)
        self.assertEqual(set(missing), {'one_ended'})

    def test_damaged_and_cut_off(self):
        """One byte of the data is another; and the end of the file is gone."""
        self.record(PYTHON, '-c', 'import socket; a, b = socket.socketpair()\n'
                    'for i in range(100): a.send(b"%0500d" % i); b.recv(999)')
        whole = pathlib.Path(self.trace).read_bytes()
        middle = len(whole) // 3
        pathlib.Path(self.trace).write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:])
        described = self.tale.json('info', self.trace)[1]
        self.assertRegex(' '.join(described['unreadable']), r'^\d+ events unreadable .*checksum does not fit')
        pathlib.Path(self.trace).write_bytes(whole[:middle])
        described = self.tale.json('info', self.trace)[1]
        self.assertFalse(described['sealed'])
        self.assertTrue(described['file_trouble'], described)


if __name__ == '__main__':
    unittest.main()
