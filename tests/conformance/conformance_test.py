# SPDX-License-Identifier: Apache-2.0
"""The comparing part of the conformance runs: what is a difference, what is flaky, and how outcomes are read."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from outcomes import ABSENT, Difference, compare  # noqa: E402
import results  # noqa: E402
import run  # noqa: E402

_LOADER = importlib.machinery.SourceFileLoader('conformance', str(HERE / 'conformance'))
conformance = importlib.util.module_from_spec(importlib.util.spec_from_loader('conformance', _LOADER))
_LOADER.exec_module(conformance)


class CompareTest(unittest.TestCase):

    def test_runs_that_agree_have_no_difference(self):
        outcomes = {'a': 'passed', 'b': 'skipped', 'c': 'failed'}
        comparison = compare([outcomes] * 3, [outcomes] * 2)
        self.assertEqual((comparison.tests, comparison.passed_plain, comparison.passed_traced), (3, 1, (1, 1)))
        self.assertEqual((comparison.flaky, comparison.differences), ({}, ()))

    def test_a_test_that_fails_traced_alone_is_a_difference_in_that_run(self):
        comparison = compare([{'a': 'passed'}] * 3, [{'a': 'passed'}, {'a': 'failed'}])
        self.assertEqual(comparison.differences, (Difference('a', 'passed', 'failed', 2),))
        self.assertEqual(comparison.passed_traced, (1, 0))

    def test_as_many_passing_are_not_the_same_passing(self):
        comparison = compare([{'a': 'passed', 'b': 'failed'}] * 3, [{'a': 'failed', 'b': 'passed'}])
        self.assertEqual((comparison.passed_plain, comparison.passed_traced), (1, (1,)))
        self.assertEqual([each.test for each in comparison.differences], ['a', 'b'])

    def test_a_test_that_is_skipped_or_not_reached_traced_is_a_difference(self):
        comparison = compare([{'a': 'passed', 'b': 'passed'}] * 3, [{'a': 'skipped'}])
        self.assertEqual([each.traced for each in comparison.differences], ['skipped', ABSENT])

    def test_a_test_that_only_a_traced_run_has_is_a_difference(self):
        comparison = compare([{'a': 'passed'}] * 3, [{'a': 'passed', 'new': 'passed'}])
        self.assertEqual(comparison.differences, (Difference('new', ABSENT, 'passed', 1),))

    def test_flaky_is_what_differs_between_plain_runs_and_nothing_else(self):
        plain = [{'a': 'passed', 'b': 'passed'}, {'a': 'failed', 'b': 'passed'}, {'a': 'passed', 'b': 'passed'}]
        comparison = compare(plain, [{'a': 'failed', 'b': 'failed'}])
        self.assertEqual(comparison.flaky, {'a': ('passed', 'failed', 'passed')})
        self.assertEqual([each.test for each in comparison.differences], ['b'])
        self.assertEqual((comparison.tests, comparison.passed_plain), (2, 1))

    def test_a_single_plain_run_knows_no_flaky_tests(self):
        self.assertEqual(len(compare([{'a': 'passed'}], [{'a': 'failed'}]).differences), 1)

    def test_nothing_to_compare_is_an_error(self):
        for plain, traced in (([], [{}]), ([{}], [])):
            with self.assertRaises(ValueError):
                compare(plain, traced)


class ResultsTest(unittest.TestCase):

    def test_junit(self):
        report = ('<testsuites><testsuite><testcase name="m.A.good" status="run" result="completed" />'
                  '<testcase name="m.A.bad"><failure type="x">…</failure></testcase>'
                  '<testcase name="m.A.broken"><error /></testcase>'
                  '<testcase name="m.A.out"><skipped>no</skipped></testcase>'
                  '<testcase name="m.A.known"><output /></testcase>'
                  '<testcase name="m.A.odd"><outcome>U</outcome></testcase>'
                  '<testcase name="m.A.loud"><system-out>x</system-out></testcase><testcase />'
                  '<testcase name="m.A.good" /></testsuite></testsuites>')
        self.assertEqual(results.from_junit(report), {
            'm.A.good': 'passed', 'm.A.bad': 'failed', 'm.A.broken': 'error', 'm.A.out': 'skipped',
            'm.A.known': 'expected failure', 'm.A.odd': 'unexpected success', 'm.A.loud': 'passed',
            'm.A.good (2)': 'passed'})

    def test_tap(self):
        text = '1..6\nok 1 - port 4711\nnot ok 2 - pid 12\n# diag\nok 3 # skip no IPv6\nnot ok 4 # TODO on\nok\nokay\n'
        self.assertEqual(results.from_tap('t/a.t', text, 0), {
            't/a.t exit': 'passed', 't/a.t 1': 'passed', 't/a.t 2': 'failed', 't/a.t 3': 'skipped',
            't/a.t 4': 'todo, failed', 't/a.t 5': 'passed'})

    def test_tap_of_a_program_that_died_or_was_left_out(self):
        self.assertEqual(results.from_tap('a', 'ok 1\n', 139), {'a exit': 'exit 139', 'a 1': 'passed'})
        self.assertEqual(results.from_tap('a', '1..0 # SKIP no fork\n', 0), {'a exit': 'passed', 'a all': 'skipped'})

    def test_redis(self):
        text = ('[ready]: 17\n[ok]: GET (12 ms)\n[\x1b[0;32mok\x1b[0m]: GET (3 ms)\n[err]: SET in tests/unit/x.tcl\n'
                'Expected a == b\n[ignore]: SLOW: no\n[exception]: Executing test client: x\n'
                '[1/1 done]: unit/x (1 seconds)\n')
        self.assertEqual(results.from_redis(text), {
            'GET': 'passed', 'GET (2)': 'passed', 'SET': 'failed', 'SLOW: no': 'skipped',
            'Executing test client: x': 'exception'})

    def test_redis_where_lots_are_drawn(self):
        text = ('[ok]: Set #0 to replicate from #1 (12 ms)\n[ok]: Set #4 to replicate from #2 (3 ms)\n'
                '[ok]: after load (x = 4711) (1 ms)\n[err]: after load (x = 12) in tests/x.tcl\n'
                '[ok]: after load (x = 5) (1 ms)\n')
        self.assertEqual(results.from_redis(text, by_lot=True), {
            'Set #N to replicate from #N': 'passed', 'after load (x = N)': 'failed'})


class ReportTest(unittest.TestCase):
    """Runs that count for nothing never look like good ones."""

    def bad(self, plain, traced):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            report = conformance.Report()
            report.add('suite', plain, traced)
            report.finish([])
        return report.bad, printed.getvalue()

    def test_equal_runs_are_good_and_what_the_trace_lacks_is_told(self):
        good = run.Run({'a': 'passed'}, 1.0)
        bad, words = self.bad([good] * 3, [good, run.Run({'a': 'passed'}, 2.0, '', {'static': 2})])
        self.assertEqual(bad, 0)
        self.assertIn('static 2', words)
        self.assertIn('1.5 s', words)

    def test_a_difference_a_run_with_trouble_and_a_suite_where_nothing_passes_are_bad(self):
        good, failed = run.Run({'a': 'passed'}, 1.0), run.Run({'a': 'failed'}, 1.0)
        bad, words = self.bad([good] * 3, [failed])
        self.assertEqual(bad, 1)
        self.assertIn('a: passed plain, failed in traced run 1', words)
        self.assertEqual(self.bad([good] * 3, [run.Run({'a': 'passed'}, 9.0, 'not at its end after 9 s')])[0], 1)
        self.assertEqual(self.bad([failed] * 3, [failed])[0], 1)


class Child:
    """A suite of one test; and it leaves a process behind, which may not outlive the run."""

    name, seconds = 'child', 30

    def prepare(self, folder):
        words = f'sleep 1000 & echo $! > {folder}/left; echo "ok 1"; echo "$HOME" > {folder}/home'
        return ['/bin/sh', '-c', words], folder

    def outcomes(self, folder, output):
        self.left, self.home = int((folder / 'left').read_text()), (folder / 'home').read_text().strip()
        return results.from_tap('child', output, 0)


class RunTest(unittest.TestCase):

    def test_a_run_ends_everything_and_leaves_no_file(self):
        child = Child()
        done = run.one_run(child, None, [], None)
        self.assertEqual((done.outcomes, done.trouble), ({'child exit': 'passed', 'child 1': 'passed'}, ''))
        self.assertFalse(os.path.exists(f'/proc/{child.left}'))
        self.assertFalse(os.path.exists(child.home))


if __name__ == '__main__':
    unittest.main()
