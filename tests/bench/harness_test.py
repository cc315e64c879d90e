# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: pairs of runs, checks of traces that must fail, tables and their places in documents."""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'bench'))
from harness import figures, pairs, profiles, report, served  # noqa: E402
from harness.collector import run_watched  # noqa: E402
from harness.processes import Failure, Missing, Service, find, run  # noqa: E402
from harness.tracers import Tracer  # noqa: E402

_EVERY = os.sched_getaffinity(0)
_PYTHON = '/usr/bin/python3'
# Three writes of 1 000 B over a socketpair, three reads.
_EXCHANGE = ['-c', 'import os, socket\n'
                   'a, b = socket.socketpair()\n'
                   'for i in range(3): os.write(a.fileno(), b"x" * 1000); os.read(b.fileno(), 1000)']


class InAFolder(unittest.TestCase):

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='socktale-bench-test-')
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)


class PairsTest(unittest.TestCase):

    def measured(self, plain, traced, wanted):
        """Runs pairs whose times are given; the first untraced run only warms up. Returns the pairs, and the order."""
        order = []

        def next_of(name, times):
            order.append(name)
            return times.pop(0)
        found = pairs.measure(lambda: next_of('plain', plain), lambda: next_of('traced', traced), wanted)
        return found, order

    def test_takes_turns_in_which_run_is_first(self):
        found, order = self.measured([9, 10, 10], [20, 30], 2)
        self.assertEqual([pair.ratio for pair in found], [2, 3])
        self.assertEqual(order, ['plain', 'plain', 'traced', 'traced', 'plain'])

    def test_repeats_pairs_whose_untraced_run_was_disturbed(self):
        found, _ = self.measured([9, 10, 30, 10], [20, 20, 40], 2)
        self.assertEqual([pair.ratio for pair in found], [2, 4])

    def test_gives_up_after_twice_as_many_and_then_keeps_all(self):
        found, _ = self.measured([9, 10, 30, 30, 30], [20] * 4, 2)
        self.assertEqual(len(found), 4)

    def test_tells_median_and_quartiles_of_the_ratios(self):
        found = [pairs.Pair(10, traced) for traced in (10, 20, 30, 40, 50)]
        self.assertEqual(pairs.ratio_quartiles(found), [2, 3, 4])
        self.assertEqual(pairs.median_ratio(found), 3)
        self.assertEqual(pairs.median_added_ns(found), 20)


class FigureTest(unittest.TestCase):

    def test_is_judged_by_what_is_good_and_what_is_the_goal(self):
        figure = figures.Figure('a ratio', ('micro', 'sockpair'), 1.12, 1.05)
        self.assertEqual([figure.verdict(value) for value in (1.05, 1.12, 1.13)], ['goal', 'good', 'missed'])

    def test_of_a_rate_more_is_better_and_a_paced_one_may_miss_a_little(self):
        figure = figures.Figure('a rate', ('cost', 'events'), 0.7, 1.0, 'M/s', more_is_better=True)
        self.assertEqual([figure.verdict(value) for value in (0.9999, 0.98, 0.6)], ['goal', 'good', 'missed'])

    def test_every_cost_has_a_function_that_measures_it(self):
        for figure in figures.FIGURES:
            self.assertIn(figure.source[0], ('micro', 'server', 'cost'))
            if figure.source[0] == 'cost':
                self.assertIn(figures.COST_OF[figure.source[1]], figures.costs.COSTS)


class ReportTest(InAFolder):

    def test_aligns_words_left_and_numbers_right(self):
        self.assertEqual(report.table(('what', 'ns'), [('a call', '5'), ('b', '1,000')]),
                         ['| what   |    ns |', '|--------|------:|', '| a call |     5 |', '| b      | 1,000 |'])

    def test_writes_between_the_marks_and_leaves_the_rest(self):
        with open(self.path('doc.md'), 'w', encoding='utf-8') as doc:
            doc.write('before\n<!-- costs: how -->\nold\n<!-- end of costs -->\nafter\n')
        report.write_markdown(self.path('doc.md'), 'costs', ['new'])
        with open(self.path('doc.md'), encoding='utf-8') as doc:
            self.assertEqual(doc.read(), 'before\n<!-- costs: how -->\n\nnew\n\n<!-- end of costs -->\nafter\n')

    def test_refuses_a_document_without_the_marks(self):
        with open(self.path('doc.md'), 'w', encoding='utf-8') as doc:
            doc.write('text\n')
        with self.assertRaisesRegex(Failure, 'costs'):
            report.write_markdown(self.path('doc.md'), 'costs', ['new'])

    def test_shortens_names_of_functions(self):
        for name, short in (
                ('void socktale::wire::Writer::Tag<3u, 1u>(unsigned long)', 'wire::Writer::Tag'),
                ('socktale::(anonymous namespace)::RecordReceived(socktale::CallScope const&, long)', 'RecordReceived'),
                ('auto socktale::CallScope::Real<long (*)(int), int>(long (*&)(int), int)', 'CallScope::Real'),
                ('recv', 'recv'), ('??', '??')):
            self.assertEqual(profiles.short_name(name), short)


class TraceTest(InAFolder):
    """Traces of a program whose calls are known, and claims about them."""

    def setUp(self):
        super().setUp()
        self.tracer = Tracer(argparse.Namespace(socktale=os.environ['SOCKTALE'], limit=60), self.folder)

    def record(self, *options):
        run(self.tracer.argv([_PYTHON, *_EXCHANGE], options), _EVERY, 60, self.tracer.environment)

    def test_accepts_what_the_program_did(self):
        self.record()
        self.tracer.check_calls({'write': 3, 'socketpair': 1})
        served.check(self.tracer, 6, 6000)

    def test_refuses_a_trace_that_lacks_a_call(self):
        self.record()
        with self.assertRaisesRegex(Failure, 'made 4 calls of write, the trace holds 3'):
            self.tracer.check_calls({'write': 4})
        with self.assertRaisesRegex(Failure, '100 calls at least'):
            served.check(self.tracer, 100, 6000)

    def test_refuses_a_trace_that_lacks_bytes(self):
        self.record('--payload', '1500')
        with self.assertRaisesRegex(Failure, '6000 bytes at least, the trace holds 3000'):
            served.check(self.tracer, 6, 6000)

    def test_refuses_a_damaged_trace(self):
        self.record()
        with open(self.tracer.trace, 'r+b') as trace:
            trace.truncate(os.path.getsize(self.tracer.trace) // 3)
        with self.assertRaises(Failure):
            self.tracer.check_calls({'write': 3})

    def test_tells_what_the_recorder_itself_used(self):
        spin = 'sum(range(30_000_000))'  # of the program's time nothing is the recorder's
        used = run_watched(self.tracer.argv([_PYTHON, '-c', f'{spin}; print("done")']), _EVERY, 60,
                           self.tracer.environment, memory=True)
        self.assertEqual(used.output, 'done\n')
        self.assertGreater(used.rss_kib, 1000)
        self.assertGreaterEqual(used.rss_kib, used.pss_kib)
        self.assertGreaterEqual(used.peak_kib, used.rss_kib)
        self.assertLess(used.cpu_s, 0.25)


class ServiceTest(InAFolder):

    def service(self, code):
        service = Service([_PYTHON, '-c', code], _EVERY, self.path('log'))
        self.addCleanup(service.kill)
        return service

    def test_is_ended_by_a_signal_and_gives_its_status(self):
        service = self.service('import signal; print("up", flush=True); signal.pause()')
        service.wait_until(lambda: 'up' in service.words(), 30)
        self.assertEqual(service.end(signal.SIGTERM, 30, statuses=(-signal.SIGTERM,)), -signal.SIGTERM)

    def test_that_ends_before_it_is_ready_is_told_with_its_words(self):
        with self.assertRaisesRegex(Failure, '(?s)exit 3.*no port'):
            self.service('import sys; print("no port"); sys.exit(3)').wait_until(lambda: False, 30)

    def test_that_does_not_end_is_killed(self):
        service = self.service('import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print("up", flush=True)\n'
                               'while True: signal.pause()')
        service.wait_until(lambda: 'up' in service.words(), 30)
        with self.assertRaisesRegex(Failure, 'did not end within'):
            service.end(signal.SIGTERM, 0.2)
        self.assertFalse(os.path.exists(f'/proc/{service.pid}'))

    def test_a_missing_program_is_named_with_its_package(self):
        with self.assertRaisesRegex(Missing, 'no-such-program is not installed: package some-package'):
            find('no-such-program', 'some-package')


if __name__ == '__main__':
    unittest.main()
