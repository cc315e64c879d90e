# SPDX-License-Identifier: Apache-2.0
"""redis-cli and redis-server, psql and postgres."""

import os
import shutil
import unittest

from scenario import Scenario, program

_POSTGRES = '/usr/lib/postgresql/15/bin'


class DatabaseTest(Scenario):

    def test_redis_cli_and_redis_server(self):
        port = self.free_port()
        value = os.urandom(60_000).hex()
        commands = self.write('commands', ''.join([
            'SET greeting "hello, world"\r\n', 'GET greeting\r\n', f'SET big {value}\r\n', 'GET big\r\n',
            *(f'RPUSH list item-{n}\r\n' for n in range(200)), 'LRANGE list 0 -1\r\n', 'NOSUCHCOMMAND\r\n']))
        client = [program('redis-cli'), '-h', '127.0.0.1', '-p', str(port)]
        self.record({
            'servers': [{'argv': [program('redis-server'), '--port', str(port), '--bind', '127.0.0.1', '--save', '',
                                  '--appendonly', 'no', '--dir', str(self.dir)], 'ready': {'tcp': port}}],
            'clients': [[{'argv': client, 'stdin': commands, 'stdout': self.path('answers')}],
                        [{'argv': [*client, '--pipe'], 'stdin': self.write('mass', 'SET a 1\r\n' * 20_000)}]],
        }, [port])
        self.assertIn(b'item-199', self.read('answers'))
        self.assert_told_right(port, 2, [value.encode(), b'SET a 1\r\n' * 20_000], [value.encode(), b'item-199', b'-ERR'])

    def test_psql_and_postgres(self):
        port = self.free_port()
        data = self.path('postgres')
        as_user = [program('runuser'), '-u', 'postgres', '--'] if os.geteuid() == 0 else []
        os.mkdir(data, 0o700)
        if as_user:
            shutil.chown(data, 'postgres', 'postgres')
        self.run_program([*as_user, program('initdb', _POSTGRES), '-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync'])
        psql = [program('psql', _POSTGRES), '-X', '-q', '-v', 'ON_ERROR_STOP=1',
                f'host=127.0.0.1 port={port} user=postgres dbname=postgres']
        script = self.write('script.sql', '''
            CREATE TABLE tale (id int PRIMARY KEY, line text);
            INSERT INTO tale SELECT n, repeat('socket ', n % 50) || n FROM generate_series(1, 3000) AS n;
            SELECT * FROM tale ORDER BY id;
            COPY tale TO STDOUT;
            BEGIN; UPDATE tale SET line = 'it was told' WHERE id = 7; COMMIT;
            SELECT line FROM tale WHERE id = 7;
        ''')
        self.record({
            'servers': [{'argv': [*as_user, program('postgres', _POSTGRES), '-D', data, '-p', str(port), '-F',
                                  '-c', 'listen_addresses=127.0.0.1', '-c', f'unix_socket_directories={data}'],
                         'ready': {'log': 'database system is ready to accept connections'}, 'stop': 'SIGINT',
                         'pid_file': f'{data}/postmaster.pid'}],  # runuser does not pass SIGINT on
            'clients': [[{'argv': [*psql, '-f', script], 'stdout': self.path('answers')}],
                        [{'argv': [*psql, '-c', 'SELECT no_such_column FROM tale'], 'status': 1}],
                        [{'argv': [*psql, '-c', 'SELECT count(*) FROM tale']},
                         {'argv': [*psql, '-c', 'SELECT max(id) FROM tale']}]],
        }, [port])
        self.assertIn(b'it was told', self.read('answers'))
        self.assert_told_right(port, 4, [b'COPY tale TO STDOUT', b'SELECT max(id)'], [b'it was told', b'no_such_column'])


if __name__ == '__main__':
    unittest.main()
