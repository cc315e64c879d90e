# SPDX-License-Identifier: Apache-2.0
"""Rows 12 and 15 to 20: limits on memory and files, core dumps, plugins with scopes of their own, sanitizers, memory
that may not be executed."""

import pathlib
import shutil
import unittest

from hazard import NOTES, Hazard

BLOCK = 60_000  # as programs/tight.c sends
BLOCKS = 200


class LimitsTest(Hazard):

    def assert_moved(self, blocks=BLOCKS):
        for call in ('send', 'recv'):
            self.assertEqual(sum(map(len, self.payloads(call))), blocks * BLOCK, call)

    def test_row12_the_environment_shows_two_variables_more_and_no_other(self):
        plain, _ = self.run_program(['env'])
        traced, _ = self.traced_run(['env'])
        more = set(traced.decode().splitlines()) - set(plain.decode().splitlines())
        self.assertEqual(sorted(line.split('=')[0] for line in more), ['LD_PRELOAD', 'SOCKTALE_ATTACH'])
        self.assertEqual(set(plain.splitlines()) - set(traced.splitlines()), set())
        self.env['LD_PRELOAD'] = 'libm.so.6'
        traced, _ = self.traced_run(['env'])
        preload, = (line for line in traced.decode().splitlines() if line.startswith('LD_PRELOAD='))
        self.assertRegex(preload, r'/libsocktale\.so:libm\.so\.6$')
        self.assert_complete()

    def test_row15_an_address_space_of_20_megabytes(self):
        self.same_behaviour(['sh', '-c', f'ulimit -v 20480; exec {self.built("tight")} limits {BLOCKS * BLOCK}'],
                            status=3)
        self.assert_moved()
        self.assert_complete()

    def test_row15_files_of_no_size(self):
        # (stdout is a pipe.) The arena is written to by mapping, which is no growth of a file.
        self.same_behaviour(['sh', '-c', f'ulimit -f 0; exec {self.built("tight")} limits {BLOCKS * BLOCK}'], status=3)
        self.assert_moved()
        self.assert_complete()

    def test_row15_no_memory_to_lock(self):
        self.same_behaviour(['sh', '-c', f'ulimit -l 0; exec {self.built("tight")} limits {BLOCKS * BLOCK}'], status=3)
        self.assert_moved()
        self.assert_complete()

    def test_row15b_all_memory_locked_with_8_megabytes_to_lock(self):
        program = shutil.copy(self.built('tight'), self.path('tight'))
        stdout, _ = self.same_behaviour([program, 'locked', BLOCKS * BLOCK], status=3)
        self.assertIn(b'mlockall: 0,', stdout)
        info = self.info()
        if info['dropped'] == 0:
            self.assert_moved()
            self.assert_complete()
            return
        # MCL_FUTURE: further windows may find nothing left to lock when the collector is slow. Then that is counted.
        self.assertEqual({row['kind'] for row in info['missing']} - NOTES, {'dropped_full'}, info['missing'])
        kept = sum(map(len, self.payloads('send', 'recv')))
        self.assertGreater(kept, BLOCKS * BLOCK // 2)

    def test_row16_core_dumps_hold_nothing_of_the_recording(self):
        pattern = pathlib.Path('/proc/sys/kernel/core_pattern').read_text().strip()
        sizes = []
        for run in (self.run_program, self.traced_run):
            stdout, _ = run([self.built('tight'), 'core', BLOCKS * BLOCK], status=-6)
            self.assertIn(b'would be dumped of shared mappings: 0\n', stdout)
            for core in self.dir.glob('core*'):
                sizes.append(core.stat().st_size)
                core.unlink()
        self.assert_moved()
        self.assert_complete()
        if pattern in ('core', 'core.%p'):
            plain, traced = sizes
            self.assertLess(traced - plain, 4 << 20, sizes)  # 16 MB of arena were mapped; the shim's table is 1 MiB
        else:
            print(f'core_pattern is {pattern}: no core file here to measure; the flags of the mappings were looked at')

    def test_row20_memory_that_was_writable_may_not_be_executed(self):
        stdout, _ = self.same_behaviour([self.built('tight'), 'mdwe', BLOCKS * BLOCK], status=3)
        self.assertRegex(stdout, rb'PR_SET_MDWE: (0, errno 0; now 1\nmprotect\(PROT_EXEC\): -1|-1, errno 22)')
        self.assert_moved()
        self.assert_complete()


class PluginTest(Hazard):
    """Row 18."""

    def plugin(self, how):
        self.same_behaviour([self.built('plugins'), self.built('libplugin.so'), how], status=3)
        return self.payloads('recv')

    def test_row18_a_plugin_opened_as_usual_is_recorded(self):
        self.assertEqual(self.plugin('plain'), [b"a plugin's words", b"the program's words"])
        self.assert_complete()


    def test_row18_plugins_that_look_past_what_is_preloaded_are_spoken_of(self):
        for how in ('deepbind', 'dlmopen'):
            self.assertEqual(self.plugin(how), [b"the program's words"])
            self.assertEqual(self.counts()['socketpair'], 1)
            (row,) = self.info()['missing']
            self.assertEqual((row['kind'], row['count'], row['detail']),
                             ('past_recorder', 1, self.built('libplugin.so')))
            stdout, _ = self.run_program([self.socktale, 'info', '-t', self.trace])
            self.assertIn(b'1 plugin opened past the recorder', stdout)

    def test_row18_a_library_is_looked_for_where_its_opener_says(self):
        """dlopen looks at who asks: $ORIGIN and RUNPATH of the library that calls it count."""
        self.assertEqual(self.plugin('origin'), [b"a plugin's words", b"the program's words"])
        self.assert_complete()


class SanitizedTest(Hazard):
    """Row 19: the sanitizers' own libraries hook what the shim hooks."""

    def assert_talked(self):
        self.assertEqual(self.payloads('recv'), [b'words of a thread', b'words of main'])
        self.assert_complete()

    def sanitized(self, name):
        program = self.built(name)
        if not pathlib.Path(program).exists():
            self.fail(f'{name} was not built: Debian packages clang, libclang-rt-dev, libasan8 (scripts/packages.sh)')
        self.same_behaviour([program], status=3)
        self.assert_talked()
        self.same_behaviour(['sh', '-c', f'{program}; echo "it ended with $?"; exit 3'], status=3)
        self.assert_talked()
        return program

    def test_row19_address_sanitizer_of_gcc_is_told_that_it_comes_second(self):
        program = self.sanitized('sanitized_gcc_address')
        self.env['ASAN_OPTIONS'] = 'exitcode=77:verify_asan_link_order=1'
        for argv in ([program, 'mistake'], ['sh', '-c', f'{program} mistake']):
            _, plain = self.run_program(argv, status=77)
            stdout, traced = self.traced_run(argv, status=77)
            self.assertIn(b'own option there', stdout)
            for stderr in (plain, traced):
                self.assertIn(b'heap-use-after-free', stderr)
            self.assert_talked()

    def test_row19_address_sanitizer_of_clang(self):
        self.sanitized('sanitized_clang_address')

    def test_row19_thread_sanitizer_of_gcc(self):
        self.sanitized('sanitized_gcc_thread')

    def test_row19_thread_sanitizer_of_clang(self):
        self.sanitized('sanitized_clang_thread')


if __name__ == '__main__':
    unittest.main()
