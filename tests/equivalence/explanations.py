# SPDX-License-Identifier: Apache-2.0
"""What may differ, and why: explanations.toml, and the project's own list of names that are not hooked.

A rule is a table `[[rule]]` with a `reason` and patterns that must all match (whole words, Python's regular
expressions): kind (missing, extra, payload), program (the scenario), call, result, origin, entry (a name of libc's
function that was called first), words (anywhere in the line that is printed of the call). With `most` it explains that
many differences of a scenario and no more.
"""

import re
import tomllib

from calls import EXPORTED

_PATTERNS = ('kind', 'program', 'call', 'result', 'origin', 'entry', 'words')


class Rule:
    """One explanation; used counts what it explained."""

    def __init__(self, table):
        unknown = set(table) - set(_PATTERNS) - {'reason', 'most'}
        if unknown or not table.get('reason') or not set(table) & set(_PATTERNS):
            raise ValueError(f'a rule needs a reason and patterns among {", ".join(_PATTERNS)}: {table}')
        self.reason = table['reason']
        self.used = 0
        self._most = table.get('most')
        self._of_program = {}
        self._patterns = {name: re.compile(table[name]) for name in _PATTERNS if name in table}

    def explains(self, program, difference):
        """Asked once for each difference of a program, since `most` counts."""
        call = difference.call
        values = {'kind': [difference.kind], 'program': [program], 'call': [call.call], 'result': [str(call.result)],
                  'origin': [call.origin], 'entry': call.entry}
        for name, pattern in self._patterns.items():
            if name == 'words':
                if not pattern.search(call.line):
                    return False
            elif not any(pattern.fullmatch(value) for value in values[name]):
                return False
        count = self._of_program[program] = self._of_program.get(program, 0) + 1
        return self._most is None or count <= self._most

    def __str__(self):
        return ' '.join(f'{name}={pattern.pattern!r}' for name, pattern in self._patterns.items())


class Explanations:
    """rules: of explanations.toml. not_hooked: names of not_hooked.def → its reason."""

    def __init__(self, rules, not_hooked=None):
        self.rules = rules
        self._not_hooked = not_hooked or {}
        self.not_hooked_used = {}

    @classmethod
    def of_files(cls, toml, not_hooked_def):
        with open(toml, 'rb') as file:
            rules = [Rule(table) for table in tomllib.load(file).get('rule', [])]
        with open(not_hooked_def, encoding='utf-8') as file:
            names = dict(re.findall(r'^NOT_HOOKED\((\w+), "([^"]*)"\)', file.read(), re.MULTILINE))
        return cls(rules, names)

    def reason(self, program, difference):
        """Why this difference may be; None when nothing explains it."""
        for rule in self.rules:
            if rule.explains(program, difference):
                rule.used += 1
                return rule.reason
        if difference.kind == 'missing' and difference.call.origin == EXPORTED:
            for name in difference.call.entry:
                if name in self._not_hooked:
                    self.not_hooked_used[name] = self.not_hooked_used.get(name, 0) + 1
                    return f'not_hooked.def: {name}: {self._not_hooked[name]}'
        return None

    def unused(self):
        return [rule for rule in self.rules if rule.used == 0]
