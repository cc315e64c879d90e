# SPDX-License-Identifier: Apache-2.0
"""Single costs of recording: of one call, of a process start, of the collector, and how much can be sustained.

Each function measures one of them, checks the trace, and returns a Cost, or a list of them.
"""

import json
import os
import re
import shutil
import statistics
from typing import NamedTuple

from harness import micro, pairs
from harness.collector import run_watched
from harness.processes import Failure, run

FULL = ('--payload', 'full')


class Cost(NamedTuple):
    name: str  # as the table of figures asks for it
    words: str
    value: float
    unit: str
    remark: str = ''

    @property
    def figure(self):
        digits = 0 if abs(self.value) >= 100 else 1 if abs(self.value) >= 10 else 2
        return f'{self.value:,.{digits}f} {self.unit}'


class Bench:
    """What the functions below share. options: of the command line; tracer: socktale's."""

    def __init__(self, options, tracer):
        self.options, self.tracer = options, tracer
        self.every = os.sched_getaffinity(0)
        self.one = {max(self.every)}

    def program(self, name):
        return os.path.join(self.options.workloads, name)

    def scaled(self, n, least=1):
        return max(least, round(n * self.options.scale))

    def plain(self, argv, processors=None):
        return run(argv, processors or self.every, self.options.limit)

    def traced(self, argv, processors=None, run_options=FULL):
        """Runs it recorded, and checks the trace against the calls that it says it made. Returns what it printed."""
        self.tracer.clear()
        out = run(self.tracer.argv(argv, run_options), processors or self.every, self.options.limit,
                  self.tracer.environment)
        self.tracer.check_calls(_calls(out))
        return out

    def watched(self, argv, memory=False, run_options=()):
        """As traced; returns what the collector used."""
        self.tracer.clear()
        used = run_watched(self.tracer.argv(argv, (*FULL, *run_options)), self.every, self.options.limit,
                           self.tracer.environment, memory)
        self.tracer.check_calls(_calls(used.output))
        return used

    def steady(self, how, calls_per_s, seconds, size, threads):
        """The command of a steady load; seconds are scaled."""
        return [self.program('steady'), how, str(round(calls_per_s)), str(self.milliseconds(seconds)), str(size),
                str(threads)]

    def milliseconds(self, seconds):
        """Scaled, and not so short that nothing but the start is in it."""
        return round(1000 * seconds * max(self.options.scale, 0.04))


def _calls(output):
    return {call: int(count) for call, count in re.findall(r'^CALLS (\S+) (\d+)$', output, re.M)}


# ---- One call ----------------------------------------------------------------------------------------------------

def record_path(bench):
    """By Google Benchmark, the program pinned to one processor, the collector on another: calls that return at once,
    recorded and not."""
    argv = [bench.program('record_bench'), f'--processor={max(bench.every)}',
            f'--benchmark_repetitions={bench.scaled(7, 1)}', '--benchmark_out_format=json']

    def medians(run_it):
        path = os.path.join(os.path.dirname(bench.tracer.trace), 'record_bench.json')
        run_it([*argv, '--benchmark_out=' + path])
        with open(path, encoding='utf-8') as file:
            times = {}
            for row in json.load(file)['benchmarks']:
                if row['run_type'] == 'iteration':
                    times.setdefault(re.sub(r'/iterations.*', '', row['name']), []).append(row['median_ns'])
        return {name: statistics.median(values) for name, values in times.items()}

    plain, traced = medians(bench.plain), medians(bench.traced)
    words = {'Recorded/0': ('record_header', 'a recorded call without payload'),
             'Recorded/64': ('record_64', 'a recorded call with 64 B'),
             'Recorded/1024': ('record_1k', 'a recorded call with 1 KiB'),
             'Recorded/16384': ('record_16k', 'a recorded call with 16 KiB'),
             'NotRecorded': ('unrecorded', 'a call on a descriptor that is not recorded')}
    remark = 'Google Benchmark, the real call does nothing'
    if len(bench.every) == 1:
        remark += '; one processor for all'
    return [Cost(name, what, traced[row] - plain[row], 'ns', remark) for row, (name, what) in words.items()]


def call_64(bench):
    """64 B written and read over a socketpair, the collector on another processor."""
    measured = micro.measure('sockpair', bench.every, bench.options, bench.tracer)
    return Cost('call_64', 'a recorded call with 64 B, of the kernel', pairs.median_added_ns(measured) / 2, 'ns',
                f'socketpair; {len(measured)} pairs')


def unrecorded(bench):
    """write(/dev/null) by name and by libc's own function, in turns within one process."""
    argv = [bench.program('unrecorded'), str(bench.scaled(2000, 20))]

    def added(output):
        found = re.search(r'^ADDED ns=(-?[\d.]+)$', output, re.M)
        if not found:
            raise Failure('no ADDED in: ' + output[-300:])
        return float(found[1])

    # Once without any library in between, which is the error of the method, and once with one that only forwards.
    error = added(bench.plain(argv, bench.one))
    forwarded = added(bench.plain(['/usr/bin/env', 'LD_PRELOAD=' + bench.program('libforward.so'), *argv], bench.one))
    # Of the calls of this workload none is recorded, so there is nothing to compare.
    value = added(bench.traced(argv, bench.one))
    return Cost('unrecorded_kernel', 'write to /dev/null, not recorded, of the kernel', value, 'ns',
                f'a library that only forwards the call: {forwarded:.1f} ns; none: {error:+.1f} ns')


def start(bench):
    """From fork to the end of /usr/bin/true, in one recording."""
    argv = [bench.program('startup'), str(bench.scaled(200, 2))]
    costs = []
    for mode, processors in (('one', bench.one), ('all', bench.every)):
        def traced(processors=processors):
            return micro.Result(bench.traced(argv, processors)).ns_per_op

        def plain(processors=processors):
            return micro.Result(bench.plain(argv, processors)).ns_per_op

        measured = pairs.measure(plain, traced, bench.options.pairs)
        plain_ms = pairs.median_plain_ns(measured) / 1e6
        costs.append(Cost(f'start_{mode}', f'a process start, {mode} processor{"s" if mode == "all" else ""}',
                          pairs.median_added_ns(measured) / 1e6, 'ms',
                          f'added to {plain_ms:.2f} ms; {len(measured)} pairs'))
    return costs


# ---- Sustained ---------------------------------------------------------------------------------------------------

# What a ring keeps: a part of what the machine has, and less than it lets wait for its disk.
RING_MIB = 512


def _sustained(bench, how, calls_per_s, seconds, size, threads, ring=False):
    """Returns calls a second, and in words how it was."""
    needed = 2 * (RING_MIB << 20) if ring else calls_per_s * bench.milliseconds(seconds) / 1000 * (size + 64)
    free = shutil.disk_usage(os.path.dirname(bench.tracer.trace)).free
    if needed > 0.8 * free:
        raise Failure(f'the trace may need {needed / 1e9:.0f} GB, and {free / 1e9:.0f} GB are free: '
                      '--folder names another place, --scale shortens the run')
    used = bench.watched(bench.steady(how, calls_per_s, seconds, size, threads),
                         run_options=['--ring', f'{RING_MIB}M'] if ring else [])
    result = micro.Result(used.output)
    sent = bench.tracer.sent()
    if 2 * sent != result.ops * size:
        raise Failure(f'{result.ops} calls of {size} bytes, and the trace tells of {sent} bytes sent')
    stored = os.path.getsize(bench.tracer.trace) / result.ops
    bench.tracer.clear()
    file = f'the last {RING_MIB} MiB kept' if ring else f'{stored:,.0f} B a call in the file'
    return result.ops * 1e9 / result.ns, (f'for {result.ns / 1e9:.1f} s in {threads} threads; no drops; collector at most '
                                          f'{used.peak_kib / 1024:.0f} MiB; {file}')


def sustained_events(bench):
    """A million calls a second of 64 B for a minute; the kernel's own, and such as return at once."""
    costs = []
    for how, name, words in (('quick', 'events', 'calls that return at once'),
                             ('kernel', 'events_kernel', 'of the kernel')):
        rate, words_of_it = _sustained(bench, how, 1e6, 60, 64, 2)
        costs.append(Cost(name, f'events sustained, 64 B, {words}', rate / 1e6, 'M/s',
                          f'asked for 1.0 {words_of_it}'))
    return costs


def sustained_payload(bench):
    """1.5 GB/s for 20 s, in calls of 64 KiB: more than fits into memory, and than most disks take, so into a ring."""
    rate, words_of_it = _sustained(bench, 'quick', 1.5e9 / 65536, 20, 65536, 2, ring=True)
    return Cost('payload', 'payload sustained, calls of 64 KiB that return at once', rate * 65536 / 1e9, 'GB/s',
                f'asked for 1.5 {words_of_it}')


# ---- The collector, and the file -----------------------------------------------------------------------------------

def collector(bench):
    """Its processor time for an event and for a byte of payload, as the slope between a short and a long run: what it
    takes to start and to seal is in neither."""
    def one(calls_per_s, seconds, size):
        used = bench.watched(bench.steady('quick', calls_per_s, seconds, size, 2))
        return micro.Result(used.output).ops, used.cpu_s * 1e9

    def slope(calls_per_s, size):
        slopes = []
        for _ in range((bench.options.pairs + 1) // 2):
            (few, short_ns), (many, long_ns) = one(calls_per_s, 1, size), one(calls_per_s, 5, size)
            slopes.append((long_ns - short_ns) / (many - few))
        return statistics.median(slopes)

    # At this rate little is compressed, which is done only where there is time for it.
    event_ns = slope(1e6, 64)
    _, raw, stored = _sizes(bench)
    call_ns = slope(10e3, 65536)
    return [Cost('collector_event', 'the collector, for an event of 64 B', event_ns, 'ns',
                 f'1 M/s; compressed to {stored / raw:.0%}'),
            Cost('collector_byte', 'the collector, for a byte of bulk data', (call_ns - event_ns) / 65536, 'ns',
                 'calls of 64 KiB, 0.66 GB/s')]


def _sizes(bench):
    out = run([bench.program('trace_size'), bench.tracer.trace], bench.every, bench.options.limit)
    found = re.fullmatch(r'SIZE events=(\d+) raw_bytes=(\d+) stored_bytes=(\d+)\n', out)
    return [int(number) for number in found.groups()]


def trace_bytes(bench):
    """What a call with 64 B takes in a trace before compression."""
    result = micro.Result(bench.traced(micro.command('sockpair', bench.options.workloads, bench.options.scale)))
    events, raw, stored = _sizes(bench)
    return Cost('trace_bytes', 'a call with 64 B in the trace, uncompressed', raw / events, 'B',
                f'{stored / events:.0f} B in the file; {result.ops * 2} calls')


def memory(bench):
    """What the shim adds to a program of 2 and of 34 threads that each record 64 B calls, and the collector's own."""
    def added(threads):
        argv = bench.steady('quick', 200e3, 2, 64, threads)
        plain = _memory_kib(bench.plain(argv))
        used = bench.watched(argv, memory=True)
        traced = _memory_kib(used.output)
        return [after - before for after, before in zip(traced, plain)], used

    (few_rss, few_pss), _ = added(2)
    (many_rss, many_pss), used = added(34)
    thread_rss, thread_pss = (many_rss - few_rss) / 32, (many_pss - few_pss) / 32
    return [Cost('program_mib', 'memory added to a program', (few_rss - 2 * thread_rss) / 1024, 'MiB',
                 f'resident; {(few_pss - 2 * thread_pss) / 1024:.2f} with shared pages shared out'),
            Cost('thread_kib', 'memory added for each of its threads', thread_rss, 'KiB',
                 f'resident; {thread_pss:.0f} with shared pages shared out'),
            Cost('collector_mib', 'memory of the collector', used.rss_kib / 1024, 'MiB',
                 f'resident, most seen; {used.pss_kib / 1024:.2f} with shared pages shared out')]


def _memory_kib(output):
    found = re.search(r'^MEMORY rss_kib=(\d+) pss_kib=(\d+)$', output, re.M)
    if not found:
        raise Failure('no MEMORY in: ' + output[-300:])
    return int(found[1]), int(found[2])


COSTS = {'record_path': record_path, 'call_64': call_64, 'unrecorded': unrecorded, 'start': start,
         'trace_bytes': trace_bytes, 'memory': memory, 'collector': collector, 'sustained_events': sustained_events,
         'sustained_payload': sustained_payload}
PROGRAMS = ('record_bench', 'sockpair', 'unrecorded', 'startup', 'steady', 'trace_size')


def measure(name, options, tracer):
    """Returns a list of Cost. name: one of COSTS."""
    found = COSTS[name](Bench(options, tracer))
    tracer.clear()
    return [found] if isinstance(found, Cost) else found
