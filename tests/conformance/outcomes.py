# SPDX-License-Identifier: Apache-2.0
"""What became of each test of a suite in several runs, and what those runs say together.

An outcome is a word: 'passed', 'skipped', or another for what is neither ('failed', 'error', …). The outcomes of one
run are a dict from a test's id, unique in its suite, to its outcome. A test that a run did not reach is not in it.
"""

import dataclasses

PASSED, FAILED, SKIPPED, ABSENT = 'passed', 'failed', 'skipped', 'absent'


@dataclasses.dataclass(frozen=True)
class Difference:
    """A test that every plain run ended alike, and traced run number `run` (from 1) otherwise."""
    test: str
    plain: str
    traced: str
    run: int

    def in_words(self):
        return f'{self.test}: {self.plain} plain, {self.traced} in traced run {self.run}'


@dataclasses.dataclass(frozen=True)
class Comparison:
    """tests: how many there are in all runs together. passed_plain: how many pass in every plain run; passed_traced:
    in each traced run, of those that are not flaky. flaky: test → its outcomes in the plain runs, in order."""
    tests: int
    passed_plain: int
    passed_traced: tuple
    flaky: dict
    differences: tuple


def compare(plain, traced):
    """plain, traced: lists of runs' outcomes; of each at least one. A test is flaky when two plain runs differ in it,
    and then no traced outcome of it is a difference: a single plain run knows no flaky tests."""
    if not plain or not traced:
        raise ValueError(f'{len(plain)} plain and {len(traced)} traced runs: there is nothing to compare')
    tests = sorted(set().union(*plain, *traced))
    flaky, differences = {}, []
    passed_plain, passed_traced = 0, [0] * len(traced)
    for test in tests:
        before = [run.get(test, ABSENT) for run in plain]
        if len(set(before)) > 1:
            flaky[test] = tuple(before)
            continue
        passed_plain += before[0] == PASSED
        for index, run in enumerate(traced):
            outcome = run.get(test, ABSENT)
            passed_traced[index] += outcome == PASSED
            if outcome != before[0]:
                differences.append(Difference(test, before[0], outcome, index + 1))
    return Comparison(len(tests), passed_plain, tuple(passed_traced), flaky, tuple(differences))
