# SPDX-License-Identifier: Apache-2.0
"""What all hazards share: a program run untraced and under `socktale run`, its two behaviours compared, and the words
to ask the trace with.

SOCKTALE names the program under test, HAZARDS the folder of the built programs, WORKLOADS that of tests/workloads.
"""

import base64
import collections
import json
import os
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'e2e'))
from scenario import PYTHON, Scenario, program  # noqa: E402, F401 (for the tests)


# Kinds of proto/stats.def that tell of no loss.
NOTES = set(re.findall(r'^STAT\((\w+), note,', (HERE.parents[1] / 'proto/stats.def').read_text(), re.MULTILINE))


def payload(event):
    """The bytes that the trace keeps of an event."""
    return base64.b64decode(event['b64']) if 'b64' in event else event.get('text', '').encode()


class Hazard(Scenario):
    """One thing that programs do and that tracers trip over. Scenario's run_program checks exit statuses."""

    seconds = 100

    def setUp(self):
        super().setUp()
        if not self.socktale:
            self.fail('a hazard is about a traced run: SOCKTALE does not name the program under test')
        self._events = None  # of the trace as it is now, once asked for

    @staticmethod
    def built(name):
        """Path of programs/NAME.c as built, or of the library programs/libNAME.c when name ends in .so."""
        return str(pathlib.Path(os.environ['HAZARDS']) / name)

    @staticmethod
    def workload(name):
        return str(pathlib.Path(os.environ['WORKLOADS']) / name)

    # ---- Behaviour ---------------------------------------------------------------------------------------------------

    def traced_run(self, argv, status=0, options=(), **others):
        """stdout, stderr of the program under `socktale run -q`. others: of run_program (env, stdin, pass_fds, …)."""
        pathlib.Path(self.trace).unlink(missing_ok=True)
        self._events = None
        return self.run_program([self.socktale, 'run', '-q', *options, '-o', self.trace, '--', *argv], status, **others)

    def same_behaviour(self, argv, status=0, options=(), **others):
        """Runs a program untraced, then traced: the exit status (negative: the signal) must be `status` both times, and
        stdout and stderr the same bytes. Programs print what else must not change: descriptor numbers, errno. Returns
        stdout, stderr. The trace is the traced run's."""
        plain = self.run_program(argv, status, **others)
        traced = self.traced_run(argv, status, options, **others)
        self.assertEqual(traced, plain, f'{argv}: (stdout, stderr) traced, then untraced')
        return plain

    # ---- The trace ---------------------------------------------------------------------------------------------------

    def _show(self):
        stdout, _ = self.run_program([self.socktale, 'show', '--json', '-q', '-t', self.trace])
        return [json.loads(line) for line in stdout.splitlines()]

    def in_calls(self):
        """The calls that had not returned when the trace ended."""
        return [row for row in self._show() if row['type'] == 'in_call']

    def events(self, *calls, **fields):
        """The recorded events in order: of these calls, all if there are none; with these values of their JSON fields."""
        if self._events is None:
            self._events = [row for row in self._show() if row['type'] == 'event']
        found = [event for event in self._events if not calls or event['call'] in calls]
        return [event for event in found if all(event.get(name) == value for name, value in fields.items())]

    def counts(self):
        """call → how often it was recorded."""
        return collections.Counter(event['call'] for event in self.events())

    def payloads(self, *calls):
        """The bytes kept of each event of these calls that has some."""
        return [payload(event) for event in self.events(*calls) if payload(event)]

    def programs(self):
        """Paths of the programs that were recorded from their start, in order, with duplicates."""
        return [event['path'] for event in self.events('attached') if event['reason'] != 'fork']

    def info(self):
        """What `info --json` says of the trace as a whole."""
        return self.tale.json('info', self.trace)[1]

    def assert_complete(self, *named):
        """No event was dropped, the file is whole, and the completeness statement names these kinds (proto/stats.def)
        and no other. Notes (descriptors closed unseen and the like) tell of no lost event and are left aside."""
        info = self.info()
        self.assertTrue(info['sealed'], info)
        missing = {row['kind'] for row in info['missing']} - NOTES
        self.assertEqual(sorted(missing), sorted(named), info['missing'])
        self.assertEqual(info['dropped'], 0, info['missing'])
