# SPDX-License-Identifier: Apache-2.0
"""The figures that recording is judged by: what each must be at least (good), what it is to become (goal), and where
it is measured. Ratios are those of everything on one processor, so that no work hides on another."""

import os
from typing import NamedTuple

from harness import costs, micro, peers, served
from harness.pairs import median_ratio
from harness.processes import Failure, Missing


class Figure(NamedTuple):
    words: str
    source: tuple  # ('micro', workload), ('server', name) or ('cost', Cost.name)
    good: float
    goal: float
    unit: str = ''  # none: a ratio
    more_is_better: bool = False

    def verdict(self, value):
        def reaches(limit):
            # A rate is paced: what was asked for is reached if almost nothing of it is missing.
            return value >= 0.995 * limit if self.more_is_better else value <= limit
        return 'goal' if reaches(self.goal) else 'good' if reaches(self.good) else 'missed'

    def text(self, value):
        if not self.unit:
            return f'{value:.2f}'
        digits = 2 if abs(value) < 10 else 0
        return f'{value:.{digits}f} {self.unit}'

    def limit(self, value):
        return f'{value:.2f}' if not self.unit else f'{value:g} {self.unit}'


FIGURES = [
    Figure('added per 64 B call, in the program', ('cost', 'call_64'), 120, 60, 'ns'),
    Figure('the same, where the real call does nothing', ('cost', 'record_64'), 120, 45, 'ns'),
    Figure('a recorded call without payload, likewise', ('cost', 'record_header'), 120, 35, 'ns'),
    Figure('call on a descriptor that is not recorded', ('cost', 'unrecorded'), 5, 2, 'ns'),
    Figure('socketpair, 64 B', ('micro', 'sockpair'), 1.12, 1.05),
    Figure('TCP ping-pong', ('micro', 'tcp_pingpong'), 1.06, 1.03),
    Figure('UNIX ping-pong', ('micro', 'unix_pingpong'), 1.06, 1.03),
    Figure('connection churn, all 14 calls', ('micro', 'tcp_churn'), 1.08, 1.03),
    Figure('8 + 8 threads', ('micro', 'tcp_threads'), 1.10, 1.04),
    Figure('TCP bulk, 64 KiB, both ends kept', ('micro', 'tcp_bulk_full'), 1.8, 1.3),
    Figure('redis, server traced', ('server', 'redis'), 1.05, 1.03),
    Figure('nginx, 1 KiB, server traced', ('server', 'nginx_1k'), 1.10, 1.05),
    Figure('pgbench, server traced', ('server', 'pgbench'), 1.08, 1.04),
    Figure('iperf3, server traced', ('server', 'iperf3'), 1.6, 1.3),
    Figure('process start', ('cost', 'start_one'), 1.0, 0.4, 'ms'),
    Figure('events a second sustained', ('cost', 'events'), 0.7, 1.0, 'M/s', more_is_better=True),
    Figure('payload a second sustained', ('cost', 'payload'), 1.5, 1.5, 'GB/s', more_is_better=True),
    Figure('collector, an event', ('cost', 'collector_event'), 150, 60, 'ns'),
    Figure('collector, a byte', ('cost', 'collector_byte'), 0.35, 0.25, 'ns'),
    Figure('trace bytes for a 64 B call, uncompressed', ('cost', 'trace_bytes'), 104, 90, 'B'),
    Figure('memory, program', ('cost', 'program_mib'), 2, 1, 'MiB'),
    Figure('memory, each of its threads', ('cost', 'thread_kib'), 256, 64, 'KiB'),
    Figure('memory, collector', ('cost', 'collector_mib'), 32, 16, 'MiB'),
]

# Which function of harness.costs measures what.
COST_OF = {'call_64': 'call_64', 'record_64': 'record_path', 'record_header': 'record_path',
           'unrecorded': 'record_path', 'start_one': 'start', 'events': 'sustained_events', 'payload': 'sustained_payload',
            'collector_event': 'collector', 'collector_byte': 'collector', 'trace_bytes': 'trace_bytes',
            'program_mib': 'memory', 'thread_kib': 'memory', 'collector_mib': 'memory'}


class Measured(NamedTuple):
    value: float
    free: float = None  # the ratio where all processors are free


class Measurements:
    """Measures what figures ask for, each source once. options: of the command line; tracer: socktale's."""

    def __init__(self, options, tracer, processors):
        """processors: [(words, numbers)], one and all."""
        self._options, self._tracer, self._processors = options, tracer, processors
        self._costs = {}

    def of(self, figure):
        """Returns Measured; raises Failure."""
        kind, name = figure.source
        if kind == 'cost':
            if name not in self._costs:
                self._costs |= {cost.name: cost.value
                                for cost in costs.measure(COST_OF[name], self._options, self._tracer)}
            return Measured(self._costs[name])
        module = micro if kind == 'micro' else served
        ratios = [median_ratio(module.measure(name, numbers, self._options, self._tracer))
                  for _, numbers in self._processors]
        return Measured(*ratios)


class Beside:
    """What LTTng-UST and strace cost on the same workloads, in the same session and on one processor.

    complaints: why one of them could not be measured.
    """

    _NAMES = {'lttng': 'LTTng-UST', 'strace': 'strace'}

    def __init__(self, options, folder, processors):
        self._options, self._processors, self._peers, self.complaints = options, processors, {}, []
        for name in self._NAMES:
            try:
                self._peers[name] = peers.PEERS[name](os.path.join(folder, name), options)
            except Missing as missing:
                self._gone(name, missing)

    def _gone(self, name, why):
        self._peers.pop(name, None)
        self.complaints.append(f'{self._NAMES[name]} could not be measured: {why}')

    def ratios(self, figure):
        """{name: ratio}, of those that could be measured; empty where the figure is not one of a workload."""
        kind, workload = figure.source
        found = {}
        for name in list(self._peers) if kind == 'micro' else []:
            try:
                compared = peers.measure(self._peers[name], workload, self._processors, self._options)
                found[self._NAMES[name]] = median_ratio(compared.pairs)
            except Missing as missing:
                self._gone(name, missing)
            except Failure as failure:
                self.complaints.append(f'{self._NAMES[name]}, {workload}: {failure}')
        return found
