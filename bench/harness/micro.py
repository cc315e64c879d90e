# SPDX-License-Identifier: Apache-2.0
"""The workloads of bench/workloads: programs that do nothing but calls on sockets, and time their own loops."""

import os
import re
from typing import NamedTuple

from harness import pairs
from harness.processes import Failure, run


class Workload(NamedTuple):
    words: str  # what it is
    argv: list  # {n}: the number of operations
    n: int
    calls: int  # system calls of one operation
    run_options: tuple = ()  # of `socktale run`


WORKLOADS = {
    'sockpair': Workload('socketpair, 64 B', ['sockpair', '{n}', '64'], 200000, 2),
    'tcp_pingpong': Workload('TCP ping-pong, 64 B', ['pingpong', 'tcp', '{n}', '64'], 20000, 4),
    'unix_pingpong': Workload('UNIX ping-pong, 64 B', ['pingpong', 'unix', '{n}', '64'], 20000, 4),
    'tcp_bulk': Workload('TCP bulk, 64 KiB', ['bulk', '{n}', '65536'], 4000, 2),
    'tcp_churn': Workload('TCP connections, 14 calls each', ['churn', '{n}'], 5000, 14),
    'tcp_threads': Workload('8 + 8 threads, 64 B', ['threads', '8', '{n}', '64'], 2500, 4),
    'tcp_bulk_full': Workload('TCP bulk, every byte kept', ['bulk', '{n}', '65536'], 4000, 2, ('--payload', 'full')),
}
PROGRAMS = sorted({workload.argv[0] for workload in WORKLOADS.values()})


class Result:
    """What one run of a workload printed."""

    def __init__(self, output):
        found = re.search(r'^RESULT (\S+) ns=(\d+) ops=(\d+) bytes=(\d+)$', output, re.M)
        if not found or int(found[2]) == 0 or int(found[3]) == 0:
            raise Failure('no RESULT in: ' + output[-300:])
        self.ns, self.ops, self.bytes = int(found[2]), int(found[3]), int(found[4])
        self.calls = {call: int(count) for call, count in re.findall(r'^CALLS (\S+) (\d+)$', output, re.M)}

    @property
    def ns_per_op(self):
        return self.ns / self.ops


def command(name, folder, scale):
    """The workload's command. folder: of the workloads as built; scale: multiplies the number of operations."""
    workload = WORKLOADS[name]
    argv = [word.replace('{n}', str(max(1, int(workload.n * scale)))) for word in workload.argv]
    return [os.path.join(folder, argv[0])] + argv[1:]


def measure(name, processors, options, tracer):
    """Returns the calm pairs of runs of a workload, or all where there are not two of them."""
    argv = command(name, options.workloads, options.scale)

    def plain():
        return Result(run(argv, processors, options.limit)).ns_per_op

    def traced():
        tracer.clear()
        result = Result(run(tracer.argv(argv, WORKLOADS[name].run_options), processors, options.limit,
                            tracer.environment))
        tracer.check_calls(result.calls)
        return result.ns_per_op

    measured = pairs.measure(plain, traced, options.pairs)
    tracer.clear()
    return measured
