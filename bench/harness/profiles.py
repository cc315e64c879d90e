# SPDX-License-Identifier: Apache-2.0
"""Where a workload's time goes, by samples of perf, and the instructions of single calls, counted one by one."""

import collections
import os
import re
import subprocess

from harness import micro
from harness.processes import Failure, Missing, find, run

FREQUENCY = 4000  # samples a second


class Sample:
    """Samples of one function."""

    def __init__(self, count, program, place, function):
        self.count, self.program, self.place, self.function = count, program, place, function


def samples(argv, folder, processors, options, tracer):
    """Runs a workload recorded under perf. Returns [Sample] and what the workload says of itself. Missing where perf
    cannot sample here."""
    perf = find('perf', 'linux-perf')
    data = os.path.join(folder, 'perf.data')
    tracer.clear()
    command = [perf, 'record', '-q', '-e', 'cpu-clock', '-F', str(FREQUENCY), '-o', data, '--']
    try:
        out = run([*command, *tracer.argv(argv, ('--payload', 'full'))], processors, options.limit, tracer.environment)
    except Failure as failure:
        if 'perf_event' in str(failure) or 'not supported' in str(failure):
            raise Missing(f'perf cannot sample here: {failure}') from None
        raise
    result = micro.Result(out)
    tracer.check_calls(result.calls)
    report = run([perf, 'report', '-i', data, '--stdio', '-q', '-t', '|', '-F', 'sample,comm,dso,sym'],
                 os.sched_getaffinity(0), options.limit)
    found = []
    for line in report.splitlines():
        words = [word.strip() for word in line.split('|')]
        if len(words) >= 4 and words[0].isdigit():
            # "[.] name" or "[k] name", and columns that newer versions of perf add.
            found.append(Sample(int(words[0]), words[1], words[2], re.sub(r'^\[.\] ', '', words[3])))
    if not found:
        raise Missing('perf took no samples here')
    return found, result


def by_place(found):
    """Counts of samples by (program, place), most first."""
    counts = collections.Counter()
    for sample in found:
        counts[sample.program, sample.place] += sample.count
    return counts.most_common()


class Instructions:
    """What a call executes: instructions per call by (place, function), counted in a process of its own."""

    def __init__(self, kind, size, calls, options, tracer):
        """kind: send, recv, or read for a call that is not recorded."""
        argv = [os.path.join(options.workloads, name) for name in ('step_calls', 'marked_calls')]
        tracer.clear()
        output = run(tracer.argv([*argv, kind, str(calls), str(size)], ('--payload', 'full')), os.sched_getaffinity(0),
                     options.limit, tracer.environment)
        tracer.check_calls({name: int(count) for name, count in re.findall(r'^CALLS (\S+) (\d+)$', output, re.M)})
        maps = [(int(start, 16), int(end, 16), int(offset, 16), path) for start, end, offset, path in
                re.findall(r'^MAP (\w+) (\w+) (\w+) (.*)$', output, re.M)]
        counts = {int(address, 16): int(count) for address, count in re.findall(r'^AT (\w+) (\d+)$', output, re.M)}
        by_file = collections.defaultdict(dict)
        for address, count in counts.items():
            start, _, offset, path = next((row for row in maps if row[0] <= address < row[1]), (0, 0, 0, '?'))
            by_file[path][address - start + offset] = count
        self.functions = collections.Counter()
        for path, rows in by_file.items():
            names = _functions(path, list(rows)) if os.path.exists(path) else [''] * len(rows)
            for name, count in zip(names, rows.values()):
                self.functions[os.path.basename(path), name] += count / calls

    def of(self, place):
        """Instructions per call in one file."""
        return sum(count for (where, _), count in self.functions.items() if where == place)

    def rows(self, place):
        """(function, instructions per call) in one file, most first."""
        return [(name, count) for (where, name), count in self.functions.most_common() if where == place]


def _functions(path, offsets):
    """The function at each offset of a file; with debug information the innermost that was inlined there."""
    done = subprocess.run([find('addr2line', 'binutils'), '-Cfe', path, *map(hex, _addresses(path, offsets))],
                          capture_output=True, text=True, check=True)
    return [short_name(name) for name in done.stdout.splitlines()[::2]]


def short_name(name):
    """A demangled function without our namespace, its result, its arguments and those of templates:
    "wire::Writer::Tag" of "void socktale::wire::Writer::Tag<3u, 1u>(unsigned long)"."""
    name = name.replace('(anonymous namespace)::', '').replace('socktale::', '')
    short, depth = '', 0
    for letter in name:
        depth += letter == '<'
        if depth == 0 and letter == '(':
            break
        if depth == 0:
            short += letter
        depth -= letter == '>'
    return short.strip().rpartition(' ')[2] or name


def _addresses(path, offsets):
    """Offsets in a file as the addresses that it was linked for."""
    headers = run([find('readelf', 'binutils'), '-lW', path], os.sched_getaffinity(0), 60)
    segments = [tuple(int(word, 16) for word in row) for row in
                re.findall(r'^ +LOAD +(0x\w+) (0x\w+) 0x\w+ (0x\w+)', headers, re.M)]

    def address_of(offset):
        return next((offset - start + address for start, address, size in segments if start <= offset < start + size),
                    offset)

    return [address_of(offset) for offset in offsets]
