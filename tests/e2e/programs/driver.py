# SPDX-License-Identifier: Apache-2.0
"""Starts servers, runs clients against them and ends the servers: what a test records as one program.

driver.py PLAN.json, see run() for what a plan says. Exit status 0: every program did what the plan expects. It makes no
connection of its own: a server's readiness is read from /proc or from its log.
"""

import json
import os
import signal
import subprocess
import sys
import time

_TCP_LISTEN, _UDP_BOUND = '0A', '07'   # states in /proc/net/{tcp,udp}
_UNIX_ACCEPTS = 0x10000                # flags in /proc/net/unix


def _inet_ready(protocol, port, state):
    for table in (f'/proc/net/{protocol}', f'/proc/net/{protocol}6'):
        if not os.path.exists(table):
            continue
        with open(table) as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                if fields[3] == state and int(fields[1].rsplit(':', 1)[1], 16) == port:
                    return True
    return False


def _unix_ready(path):
    with open('/proc/net/unix') as lines:
        rows = [line.split() for line in list(lines)[1:]]
    return any(len(row) == 8 and row[7] == path and int(row[3], 16) & _UNIX_ACCEPTS for row in rows)


def _log_has(log, text):
    with open(log, errors='replace') as lines:
        return text in lines.read()


def is_ready(ready, log):
    """ready: as in run()'s plan. log: where the server's output goes."""
    kind, value = next(iter(ready.items()))
    return {'tcp': lambda: _inet_ready('tcp', value, _TCP_LISTEN),
            'udp': lambda: _inet_ready('udp', value, _UDP_BOUND),
            'unix': lambda: _unix_ready(value),
            'log': lambda: _log_has(log, value),
            'file': lambda: os.path.exists(value)}[kind]()


def _pid_of(server, process):
    if 'pid_file' not in server:
        return process.pid
    with open(server['pid_file']) as lines:
        return int(lines.readline())


def _show_log(log):
    with open(log, errors='replace') as lines:
        sys.stderr.write(f'--- {log}\n{lines.read()[-4000:]}\n')


def start(server, number):
    """Starts one server and returns when it is ready."""
    log = server.get('log', f'server-{number}.log')
    with open(log, 'wb') as output:
        process = subprocess.Popen(server['argv'], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    while not is_ready(server['ready'], log):
        if process.poll() is not None:
            _show_log(log)
            sys.exit(f'driver: {server["argv"][0]} ended with {process.returncode} before it was ready')
        time.sleep(0.005)
    return process, log


def run_clients(clients):
    """Starts the clients of one step at the same time and waits for them all."""
    processes = []
    for client in clients:
        stdin = open(client['stdin'], 'rb') if 'stdin' in client else subprocess.DEVNULL
        stdout = open(client['stdout'], 'wb') if 'stdout' in client else subprocess.DEVNULL
        processes.append(subprocess.Popen(client['argv'], stdin=stdin, stdout=stdout))
    for client, process in zip(clients, processes):
        if process.wait() != client.get('status', 0):
            sys.exit(f'driver: {" ".join(client["argv"])} ended with {process.returncode}')


def run(plan):
    """plan: {"servers": [SERVER…], "clients": [[CLIENT…]…]}; clients of an inner list run at the same time.

    SERVER: argv; ready: {"tcp": port} {"udp": port} {"unix": path} {"log": text} or {"file": path}; stop: signal's name
    (SIGTERM), or "self" for one that ends by itself; pid_file: whose first line says who gets the signal (the program
    started); status: list of what is a good end ([0, -15]).
    CLIENT: argv; stdin, stdout: files; status: its exit status (0).
    """
    servers = []
    try:
        for number, server in enumerate(plan.get('servers', [])):
            servers.append((server, *start(server, number)))
        for step in plan['clients']:
            run_clients(step)
    except SystemExit:
        for server, process, log in servers:
            process.kill()
            process.wait()
            _show_log(log)
        raise
    for server, process, log in reversed(servers):
        if server.get('stop') != 'self':
            os.kill(_pid_of(server, process), getattr(signal, server.get('stop', 'SIGTERM')))
        if process.wait() not in server.get('status', [0, -signal.SIGTERM]):
            _show_log(log)
            sys.exit(f'driver: {server["argv"][0]} ended with {process.returncode}')


if __name__ == '__main__':
    with open(sys.argv[1]) as file:
        run(json.load(file))
