# SPDX-License-Identifier: Apache-2.0
"""Real servers, and a loop of curl, untraced and traced in pairs; the client of a server is never traced."""

import os
import shutil
import tempfile

from harness import micro, pairs
from harness.processes import Failure, Service, find, run
from harness.real_servers import SERVERS, Nginx

# Functions that move data; a server may use any.
DATA_CALLS = ('read', 'write', 'readv', 'writev', 'send', 'recv', 'sendto', 'recvfrom', 'sendmsg', 'recvmsg', 'sendfile')
RUN_OPTIONS = ('--payload', 'full')
NAMES = (*SERVERS, 'curl_loop')
CURLS = 25


def words(name):
    """What a row is, and what its operation is."""
    return ('curl, 1 KiB, one after another', 'process') if name == 'curl_loop' else (
        SERVERS[name].words, SERVERS[name].operation)


def measure(name, processors, options, tracer):
    """Returns the calm pairs of runs, or all where there are not two of them."""
    folder = tempfile.mkdtemp(prefix='server-', dir=os.path.dirname(tracer.trace))
    os.chmod(folder, 0o755)
    try:
        if name == 'curl_loop':
            return _measure_curl(folder, processors, options, tracer)
        return _measure_server(SERVERS[name](folder, options.scale, options.limit), processors, options, tracer)
    finally:
        tracer.clear()
        shutil.rmtree(folder, ignore_errors=True)


def _measure_server(server, processors, options, tracer):
    log = os.path.join(server.folder, 'log')

    def one(argv, environment=None):
        service = Service(argv, processors, log, environment, folder='/')
        try:
            service.wait_until(lambda: server.ready(service), options.limit)
            load = server.load(processors)
            service.end(server.stop_signal, options.limit)
        finally:
            service.kill()
        return load

    def traced():
        tracer.clear()
        load = one(tracer.argv(server.argv(), RUN_OPTIONS), tracer.environment)
        check(tracer, load.calls, load.bytes)
        return load.ns_per_op

    return pairs.measure(lambda: one(server.argv()).ns_per_op, traced, options.pairs)


def check(tracer, calls, size):
    """The trace holds every event and byte that it says there were, and at least these."""
    counts, trace = tracer.told()
    made = sum(counts.get(call, 0) for call in DATA_CALLS)
    if made < calls:
        raise Failure(f'the server moved data in {calls} calls at least, the trace holds {made}')
    if trace['kept'] < size:
        raise Failure(f'the server moved {size} bytes at least, the trace holds {trace["kept"]}')


def _measure_curl(folder, processors, options, tracer):
    """A process after another, each asking nginx, which is not traced, for a page."""
    nginx = Nginx(folder, options.scale, options.limit)
    curl = find('curl', 'curl')
    n = nginx.times(CURLS)
    argv = [os.path.join(options.workloads, 'startup'), str(n), curl, '-s', '-o', '/dev/null', nginx.url]

    def traced():
        tracer.clear()
        result = micro.Result(run(tracer.argv(argv, RUN_OPTIONS), processors, options.limit, tracer.environment))
        tracer.check_calls(result.calls)
        check(tracer, 2 * n, nginx.size * n)
        return result.ns_per_op

    service = Service(nginx.argv(), processors, os.path.join(folder, 'log'), folder='/')
    try:
        service.wait_until(lambda: nginx.ready(service), options.limit)
        measured = pairs.measure(lambda: micro.Result(run(argv, processors, options.limit)).ns_per_op, traced,
                                 options.pairs)
        service.end(nginx.stop_signal, options.limit)
    finally:
        service.kill()
    return measured
