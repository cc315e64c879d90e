# SPDX-License-Identifier: Apache-2.0
"""Rows 13 to 14c: programs that confine themselves, and programs that cannot see the recording or load the shim."""

import os
import pathlib
import shutil
import subprocess
import time
import unittest

from hazard import Hazard, payload

ROUNDS = 3000  # some 450 KiB of events: far more than the chunks that a thread has open
NOBODY = 65534


class ConfinedTest(Hazard):
    """Row 13: after seccomp, no call of the shim's own that the filter kills for."""

    def confined(self, how, rounds=ROUNDS):
        return self.same_behaviour([self.built('confined'), how, rounds], status=3)

    def assert_round_trips(self, numbers):
        said = [b'round trip %d of a program that may do little else' % number for number in numbers]
        for call in ('write', 'read'):
            got = [words for words in self.payloads(call) if words.startswith(b'round trip')]
            self.assertEqual(len(got), len(said), call)
            self.assertEqual(sorted(got), sorted(said), call)

    def test_row13_strict_mode_leaves_read_and_write(self):
        self.confined('strict')
        self.assert_round_trips(range(ROUNDS))
        self.assert_complete()

    def test_row13_a_filter_kills_for_everything_else(self):
        self.confined('filter')
        self.assert_round_trips(range(ROUNDS))
        self.assert_complete()

    def test_row13_a_filter_by_the_number_of_seccomp_and_another_on_top(self):
        self.confined('number')
        self.assert_round_trips([*range(ROUNDS), *range(ROUNDS)])
        self.assert_complete()

    def test_row13_signal_handlers_talk_under_a_filter(self):
        self.confined('handler')
        self.assert_round_trips([*range(100), *range(100), *range(ROUNDS)])
        self.assert_complete()

    def test_row13_a_thread_begun_under_a_filter(self):
        self.confined('thread')
        self.assert_round_trips(range(ROUNDS))
        thread = {event['tid'] for event in self.events('write') if payload(event).startswith(b'round trip')}
        main = {event['tid'] for event in self.events('socketpair')}
        self.assertEqual((len(thread), len(main), thread & main), (1, 1, set()))
        self.assert_complete()

    def test_row13_a_child_forked_under_a_filter(self):
        self.confined('fork')
        self.assert_round_trips(range(ROUNDS))
        child = {event['tid'] for event in self.events('write') if payload(event).startswith(b'round trip')}
        fork, = self.events('fork')
        self.assertEqual(child, {fork['made_pid']})
        attached, = self.events('attached', reason='fork')
        self.assertEqual(attached['tid'], fork['made_pid'])
        self.assert_complete()

    def test_row13_a_filter_that_the_kernel_refuses_changes_nothing(self):
        self.confined('refused')
        self.assert_round_trips(range(ROUNDS))
        self.assert_complete()

    def test_row13_a_filter_that_cannot_be_put_on_another_thread_changes_nothing(self):
        self.confined('another')
        self.assert_round_trips(range(ROUNDS))
        self.assertEqual([pathlib.Path(path).name for path in self.programs()], ['confined', 'dash'])
        self.assert_complete()

    def test_row13_a_filter_of_a_vfork_child_is_not_its_parents(self):
        self.confined('vfork')
        self.assert_round_trips(range(ROUNDS))
        self.assertEqual([pathlib.Path(path).name for path in self.programs()], ['confined', 'dash'])
        self.assert_complete('not_attached')

    def test_row13_a_program_executed_under_a_filter_is_named(self):
        stdout, _ = self.confined('exec', 10)
        self.assertTrue(stdout.endswith(b'executed\n'), stdout)
        self.assert_round_trips(range(10))
        self.assertEqual(len(self.programs()), 1)
        self.assert_complete('not_attached')

    def test_row13_a_filter_that_kills_for_nothing_of_ours_hides_nothing(self):
        stdout, _ = self.confined('errors', 10)
        self.assertTrue(stdout.endswith(b'executed\n'), stdout)
        self.assertIn(b'made under the filter', self.payloads('recv'))
        self.assertEqual([pathlib.Path(path).name for path in self.programs()], ['confined', 'dash'])
        self.assert_complete()


class ElsewhereTest(Hazard):
    """Rows 13b to 14: where the arena's path means nothing."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest('only root changes root and user')

    def jail(self, shim=False):
        """A root with the talking program and what it needs, at the paths that it has outside; perhaps with the shim."""
        root = self.dir / 'jail'
        wanted = [self.built('early'), self.built('libearly.so')]
        found = subprocess.run(['ldd', self.built('early')], capture_output=True, check=True).stdout.decode().split()
        wanted += {word for word in found if word.startswith('/')}
        if shim:
            wanted.append(self.shim())
        for path in wanted:
            place = root / path.lstrip('/')
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
        for place in [root, *root.rglob('*')]:
            place.chmod(0o755)
        return root

    def shim(self):
        stdout, _ = self.run_program([self.socktale, 'run', '-q', '-o', self.path('env.tale'), '--', 'env'])
        return next(line for line in stdout.decode().splitlines() if line.startswith('LD_PRELOAD=')).split('=', 1)[1]

    def wait_for_trace(self):
        """The recording goes on in the background until processes of other namespaces are known to be gone."""
        while not os.path.exists(self.trace):
            self.assertGreater(self.seconds_left(), 0)
            time.sleep(0.01)

    def assert_talked(self, *words):
        self.assertEqual([got.decode() for got in self.payloads('recv')], list(words))

    def test_row13b_chroot_setuid_and_fork(self):
        self.same_behaviour([self.built('elsewhere'), 'root', self.jail()], status=3)
        self.assert_talked('before', 'there', 'child there')
        self.assert_complete()

    def test_row13b_new_mount_network_pid_and_user_namespaces_and_fork(self):
        self.same_behaviour([self.built('elsewhere'), 'namespaces'], status=3)
        self.wait_for_trace()
        self.assert_talked('before', 'there', 'child there')
        fork, = self.events('fork')
        attached, = self.events('attached', reason='fork')
        self.assertEqual(attached['tid'], 1)  # as it sees itself
        self.assertNotEqual(fork['made_pid'], 1)
        self.assert_complete()

    def test_row13b_a_program_executed_in_new_namespaces_is_recorded_or_named(self):
        stdout, _ = self.same_behaviour([self.built('elsewhere'), 'namespaces', self.built('early')], status=3)
        self.assertIn(b'destructor on', stdout)
        self.wait_for_trace()
        self.assertIn(b'child there', self.payloads('recv'))
        # The arena's file is the same in the new mount namespace, and its owner is who the user became.
        self.assertEqual([pathlib.Path(path).name for path in self.programs()], ['elsewhere', 'early'])
        self.assertIn(b'destructor', self.payloads('recv'))
        self.assert_complete()

    def test_row13c_another_user_executes_a_program(self):
        self.same_behaviour([self.built('elsewhere'), 'user', self.reachable()], status=3)
        self.assertEqual([pathlib.Path(path).name for path in self.programs()], ['elsewhere', 'early'])
        self.assertIn(b'destructor', self.payloads('recv'))
        self.assert_complete()

    def reachable(self):
        """A copy of the program early that other users can reach, beside its library."""
        folder = self.dir / 'reachable'
        folder.mkdir()
        shutil.copy(self.built('libearly.so'), folder)
        program = shutil.copy(self.built('early'), folder)
        if not os.access(self.built('libearly.so'), os.R_OK):
            self.fail('its library is not there')
        folder.chmod(0o755)
        self.env['LD_LIBRARY_PATH'] = str(folder)
        return program

    def test_row13d_a_program_that_changes_the_user_is_named(self):
        program = self.reachable()
        os.chown(program, NOBODY, NOBODY)
        os.chmod(program, 0o4755)
        del self.env['LD_LIBRARY_PATH']  # which ld.so does not heed for such a program
        self.same_behaviour(['sh', '-c', f'{program}; echo $?; exit 3'], status=3)
        self.assertEqual([pathlib.Path(path).name for path in self.programs()], ['dash'])
        self.assert_complete('setuid')

    def test_row14_a_root_without_the_shim_keeps_ld_so_quiet(self):
        stdout, stderr = self.same_behaviour(
            [self.built('elsewhere'), 'root', self.jail(), self.built('early')], status=3)
        self.assertIn(b'destructor on', stdout)
        self.assertEqual(stderr, b'')
        self.assertEqual([pathlib.Path(path).name for path in self.programs()], ['elsewhere'])
        self.assertIn(b'child there', self.payloads('recv'))
        self.assert_complete('not_attached')

    def test_row14_a_root_with_the_shim_is_recorded_through_the_collectors_socket(self):
        self.same_behaviour(
            [self.built('elsewhere'), 'root', self.jail(shim=True), self.built('early')], status=3)
        self.assertEqual(len(self.events('attached', reason='start') + self.events('attached', reason='exec')), 2)
        self.assertIn(b'destructor', self.payloads('recv'))
        self.assert_complete()

    def test_row14_a_shim_installed_under_a_path_with_a_space(self):
        folder = self.dir / 'a place: with space'
        folder.mkdir(mode=0o755)
        self.env['SOCKTALE_SHIM'] = shutil.copy(self.shim(), folder)
        _, stderr = self.same_behaviour([self.built('early')], status=7)
        self.assertEqual(stderr, b'')
        self.assertIn(b'destructor', self.payloads('recv'))
        self.assert_complete()


class OtherLibcTest(Hazard):
    """Row 14c: musl programs, beside the shim that glibc's compiler built."""

    def setUp(self):
        super().setUp()
        if shutil.which('musl-gcc') is None:
            self.fail('musl-gcc is missing: Debian package musl-tools (scripts/packages.sh)')
        source = pathlib.Path(__file__).parent / 'programs' / 'mute.c'
        self.program = self.path('mute')
        self.run_program(['musl-gcc', '-O1', '-o', self.program, source])

    def test_row14c_a_musl_program_runs_beside_the_shim_and_is_named(self):
        stdout, stderr = self.same_behaviour(['sh', '-c', f'{self.program}; echo "it ended with $?"; exit 3'], status=3)
        self.assertEqual((stdout, stderr), (b'talked on 3 4\nit ended with 5\n', b''))
        self.assertEqual([pathlib.Path(path).name for path in self.programs()], ['dash'])
        self.assert_complete('other_libc')

    def test_row14c_a_musl_program_by_descriptor_and_from_another_directory(self):
        stdout, _ = self.same_behaviour([self.built('otherwise'), self.program], status=3)
        self.assertEqual(stdout.count(b'exit 5'), 8, stdout)
        self.assertEqual([pathlib.Path(path).name for path in self.programs()], ['otherwise'])

    def test_row14c_a_program_of_ours_by_descriptor_is_recorded_and_from_another_directory_is_named(self):
        talker = self.built('early')
        stdout, _ = self.same_behaviour([self.built('otherwise'), talker], status=3)
        self.assertEqual(stdout.count(b'exit 7'), 8, stdout)
        self.assertEqual([pathlib.Path(path).name for path in self.programs()], ['otherwise'] + 4 * ['early'])
        self.assert_complete('not_attached')

    def test_row14c_run_refuses_a_musl_program_and_says_why(self):
        _, stderr = self.traced_run([self.program], status=125)
        self.assertIn(b'uses musl', stderr)


if __name__ == '__main__':
    unittest.main()
