# SPDX-License-Identifier: Apache-2.0
"""What may go wrong around a recording: kills, a power cut, full disks, places that cannot be written to, a file that is
removed. Each time the program behaves as ever, and what had been committed can be read."""

import os
import pathlib
import random
import resource
import shutil
import signal
import struct
import unittest

from run_scenario import RunScenario
from scenario import PYTHON
from tale import Tale

# Mounts a file system of $1 KiB on the folder $2, for what it executes alone, then runs the rest; and copies to $3 what
# is left there.
_SMALL_DISK = '''
mount -t tmpfs -o size=$1k none "$2" || exit 77
folder=$2 to=$3
shift 3
"$@"
status=$?
cp -a "$folder/." "$to"
exit $status
'''

# A MiB that cannot be compressed, the same each time.
_NOISE = '''
import random
def noise(number): return random.Random(number).randbytes(1 << 20)
'''

_SEND_NOISE = '''
import socket, sys, threading
a, b = socket.socketpair()
def receive():
    while b.recv(1 << 20): pass
receiver = threading.Thread(target=receive)
receiver.start()
for number in range(int(sys.argv[1])): a.sendall(noise(number))
a.close()
receiver.join()
sys.exit(7)
'''


class TroubleTest(RunScenario):

    COUNT = 400_000

    def setUp(self):
        super().setUp()
        self.counter = pathlib.Path(self.write('counter', bytes(8)))

    def counted(self):
        return struct.unpack('<Q', self.counter.read_bytes())[0]

    def words(self, status=7):
        return [self.sends, self.counter, self.COUNT, status]

    def recorded(self, *options):
        return [self.socktale, 'run', *options, '-o', self.trace, '--', *self.words()]

    def assert_first_numbers(self, at_least):
        """The trace holds what was sent first, without a hole."""
        tale = Tale(self.socktale, self.trace, self.env, self.seconds_left)
        data = b''.join(tale.side(conn, 'client') for conn in tale.connections())
        numbers = [number for number, in struct.iter_unpack('<Q', data)]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.assertGreaterEqual(len(numbers), at_least)
        return len(numbers)

    def assert_recovered(self, at_least):
        _, stderr = self.run_program([self.socktale, 'ls'])
        self.assertIn('was cut off', stderr.decode())
        return self.assert_first_numbers(at_least)

    def missing(self):
        return {row['kind'] for row in self.tale.missing()}

    # ---- kills -------------------------------------------------------------------------------------------------------

    def test_program_and_collector_are_killed(self):
        rng = random.Random(8)
        for number, first in enumerate(('program', 'collector') * 2):
            self.trace = self.path(f'killed-{number}.tale')
            self.counter.write_bytes(bytes(8))
            process = self.start(*self.recorded('-q'))
            child = self.child_of(process)
            self.count_until(self.counter, rng.randrange(1, 50_000))
            if first == 'program':
                os.kill(process.pid, signal.SIGSTOP)  # it has not seen the end of it
                os.kill(child, signal.SIGKILL)
                done = self.counted()
                process.kill()
            else:
                process.kill()
                process.wait()
                done = 0  # what was sent since, nobody has recorded
                os.kill(child, signal.SIGKILL)
            process.wait()
            self.assert_recovered(done)
            self.end(process)

    def test_power_is_cut(self):
        """What the file is at any moment, with no shared memory left; and with its last pages never written."""
        rng = random.Random(9)
        library = pathlib.Path(self.env['XDG_STATE_HOME']) / 'socktale'
        library.mkdir(mode=0o700)
        process = self.start(*self.recorded('-q'))
        copies = {}  # name → events that were surely in the file
        for number in range(8):
            done = self.count_until(self.counter, self.counted() + rng.randrange(1, 40_000))
            whole = pathlib.Path(self.trace + '.part').read_bytes()
            lost = rng.randrange(len(whole)) // 4096 * 4096
            for name, content in (('whole', whole), ('short', whole[:rng.randrange(200, len(whole))]),
                                  ('zeros', whole[:lost] + bytes(len(whole) - lost))):
                (library / f'{name}-{number}.tale.part').write_bytes(content)
                copies[f'{name}-{number}'] = done
        self.assertEqual(process.wait(self.seconds_left()), 7)
        self.end(process)
        everything = self.assert_first_numbers(self.COUNT)
        self.run_program([self.socktale, 'ls'])
        lengths = {}
        for name in copies:
            self.trace = name
            lengths[name] = self.assert_first_numbers(0)
            self.assertLess(lengths[name], everything)
        for number in range(8):
            self.assertLessEqual(lengths[f'short-{number}'], lengths[f'whole-{number}'])
            self.assertLessEqual(lengths[f'zeros-{number}'], lengths[f'whole-{number}'])
        self.assertGreater(lengths['whole-7'], 0)

    # ---- no room -----------------------------------------------------------------------------------------------------

    def on_small_disk(self, kib, *argv, status=7):
        """Runs argv with the folder "disk" on a file system of so many KiB. Returns stderr."""
        disk, rest = self.path('disk'), self.path('rest')
        os.makedirs(disk), os.makedirs(rest)
        process = self.start('unshare', '--mount', '--', 'sh', '-c', _SMALL_DISK, 'sh', kib, disk, rest, *argv)
        _, stderr = process.communicate(timeout=self.seconds_left())
        if process.returncode in (1, 77):
            self.skipTest('may not mount a small file system')
        self.assertEqual(process.returncode, status, stderr.decode())
        return stderr.decode()

    def test_disk_is_full(self):
        self.trace = self.path('disk/x.tale')
        told = self.on_small_disk(1024, *self.recorded())
        self.assertEqual(self.counted(), self.COUNT)
        self.assertRegex(told, r'disk is full: recording stopped at \+\d+\.\d s, numbered_sends ran on\. The .* so far are '
                               r'readable\. +-o elsewhere, --payload 64k, or --ring 256M')
        left = os.listdir(self.path('rest'))
        self.assertEqual(len(left), 1, left)
        self.assertIn(left[0], ('x.tale', 'x.tale.part'))
        self.trace = self.path('rest/' + left[0])
        self.assertLess(self.assert_first_numbers(1), self.COUNT)

    def test_file_may_not_grow(self):
        """RLIMIT_FSIZE, at which a signal would end the collector."""
        limit, mebibytes = 72 << 20, 80
        limited = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        process = self.start(self.socktale, 'run', '--payload', 'full', '-o', self.trace, '--', PYTHON, '-c',
                             _NOISE + _SEND_NOISE, mebibytes, preexec_fn=limited)
        _, stderr = process.communicate(timeout=self.seconds_left())
        self.assertEqual(process.returncode, 7, stderr.decode())
        self.assertRegex(stderr.decode(), r'File too large: recording stopped at .* ran on\.')
        conn, = self.tale.connections()  # what did not fit was larger than the tables
        told = self.tale.side(conn, 'client')
        self.assertIn('stopped', self.missing())
        scope = {}
        exec(_NOISE, scope)
        sent = b''.join(scope['noise'](number) for number in range(mebibytes))
        self.assertGreater(len(told), limit // 4)
        self.assertTrue(sent.startswith(told))

    def test_shared_memory_may_not_be_made(self):
        process = self.start(*self.recorded(), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
        _, stderr = process.communicate(timeout=self.seconds_left())
        self.assertEqual(process.returncode, 125)
        self.assertEqual(self.counted(), 0)
        self.assertRegex(stderr.decode(), r'socktale: .*shared memory.*(File too large|limit)')

    def test_shared_memory_has_no_room(self):
        self.env['SOCKTALE_ARENA_DIR'] = self.path('disk/arenas')
        told = self.on_small_disk(1024, 'sh', '-c', 'mkdir -m 700 "$0" && exec "$@"', self.path('disk/arenas'),
                                  *self.recorded(), status=125)
        self.assertEqual(self.counted(), 0)
        self.assertIn('disk/arenas', told)
        self.assertRegex(told, 'room|space')

    def test_folder_cannot_be_written_to(self):
        self.trace = '/proc/x.tale'
        _, stderr = self.run_program(self.recorded(), status=125)
        self.assertEqual(self.counted(), 0)
        self.assertIn('cannot create /proc/x.tale', stderr.decode())

    # ---- a file that goes --------------------------------------------------------------------------------------------

    def test_file_is_removed(self):
        process = self.start(*self.recorded())
        self.count_until(self.counter, 100_000)
        os.unlink(self.trace + '.part')
        self.assertEqual(process.wait(self.seconds_left()), 7)
        self.assertEqual(self.counted(), self.COUNT)
        self.assertEqual(self.assert_first_numbers(self.COUNT), self.COUNT)
        self.assertEqual(self.missing(), set())
        self.assertEqual(os.stat(self.trace).st_mode & 0o777, 0o600)

    def test_folder_is_removed(self):
        os.makedirs(self.path('gone'))
        self.trace = self.path('gone/x.tale')
        process = self.start(*self.recorded())
        self.count_until(self.counter, 100_000)
        shutil.rmtree(self.path('gone'))
        _, stderr = process.communicate(timeout=self.seconds_left())
        self.assertEqual(process.returncode, 7)
        self.assertEqual(self.counted(), self.COUNT)
        self.assertRegex(stderr.decode(), r'gone/x\.tale.part was removed while it was written, with its folder: nothing is left')


if __name__ == '__main__':
    unittest.main()
