# SPDX-License-Identifier: Apache-2.0
"""Real servers and their clients, each as one class: what is started, how it is loaded, and what a trace of it must hold
at least. Ports are free ones of the loopback interface, files lie in a folder of the measurement's own."""

import glob
import json
import os
import re
import shutil
import signal
from typing import NamedTuple

from harness.processes import Failure, Service, find, free_port, listens, run


class Load(NamedTuple):
    """What a client did to a server."""
    ns_per_op: float
    calls: int  # calls that move data, which the server made for it at the very least
    bytes: int  # and what they moved


class Server:
    """folder: its own. scale: multiplies the amount of work."""

    words = ''
    operation = 'request'
    stop_signal = signal.SIGTERM
    statuses = (0,)

    def __init__(self, folder, scale, limit_s):
        self.folder, self.scale, self.limit_s = folder, scale, limit_s
        self.port = free_port()
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        self.prepare()

    def prepare(self):
        """Makes its files. Raises Missing where a program is not installed."""

    def argv(self):
        """The command that is recorded."""
        raise NotImplementedError

    def ready(self, _service):
        return listens(self.port)

    def load(self, processors):
        """Runs the client, untraced; returns a Load."""
        raise NotImplementedError

    def close(self):
        """Ends what prepare() started."""

    def times(self, n):
        return max(1, round(n * self.scale))

    def client(self, argv, processors):
        return run(argv, processors, self.limit_s)


class Redis(Server):
    words = 'redis SET, GET of 64 B'

    def prepare(self):
        self.server, self.benchmark = find('redis-server', 'redis-server'), find('redis-benchmark', 'redis-tools')

    def argv(self):
        return [self.server, '--port', str(self.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no',
                '--daemonize', 'no', '--dir', self.folder]

    def load(self, processors):
        n = self.times(20000)
        out = self.client([self.benchmark, '-p', str(self.port), '-n', str(n), '-c', '50', '-P', '1', '-d', '64', '-t',
                           'set,get', '--csv'], processors)
        rates = [float(rate) for rate in re.findall(r'^"(?:SET|GET)","([\d.]+)"', out, re.M)]
        if len(rates) != 2:
            raise Failure('redis-benchmark: ' + out[-300:])
        return Load(sum(1e9 / rate for rate in rates) / 2, 4 * n, 2 * 64 * n)


class Nginx(Server):
    size = 1024
    words = 'nginx, 1 KiB'

    def prepare(self):
        self.server, self.wrk = find('nginx', 'nginx-light'), find('wrk', 'wrk')
        with open(self.path('page'), 'wb') as page:
            page.write(bytes(ord('a') + i * 7 % 26 for i in range(self.size)))
        # A master that is root would give its worker to somebody else, who may not enter this folder.
        user = 'user root;' if os.geteuid() == 0 else ''
        places = ' '.join(f'{what}_temp_path {self.path(what)};'
                          for what in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
        with open(self.path('nginx.conf'), 'w', encoding='utf-8') as conf:
            conf.write(f'''
                worker_processes 1; daemon off; {user} pid {self.path('pid')}; error_log {self.path('error.log')};
                events {{ worker_connections 256; }}
                http {{
                  access_log off; sendfile off; keepalive_requests 100000000; {places}
                  server {{ listen 127.0.0.1:{self.port}; location / {{ root {self.folder}; }} }}
                }}''')

    def path(self, name):
        return os.path.join(self.folder, name)

    @property
    def url(self):
        return f'http://127.0.0.1:{self.port}/page'

    def argv(self):
        return [self.server, '-c', self.path('nginx.conf'), '-p', self.folder, '-e', self.path('error.log')]

    def load(self, processors):
        return wrk(self, self.wrk, self.url, connections=16, size=self.size, processors=processors)


class Nginx100K(Nginx):
    size = 100 * 1024
    words = 'nginx, 100 KiB'


def wrk(server, program, url, connections, size, processors):
    """Loads an HTTP server for two seconds and checks that every answer was one of `size` bytes."""
    out = server.client([program, '-t1', f'-c{connections}', f'-d{server.times(2)}s', url], processors)
    rate, count = re.search(r'Requests/sec:\s+([\d.]+)', out), re.search(r'(\d+) requests in', out)
    if not rate or not count or 'Socket errors' in out or 'Non-2xx' in out or int(count[1]) == 0:
        raise Failure('wrk: ' + out[-400:])
    return Load(1e9 / float(rate[1]), 2 * int(count[1]), size * int(count[1]))


class Postgres(Server):
    words = 'pgbench -S, 4 clients'
    operation = 'transaction'
    stop_signal = signal.SIGINT  # a fast shutdown

    def prepare(self):
        bins = sorted(glob.glob('/usr/lib/postgresql/*/bin'))
        self.server = find('postgres', 'postgresql', *bins[-1:])
        self.pgbench = find('pgbench', 'postgresql', *bins[-1:])
        self.data = os.path.join(self.folder, 'cluster')
        self.user = []
        os.makedirs(self.data, mode=0o700, exist_ok=True)
        if os.geteuid() == 0:  # which postgres refuses to run as
            shutil.chown(self.data, 'postgres', 'postgres')
            self.user = [find('setpriv', 'util-linux'), '--reuid=postgres', '--regid=postgres', '--clear-groups']
        every = os.sched_getaffinity(0)
        self.client([*self.user, find('initdb', 'postgresql', *bins[-1:]), '-D', self.data, '-U', 'postgres', '-A',
                     'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], every)
        with self.started(self.argv(), every) as service:
            self.client(self.as_client('-i', '-s', '2', '-q'), every)
            service.end(self.stop_signal, self.limit_s)

    def started(self, argv, processors):
        service = Service(argv, processors, os.path.join(self.folder, 'log'), folder='/')
        return _Ready(self, service)

    def argv(self):
        return [*self.user, self.server, '-D', self.data, '-p', str(self.port), '-F',
                '-c', 'listen_addresses=127.0.0.1', '-c', f'unix_socket_directories={self.data}', '-c', 'autovacuum=off', '-c', 'jit=off']

    def as_client(self, *words):
        return [self.pgbench, *words, '-h', '127.0.0.1', '-p', str(self.port), '-U', 'postgres', 'postgres']

    def ready(self, service):
        return 'ready to accept connections' in service.words()

    def load(self, processors):
        n = self.times(3000)
        out = self.client(self.as_client('-S', '-n', '-c', '4', '-j', '1', '-t', str(n)), processors)
        rate, done = re.search(r'tps = ([\d.]+) \(without', out), re.search(r'actually processed: (\d+)/(\d+)', out)
        if not rate or not done or done[1] != done[2]:
            raise Failure('pgbench: ' + out[-400:])
        return Load(1e9 / float(rate[1]), 2 * int(done[1]), 64 * int(done[1]))


class _Ready:
    """`with _Ready(server, service)`: the service, ready; killed at the end where it was not ended."""

    def __init__(self, server, service):
        self.server, self.service = server, service

    def __enter__(self):
        try:
            self.service.wait_until(lambda: self.server.ready(self.service), self.server.limit_s)
        except BaseException:
            self.service.kill()
            raise
        return self.service

    def __exit__(self, *_):
        self.service.kill()


class Iperf(Server):
    words = 'iperf3, one stream'
    operation = 'KiB'
    stop_signal = 0  # -1: ends after one test

    def prepare(self):
        self.program = find('iperf3', 'iperf3')

    def argv(self):
        return [self.program, '-s', '-p', str(self.port), '-1']

    def load(self, processors):
        size = self.times(400) << 20
        out = self.client([self.program, '-c', '127.0.0.1', '-p', str(self.port), '-n', str(size), '-J'], processors)
        received = json.loads(out)['end']['sum_received']
        return Load(8e9 * 1024 / received['bits_per_second'], received['bytes'] // (1 << 17), received['bytes'])


class PythonHttp(Server):
    words = "python's http.server, 1 KiB"
    stop_signal = signal.SIGINT
    size = 1024

    def prepare(self):
        self.wrk = find('wrk', 'wrk')
        with open(os.path.join(self.folder, 'page'), 'wb') as page:
            page.write(b'y' * self.size)

    def argv(self):
        return ['/usr/bin/python3', '-m', 'http.server', str(self.port), '--bind', '127.0.0.1', '-d', self.folder]

    def load(self, processors):
        # A thread and a connection for each request.
        return wrk(self, self.wrk, f'http://127.0.0.1:{self.port}/page', 1, self.size, processors)


SERVERS = {'redis': Redis, 'nginx_1k': Nginx, 'nginx_100k': Nginx100K, 'pgbench': Postgres, 'iperf3': Iperf,
           'python_http': PythonHttp}
