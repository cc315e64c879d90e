# SPDX-License-Identifier: Apache-2.0
"""Other recorders that Debian 12 ships, each told to record the same: the calls on sockets with all their bytes, or as
near to that as it comes. One that cannot run here raises Missing with its own words."""

import os
import re
import shutil
import signal
import subprocess
import time

from harness import micro, pairs
from harness.processes import Failure, Missing, Service, find, run

DATA = ('read', 'write', 'sendto', 'recvfrom')


class Peer:
    """folder: its own, for what it records. Missing where it is not installed. A subclass either puts itself before the program (argv) or runs beside it
    (start, stop)."""

    words = ''
    installed = ()  # the program, and its package
    records = ''  # less than all calls with all bytes: what
    slow = False  # a tenth of the operations is enough
    only_tcp = False

    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.output = os.path.join(folder, 'recorded')
        self.service = None  # what runs beside the program
        self.program = find(*self.installed)
        self.prepare()

    def prepare(self):
        """Raises Missing where it is installed and cannot be used here."""

    def clear(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)

    def start(self, program, processors):
        """Before the program: its name, and the processors of everything."""

    def argv(self, program):
        return program

    def stop(self):
        """After the program's end."""

    def kill(self):
        """Ends what still runs, after a failure."""
        if self.service:
            self.service.kill()

    def told(self, _result):
        """What share of the calls with payload it told of, None: not counted. _result: what the workload says."""
        return None

    def count_lines(self, pattern):
        done = subprocess.run(['grep', '-acE', pattern, self.output], capture_output=True, text=True)
        return int(done.stdout or 0)


def _payload_calls(result):
    return sum(result.calls.get(call, 0) for call in ('read', 'write', 'send', 'recv'))


class Strace(Peer):
    words = 'strace -f -s 65536'
    installed = ('strace', 'strace')
    slow = True
    options_of_its = ()

    def argv(self, program):
        return [self.program, '-f', '-ttt', '-T', '-s', '65536', *self.options_of_its, '-o', self.output, '-e',
                'trace=%network,read,write,readv,writev,close', *program]

    def told(self, result):
        return self.count_lines(r'^[0-9]+ +[0-9.]+ (<\.\.\. )?(read|write|sendto|recvfrom)[( ].* = [0-9]+ <') / \
            _payload_calls(result)


class StraceSeccomp(Strace):
    words = 'strace -f -s 65536 --seccomp-bpf'
    options_of_its = ('--seccomp-bpf',)


class Ltrace(Peer):
    words = 'ltrace -f -s 65536'
    installed = ('ltrace', 'ltrace')
    slow = True

    def argv(self, program):
        return [self.program, '-f', '-ttt', '-T', '-s', '65536', '-o', self.output, '-e',
                'read+write+send+recv+connect+accept+close+socket', *program]

    def told(self, result):
        return self.count_lines(r'(->|\.\.\. )(read|write)(\(| resumed).* = [0-9]+ <') / _payload_calls(result)


class PerfTrace(Peer):
    words = 'perf trace'
    installed = ('perf', 'linux-perf')
    records = 'no bytes'
    slow = True

    def prepare(self):
        _try([self.program, 'trace', '-o', '/dev/stderr', '-e', 'write', '/bin/true'])

    def argv(self, program):
        return [self.program, 'trace', '-o', self.output, '-e',
                'read,write,sendto,recvfrom,connect,accept,close,socket', *program]

    def told(self, result):
        return self.count_lines(r'(read|write|sendto|recvfrom)\(.*= [0-9]+$') / _payload_calls(result)


class Bpftrace(Peer):
    words = 'bpftrace'
    installed = ('bpftrace', 'bpftrace')
    records = '200 B of a call'
    slow = True

    def prepare(self):
        _try([self.program, '-e', 'tracepoint:syscalls:sys_enter_write { exit(); } interval:ms:200 { exit(); }'])

    def start(self, program, processors):
        lines = ['BEGIN { printf("ready\\n"); }']
        for call, buffer in zip(DATA, ('buf', 'buf', 'buff', 'ubuf')):
            lines.append(f'tracepoint:syscalls:sys_enter_{call} /comm == "{os.path.basename(program)}"/ '
                         f'{{ @begun[tid] = nsecs; @at[tid] = (uint64)args->{buffer}; @fd[tid] = (uint64)args->fd; }}')
            lines.append(f'tracepoint:syscalls:sys_exit_{call} /@begun[tid]/ '
                         f'{{ printf("%llu %llu %d %d {call} %d %r\\n", @begun[tid], nsecs, pid, @fd[tid], args->ret, '
                         'buf(@at[tid], (uint64)(args->ret > 0 ? args->ret : 0))); '
                         'delete(@begun[tid]); delete(@at[tid]); delete(@fd[tid]); }')
        script = os.path.join(self.folder, 'script.bt')
        with open(script, 'w', encoding='utf-8') as file:
            file.write('\n'.join(lines))
        self.service = Service([self.program, '-B', 'full', '-o', self.output, script], processors,
                               os.path.join(self.folder, 'log'),
                               dict(os.environ, BPFTRACE_STRLEN='200', BPFTRACE_PERF_RB_PAGES='4096'))
        self.service.wait_until(lambda: os.path.exists(self.output) and self.count_lines('^Attaching') > 0,
                                self.options.limit)
        # What it prints is buffered, so its "ready" does not come; attached it is when the kernel says so.
        self.service.wait_until(lambda: _perf_events(self.service.pid) >= 2 * len(DATA), self.options.limit)

    def stop(self):
        # It takes what the kernel still holds for it as long as nobody ends it.
        before, since = -1, time.monotonic()
        while time.monotonic() < since + 0.5:
            size = os.path.getsize(self.output)
            if size != before:
                before, since = size, time.monotonic()
            time.sleep(0.05)
        self.service.end(signal.SIGINT, self.options.limit)

    def told(self, result):
        return self.count_lines(r'^[0-9]+ [0-9]+ [0-9]+ [0-9]+ (read|write|sendto|recvfrom) [0-9]+ ') / \
            _payload_calls(result)


def _perf_events(pid):
    """How many perf events a process holds open."""
    try:
        folder = f'/proc/{pid}/fd'
        return sum(os.readlink(f'{folder}/{fd}') == 'anon_inode:[perf_event]' for fd in os.listdir(folder))
    except FileNotFoundError:  # one that was just closed
        return 0


class Dumpcap(Peer):
    words = 'dumpcap -i lo'
    installed = ('dumpcap', 'wireshark-common')
    records = 'packets, no calls'
    only_tcp = True

    def prepare(self):
        _try([self.program, '-q', '-i', 'lo', '-a', 'duration:0', '-w', '/dev/null'])

    def start(self, program, processors):
        self.service = Service([self.program, '-q', '-i', 'lo', '-s', '0', '-B', '64', '-f', 'tcp', '-w', self.output],
                               processors, os.path.join(self.folder, 'log'))
        self.service.wait_until(lambda: 'File:' in self.service.words(), self.options.limit)

    def stop(self):
        self.service.end(signal.SIGINT, self.options.limit)
        dropped = re.search(r'received/dropped on interface .*: (\d+)/(\d+)', self.service.words())
        self.share = None if not dropped else int(dropped[1]) / max(1, int(dropped[1]) + int(dropped[2]))

    def told(self, result):
        return self.share


class Lttng(Peer):
    words = 'LTTng-UST, by bench/lttng'
    installed = ('lttng', 'lttng-tools')

    def prepare(self):
        self.shim = os.path.join(self.options.workloads, 'liblttng_shim.so')
        if not os.path.exists(self.shim):
            raise Missing(f'{self.shim} is not built: package liblttng-ust-dev, then cmake and build anew')
        self.daemon = find('lttng-sessiond', 'lttng-tools')
        self.read = find('babeltrace2', 'babeltrace2')
        # Beside the folder, which is emptied before each run.
        self.home = self.folder + '.home'
        os.makedirs(self.home, exist_ok=True)
        self.environment = dict(os.environ, LTTNG_HOME=self.home)

    def control(self, *words):
        return run([self.program, '--no-sessiond', *words], os.sched_getaffinity(0), self.options.limit,
                   self.environment)

    def answers(self):
        try:
            self.control('list')
        except Failure:
            return False
        return True

    def start(self, program, processors):
        if self.answers():
            raise Missing('a session daemon of LTTng runs already, and it is not ours')
        self.service = Service([self.daemon, '--no-kernel'], processors, os.path.join(self.folder, 'log'),
                               self.environment)
        self.service.wait_until(self.answers, self.options.limit)
        self.control('create', 'bench', f'--output={self.output}')
        self.control('enable-channel', '-u', '--blocking-timeout=inf', '--subbuf-size=1M', '--num-subbuf=8', 'all')
        self.control('enable-event', '-u', '-c', 'all', 'sockets:*')
        self.control('start')

    def argv(self, program):
        # No other word of the environment is needed: the program finds the daemon in /var/run or in LTTNG_HOME.
        return ['/usr/bin/env', f'LTTNG_HOME={self.home}', 'LTTNG_UST_ALLOW_BLOCKING=1',
                f'LD_PRELOAD=liblttng-ust-fork.so.1:{self.shim}', *program]

    def stop(self):
        self.control('stop')
        self.control('destroy', 'bench')
        self.service.end(signal.SIGTERM, self.options.limit)

    def told(self, result):
        if sum(result.calls.values()) > 400000 or result.bytes > 50_000_000:  # reading it would take minutes
            return None
        # function: read, write, send, recv
        text = run([self.read, self.output], os.sched_getaffinity(0), self.options.limit)
        return len(re.findall(r'function = [1234], .* result = [0-9]+,', text)) / _payload_calls(result)


def _try(argv):
    """Runs what shows whether a program works here; Missing with its own words where it does not."""
    try:
        run(argv, os.sched_getaffinity(0), 30)
    except Failure as failure:
        raise Missing(' '.join(str(failure).split('\n', 1)[-1].split())[:200].rstrip('.')) from None


PEERS = {'lttng': Lttng, 'strace': Strace, 'strace_seccomp': StraceSeccomp, 'perf_trace': PerfTrace,
         'bpftrace': Bpftrace, 'dumpcap': Dumpcap, 'ltrace': Ltrace}


class Compared:
    """A peer's pairs on a workload, and the least share of calls that it told of in any run (None: not counted)."""

    def __init__(self, measured, share):
        self.pairs, self.share = measured, share


def measure(peer, name, processors, options):
    """Measures one workload. Raises Failure where a run fails or takes too long."""
    argv = micro.command(name, options.workloads, options.scale * (0.1 if peer.slow else 1))
    shares = []

    def plain():
        return micro.Result(run(argv, processors, options.limit)).ns_per_op

    def traced():
        peer.clear()
        try:
            peer.start(argv[0], processors)
            result = micro.Result(run(peer.argv(argv), processors, options.limit))
            peer.stop()
        finally:
            peer.kill()
        shares.append(peer.told(result))
        return result.ns_per_op

    measured = pairs.measure(plain, traced, options.pairs)
    return Compared(measured, None if None in shares else min(shares))
