# SPDX-License-Identifier: Apache-2.0
"""Rows 1 to 3b: calls before the shim's own beginning, other people's malloc, symbols with versions, libraries opened
later; and other people's LD_PRELOAD."""

import os
import pathlib
import unittest

from hazard import PYTHON, Hazard

JEMALLOC = '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2'
TALK = '''
import socket
a, b = socket.socketpair()
a.sendall(b'hello'); print(b.recv(9), a.fileno(), b.fileno())
print('jemalloc' in open('/proc/self/maps').read(), len([bytes(n) for n in range(3000)]))
'''


class LoadingTest(Hazard):

    def test_row1_calls_before_all_constructors_and_after_all_destructors(self):
        stdout, _ = self.same_behaviour([self.built('early')], status=7)
        words = [line.split(b' on ')[0] for line in stdout.splitlines() if b' on ' in line]
        self.assertEqual(len(words), 8, stdout)
        self.assertEqual(words[:3], [b'.preinit_array', b"library's constructor", b'constructor'])
        self.assertEqual(self.payloads('send'), words)
        self.assertEqual(self.payloads('recv'), words)
        self.assertEqual(self.counts()['socketpair'], 8)
        self.assert_complete()

    def test_row1_calls_before_the_shims_constructor_are_counted_and_named(self):
        self.same_behaviour(['/usr/bin/env', f'LD_PRELOAD={self.built("libfirst.so")}', self.built('talker'), 'later', '0'])
        self.assertEqual(self.payloads('send'), [b'later'])
        words = 'socktale: 5 events dropped: made before the program could be recorded.'
        command = [self.socktale, 'run', '-o', self.path('again.tale'), '--', '/usr/bin/env',
                   f'LD_PRELOAD={self.built("libfirst.so")}', self.built('talker'), 'later', '0']
        self.assertIn(words, self.run_program(command)[1].decode().splitlines())
        info = self.info()
        row, = info['missing']
        self.assertEqual((row['kind'], row['count'], info['dropped']), ('dropped_unattached', 5, 5))

    def test_row2_a_malloc_that_reads_and_talks_when_it_is_first_called(self):
        self.same_behaviour([self.built('own_malloc')])
        self.assertEqual(self.payloads('send'), [b'malloc', b'main'])
        self.assertEqual(self.payloads('recv'), [b'malloc', b'main'])
        self.assertEqual([event['path'] for event in self.events('open')], ['/proc/self/exe'])
        self.assert_complete()

    def test_row2_jemalloc_preloaded(self):
        self.assertTrue(pathlib.Path(JEMALLOC).exists(), 'libjemalloc2 is not installed: scripts/packages.sh names it')
        for before, env in (([], {**self.env, 'LD_PRELOAD': JEMALLOC}),  # also into `socktale run` itself
                            (['/usr/bin/env', f'LD_PRELOAD={JEMALLOC}'], self.env)):
            stdout, _ = self.same_behaviour([*before, PYTHON, '-c', TALK], env=env)
            self.assertIn(b'True', stdout)
            self.assertEqual(self.payloads('sendto', 'send'), [b'hello'])
            self.assert_complete()

    def test_a_users_own_preloaded_library_stands_behind_the_shim(self):
        stdout, _ = self.same_behaviour(['/usr/bin/env', f'LD_PRELOAD={self.built("libinterpose.so")}',
                                         self.built('talker'), 'word', '3'], status=3)
        self.assertIn(b'1 sends and 2 closes went through', stdout)
        self.assertEqual(self.payloads('send'), [b'word'])
        self.assert_complete()

    def test_row3_functions_found_by_name_and_by_version(self):
        # Names this libc does not have must not seem to be there (pidfd_spawn came with 2.39). Who asks dlvsym for a
        # version of libc's gets libc's own function, past the shim.
        self.same_behaviour([self.built('opened'), self.built('liblocal.so')])
        self.assertIn(b'by name', self.payloads('send'))
        self.assertNotIn(b'by version', self.payloads('send'))

    def test_row3b_a_library_opened_with_rtld_local(self):
        self.same_behaviour([self.built('opened'), self.built('liblocal.so')])
        words = [b'local constructor', b'local function', b'through a descriptor', b'local destructor']
        self.assertEqual(self.payloads('send')[:8], words * 2)
        self.assert_complete()

    def test_row3_both_versions_of_posix_spawn(self):
        script = self.write('tools/no_interpreter', f'{self.built("talker")} shell 5\n')
        os.chmod(script, 0o755)
        env = {**self.env, 'PATH': f'{self.path("tools")}:/usr/bin:/bin'}
        stdout, _ = self.same_behaviour([self.built('versions'), script], env=env)
        self.assertIn(b'\nold posix_spawn: error 0, status 5', stdout)
        # (The old posix_spawnp gives the shell the name it looked for, not the path it found: the shell fails.)
        self.assertIn(b'\nold posix_spawnp: error 0, status 2', stdout)
        self.assertEqual(self.payloads('send'), [b'shell'] * 2)
        self.assertEqual(self.programs().count(os.path.realpath('/bin/sh')), 3)
        self.assertEqual(len(self.events('posix_spawn')), 6)
        self.assert_complete()


if __name__ == '__main__':
    unittest.main()
