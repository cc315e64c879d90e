# SPDX-License-Identifier: Apache-2.0
"""A server that meets a fault, untraced and traced: what both runs have in common, and what the trace must hold."""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'e2e'))
from scenario import PYTHON, Scenario  # noqa: E402


class Fault(Scenario):
    """One act of programs/, a Python program that starts a server, talks to it, and does to it what can be done to a
    server. The act tells what it was answered and which processes it saw (programs/stage.py)."""

    seconds = 300

    def meet(self, act, roles, *arguments, missing=()):
        """Plays the act untraced, then traced. roles: name of a program → how many processes of it there are at least.
        missing: the kinds of what `socktale info` says is not in the trace; nothing but these, and none of them absent.
        Returns what the traced run told, or the untraced where there is no program under test."""
        plain = self._play('plain', [], act, arguments)
        self.assertTrue(plain['answers'])
        self._assert_roles(plain, roles)
        if not self.tale:
            return plain
        traced = self._play('traced', self.traced([]), act, arguments)
        self.maxDiff = 3000
        self.assertEqual(traced['answers'], plain['answers'], 'answers: first traced, second untraced')
        self._assert_roles(traced, roles)
        self._assert_all_recorded(traced)
        self._assert_complete(missing)
        return traced

    def _play(self, name, before, act, arguments):
        place = self.dir / name
        place.mkdir()
        place.chmod(0o755)
        told = place / 'told.json'
        self.run_program([*before, PYTHON, '-B', HERE / 'programs' / f'{act}.py', told, *arguments])
        return json.loads(told.read_text(encoding='utf-8'))

    def _assert_roles(self, told, roles):
        for role, least in roles.items():
            seen = [pid for pid, name in told['processes'].items() if name == role]
            self.assertGreaterEqual(len(seen), least, f'processes of {role}: {told["processes"]}')

    def _assert_all_recorded(self, told):
        """Every process that the act saw is in the trace, from its first program on, with calls, and none dropped."""
        rows, about = self.tale.json('info', self.trace)
        self.assertEqual(about['dropped'], 0)
        self.assertTrue(about['sealed'], about)
        recorded = {}
        for row in rows:
            if row['type'] == 'process':
                recorded.setdefault(row['pid'], []).append(row)
        for pid, name in told['processes'].items():
            processes = recorded.get(int(pid), [])
            self.assertTrue(processes, f'{name}[{pid}] is not in the trace')
            for process in processes:
                self.assertGreater(process['events'], 0, process)
                self.assertEqual([image for image in process['images'] if not image['recorded']], [], process)
                self.assertEqual(process['dropped'], 0, process)

    def _assert_complete(self, missing):
        """The completeness statement names exactly these kinds, to scripts and to people."""
        rows, _ = self.tale.json('info', self.trace)
        said = {row['kind']: row['words'] for row in rows if row['type'] == 'missing'}
        self.assertEqual(sorted(said), sorted(missing), said)
        words = self.tale.command('info', self.trace).decode()
        self.assertIn('What is missing', words)
        statement = words.partition('What is missing')[2]
        for each in said.values():
            self.assertIn(each.split(' (')[0].split(': ')[0], ' '.join(statement.split()))
        self.assertEqual('Nothing' in statement, not missing, statement)
