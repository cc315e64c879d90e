# SPDX-License-Identifier: Apache-2.0
"""Reads what test programs say of their tests: unittest's JUnit report, perl's TAP, redis's own lines. Each function
returns outcomes (outcomes.py); what is not understood is no outcome, and so a difference to a run where it was."""

import re
import xml.etree.ElementTree

from outcomes import FAILED, PASSED, SKIPPED

_TAP_LINE = re.compile(r'^(not )?ok\b(?: (\d+))?(.*)$')
_TAP_PLAN = re.compile(r'^1\.\.0\s*#\s*skip', re.IGNORECASE)
_TAP_DIRECTIVE = re.compile(r'(?<!\\)#\s*(skip|todo)', re.IGNORECASE)
_REDIS_LINE = re.compile(r'^\[(ok|err|exception|skip|ignore)\]: (.*?)(?: \(\d+ ms\))?$')
_REDIS_WORDS = {'ok': PASSED, 'err': FAILED, 'exception': 'exception', 'skip': SKIPPED, 'ignore': SKIPPED}
_COLOUR = re.compile(r'\x1b\[[0-9;]*m')


def from_junit(report):
    """report: the XML that `python3 -m test --junit-xml` writes. A test one of whose subtests failed has no name there
    (unittest tells of such a one nowhere but on the screen), and is absent."""
    outcomes = {}
    for case in xml.etree.ElementTree.fromstring(report).iter('testcase'):
        name = case.get('name')
        if name is None:
            continue
        parts = {part.tag for part in case}
        outcome = PASSED
        for tag in ('error', 'failure', 'skipped', 'outcome'):
            if tag in parts:
                outcome = {'failure': FAILED, 'skipped': SKIPPED, 'outcome': 'unexpected success'}.get(tag, tag)
                break
        else:
            if 'output' in parts:
                outcome = 'expected failure'
        outcomes[_numbered(name, outcomes)] = outcome
    return outcomes


def from_tap(file, text, status):
    """file: what the ids begin with. text: a TAP program's whole output. status: its exit status, as a shell tells it.

    A test's id is its number alone: names hold ports, pids and times. The exit status is an outcome of its own, for a
    program that dies behind its last test has not passed."""
    outcomes = {f'{file} exit': PASSED if status == 0 else f'exit {status}'}
    count = 0
    for line in text.splitlines():
        if _TAP_PLAN.match(line):
            outcomes[f'{file} all'] = SKIPPED
        match = _TAP_LINE.match(line)
        if not match:
            continue
        count = int(match.group(2) or count + 1)
        directive = _TAP_DIRECTIVE.search(match.group(3))
        outcome = FAILED if match.group(1) else PASSED
        if directive:
            outcome = SKIPPED if directive.group(1).lower() == 'skip' else f'todo, {outcome}'
        outcomes[_numbered(f'{file} {count}', outcomes)] = outcome
    return outcomes


def from_redis(text, by_lot=False):
    """text: what redis's test_helper.tcl prints. Its names are not unique: the second is called 'name (2)'.

    by_lot: the file draws lots for some seconds, so that its tests' names hold what was drawn ('#3', 'x = 4711'), and
    how often each is made is chance. All of one name without that count as one, which ends as the worst of them."""
    outcomes = {}
    for line in text.splitlines():
        match = _REDIS_LINE.match(_COLOUR.sub('', line))
        if not match:
            continue
        outcome = _REDIS_WORDS[match.group(1)]
        name = re.sub(r' in tests/\S+$', '', match.group(2)) if match.group(1) == 'err' else match.group(2)
        if by_lot:
            name = re.sub(r'\d+', 'N', name)
            if outcome == PASSED:
                outcomes.setdefault(name, outcome)
            else:
                outcomes[name] = outcome
        else:
            outcomes[_numbered(name, outcomes)] = outcome
    return outcomes


def _numbered(name, taken):
    """`name`, or 'name (2)' and so on where that one is taken."""
    number, numbered = 1, name
    while numbered in taken:
        number += 1
        numbered = f'{name} ({number})'
    return numbered
