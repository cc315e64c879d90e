# SPDX-License-Identifier: Apache-2.0
"""Real servers and what happens to them, untraced and traced: the same answers, every process in the trace, nothing
dropped, and the completeness statement says so."""

import os
import shutil
import unittest

from fault import Fault
from scenario import program

_POSTGRES = '/usr/lib/postgresql/15/bin'


class FaultsTest(Fault):

    def test_nginx_reads_its_configuration_again_and_changes_its_binary(self):
        self.meet('nginx', {'nginx': 8})  # 2 masters; 2 workers at first, after the reload, and of the new binary

    def test_postgres_with_a_hundred_connections_and_a_killed_backend(self):
        data = self.path('database')
        os.mkdir(data, 0o700)
        as_user = []
        if os.geteuid() == 0:
            shutil.chown(data, 'postgres', 'postgres')
            as_user = [program('runuser'), '-u', 'postgres', '--']
        self.run_program([*as_user, program('initdb', _POSTGRES), '-D', data, '-U', 'postgres', '-A', 'trust',
                          '--no-sync', '--locale', 'C.UTF-8'])
        self.meet('postgres', {'backend': 100, 'postgres': 5}, data)

    def test_sshd_with_privilege_separation(self):
        self.meet('sshd', {'sshd': 1, 'Forked child': 4, 'Network child': 4, 'User child': 1})

    def test_redis_saves_and_rewrites_in_children_and_is_killed(self):
        self.meet('redis', {'redis-server': 2, 'redis-server child': 2})

    def test_python_multiprocessing_passes_sockets(self):
        self.meet('passing', {'fork': 1, 'spawn': 1, 'forkserver': 1})

    def test_socket_activation(self):
        self.meet('activation', {'server': 3})

    def test_preforking_server_that_passes_connections(self):
        self.meet('preforking', {'worker': 5})


if __name__ == '__main__':
    unittest.main()
