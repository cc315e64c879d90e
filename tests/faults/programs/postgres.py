# SPDX-License-Identifier: Apache-2.0
"""postgres with a hundred connections, half over TCP and half over a UNIX socket; one backend is killed, so that the
server ends all others, recovers, and answers again. Argument: the folder of a new database."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

from stage import PATH, Stage, free_port, program

_POSTGRES = '/usr/lib/postgresql/15/bin'
_CONNECTIONS = 100
# What the server's log tells of the fault, in this order.
_TOLD = re.compile(r'was terminated by signal 9|terminating any other active server processes|'
                   r'all server processes terminated; reinitializing|automatic recovery in progress|redo done|'
                   r'database system is ready to accept connections')


class Session:
    """A psql that lives on between two questions."""

    def __init__(self, psql, where):
        self._process = subprocess.Popen([*psql, where], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True, env={'PATH': PATH, 'LC_ALL': 'C.UTF-8'})
        self.pid = self._process.pid

    def send(self, question):
        self._process.stdin.write(question + '\n')
        self._process.stdin.flush()

    def line(self):
        return self._process.stdout.readline().rstrip('\n')

    def end(self, question):
        """Asks a last question. Returns the exit status, what was printed, and what was complained of."""
        printed, complaints = self._process.communicate(question + '\n', timeout=150)
        return [self._process.returncode, printed, re.findall(r'closed the connection unexpectedly', complaints)[:1]]


def main():
    stage, port = Stage(), free_port()
    data = stage.path('data')
    as_user = [program('runuser'), '-u', 'postgres', '--'] if os.geteuid() == 0 else []
    shutil.copytree(stage.arguments[0], data)
    if as_user:
        for path in (pathlib.Path(data), *pathlib.Path(data).rglob('*')):
            shutil.chown(path, 'postgres', 'postgres')
    pathlib.Path(data).chmod(0o700)
    sockets = pathlib.Path(stage.path('s'))
    sockets.mkdir()
    sockets.chmod(0o777)
    stage.start([*as_user, program('postgres', _POSTGRES), '-D', data, '-p', str(port), '-F',
                 '-c', 'max_connections=120',
                 '-c', 'listen_addresses=127.0.0.1', '-c', f'unix_socket_directories={sockets}',
                 '-c', 'log_min_messages=log'], 'postgres.log')
    ready = 'database system is ready to accept connections'
    stage.until(lambda: ready in stage.read('postgres.log'), 'postgres to start')
    postmaster = int(pathlib.Path(data, 'postmaster.pid').read_text().splitlines()[0])
    psql = [program('psql', _POSTGRES), '-XAtq', '-v', 'ON_ERROR_STOP=1']
    wheres = [f'host={host} port={port} user=postgres dbname=postgres' for host in ('127.0.0.1', sockets)]

    def ask(question):
        return Session(psql, wheres[0]).end(question)

    stage.answer('table', ask("CREATE TABLE tale AS SELECT n, repeat('socket ', n % 50) AS line "
                              'FROM generate_series(1, 2000) AS n;'))
    sessions = [Session(psql, wheres[number % 2]) for number in range(_CONNECTIONS)]
    backends = []
    for number, session in enumerate(sessions):
        session.send('SELECT pg_backend_pid();')
        session.send(f'SELECT count(*), sum(n), max(line) FROM tale WHERE n % {_CONNECTIONS} = {number};')
    for session in sessions:
        backends.append(int(session.line()))
        stage.note(backends[-1], 'backend')
        stage.answer('rows', session.line())
    stage.answer('backends', len(set(backends)))

    # A backend dies in the middle of a transaction, with others in theirs.
    for number, session in enumerate(sessions):
        session.send(f"BEGIN; INSERT INTO tale VALUES (-{number}, 'never'); SELECT count(*) FROM tale WHERE n < 0;")
    for session in sessions:
        stage.answer('begun', session.line())
    os.kill(backends[0], signal.SIGKILL)
    stage.until(lambda: stage.read('postgres.log').count(ready) == 2, 'postgres to recover')
    for session in sessions:
        stage.answer('after the crash', session.end('SELECT 1;'))
    stage.answer('rows after recovery', ask('SELECT count(*), sum(n) FROM tale;'))
    stage.answer('written after recovery', ask("INSERT INTO tale VALUES (7, 'on it goes') RETURNING *;"))
    stage.answer('error', ask('SELECT no_such_column FROM tale;'))
    stage.end(postmaster, signal.SIGINT)
    stage.answer('log', _TOLD.findall(stage.read('postgres.log')))
    stage.finish()


if __name__ == '__main__':
    main()
