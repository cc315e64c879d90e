# SPDX-License-Identifier: Apache-2.0
"""Recording by socktale, or running under another program; and what a trace must hold."""

import json
import os
import shlex

from harness.processes import Failure, run


class Tracer:
    """What a traced run is put behind. folder: where its trace and socktale's state go."""

    def __init__(self, options, folder, command=None):
        self.trace = os.path.join(folder, 'bench.tale')
        self.socktale = options.socktale
        self.command = shlex.split(command) if command else None
        # Nothing of the user's: neither configuration nor the list of traces.
        self.environment = dict(os.environ, XDG_STATE_HOME=folder, XDG_CONFIG_HOME=folder)
        self.limit_s = options.limit

    @property
    def name(self):
        return shlex.join(self.command) if self.command else 'socktale run'

    def argv(self, program, options=()):
        """The command that runs `program` traced; options: of `socktale run`."""
        if self.command:
            return [word.replace('{trace}', self.trace) for word in self.command] + program
        return [self.socktale, 'run', '-q', '-o', self.trace, *options, '--', *program]

    def clear(self):
        for path in (self.trace, self.trace + '.part'):
            if os.path.exists(path):
                os.unlink(path)

    def told(self):
        """What `socktale info` says of the trace: counts by call, and its line about the whole. Raises Failure where
        an event is missing, or a byte that is not told to be cut."""
        info = run([self.socktale, 'info', '--json', self.trace], os.sched_getaffinity(0), self.limit_s,
                   self.environment)
        lines = [json.loads(line) for line in info.splitlines()]
        counts = {line['call']: line['count'] for line in lines if line.get('type') == 'calls'}
        trace = next(line for line in lines if line.get('type') == 'trace')
        if trace.get('dropped') != 0 or trace.get('unreadable'):
            missing = ', '.join(f'{row["kind"]} {row["count"]}' for row in trace['missing'])
            raise Failure(f'the trace is not whole: {trace["dropped"]} events were dropped, {trace["events"]} kept; '
                          f'missing: {missing or "parts that cannot be read"}')
        cut = sum(row['count'] for row in trace['missing'] if row['kind'] == 'payload_cut')
        if trace['moved'] != trace['kept'] + cut and not any(row['kind'] == 'ring' for row in trace['missing']):
            raise Failure(f'{trace["moved"]} bytes moved, {trace["kept"]} kept, {cut} told to be cut')
        return counts, trace

    def sent(self):
        """Bytes that all connections' ends sent, as `socktale conns` tells it."""
        conns = run([self.socktale, 'conns', '--json', self.trace], os.sched_getaffinity(0), self.limit_s, self.environment)
        lines = [json.loads(line) for line in conns.splitlines()]
        return sum(line[end]['sent'] for line in lines if line['type'] == 'conn' for end in ('client', 'server'))

    def check_calls(self, calls):
        """Compares the trace with the calls that a program says it made: function to count. A ring may have given some
        back."""
        if self.command:
            return
        recorded, trace = self.told()
        ring = any(row['kind'] == 'ring' for row in trace['missing'])
        for call, count in calls.items():
            if recorded.get(call, 0) > count or (recorded.get(call, 0) < count and not ring):
                raise Failure(f'the workload made {count} calls of {call}, the trace holds {recorded.get(call, 0)}')
