# SPDX-License-Identifier: Apache-2.0
"""nginx as a daemon: gathered with a client that is started separately, by `collect`; and outliving its own `run`."""

import os
import signal
import subprocess
import time
import unittest

from http_test import nginx_conf
from scenario import Scenario, program
from tale import end_address


class DaemonTest(Scenario):

    def ask(self, port, before=()):
        """Two requests on one connection, by curl, with `before` put before the command."""
        base = f'http://127.0.0.1:{port}'
        stdout, _ = self.run_program([*before, program('curl'), '-sS', f'{base}/hello.txt', f'{base}/page.html'])
        self.assertTrue(stdout.startswith(b'hello, world\n<!doctype html>'))

    def start_daemon(self, before, conf):
        """Starts nginx, which puts itself into the background; it listens when this returns."""
        return self.run_program([*before, program('nginx'), '-c', conf])

    def stop_daemon(self):
        os.kill(int(self.read('nginx.pid')), signal.SIGQUIT)

    def wait_for_orphans(self):
        """Waits until all processes that became ours are gone."""
        while True:
            self.seconds_left()
            try:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    time.sleep(0.02)
            except ChildProcessError:
                return

    def test_daemon_and_client_gathered_by_collect(self):
        port = self.free_port()
        conf = nginx_conf(self, port, daemon='on')
        run, env, collector = [], [], None
        if self.tale:
            collector = subprocess.Popen([self.socktale, 'collect', '-o', self.trace, '--name', 'gathering'],
                                         env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT)
            self.addCleanup(collector.stdout.close)
            self.assertIn(b'socktale', collector.stdout.readline())  # the line to use elsewhere: it can be used now
            run = [self.socktale, 'run', '--into', 'gathering', '--']
            settings, _ = self.run_program([self.socktale, 'env', '--into', 'gathering'])
            env = ['/usr/bin/env', *settings.decode().split()]
        with self.capture([port]):
            self.start_daemon(run, conf)
            self.ask(port, env)
            self.ask(port, run)
            self.stop_daemon()
            if collector:
                self.wait_for_daemon()
        if collector:
            collector.send_signal(signal.SIGINT)
            words, _ = collector.communicate(timeout=self.seconds_left())
            self.assertEqual(collector.returncode, 0, words)
        self.assert_told_right(port, 2, [b'GET /page.html'], [b'hello, world\n', b'<p>line 399</p>'])

    def wait_for_daemon(self):
        """nginx removes its pid file as the last thing it does."""
        while os.path.exists(self.path('nginx.pid')):
            self.seconds_left()
            time.sleep(0.02)

    def test_daemon_that_outlives_run_is_recorded_to_its_end(self):
        port = self.free_port()
        conf = nginx_conf(self, port, daemon='on')
        with self.capture([port]):
            _, words = self.start_daemon(self.traced([]), conf)
            self.ask(port)
            self.stop_daemon()
            self.wait_for_orphans()
        if not self.tale:
            return
        self.assertIn(b'background', words)
        conn, = self.tale.connections(port=port)
        self.assertEqual((conn['join'], conn['seen_from']), ('one_end', 'server'))
        told = {end_address(conn, 'client'): self.tale.both_sides(conn)}
        self.assert_said('told', told, 1, [b'GET /page.html'], [b'hello, world\n', b'<p>line 399</p>'])
        if self.wire:
            self.assert_same_conversations(told, {each.client: (each.from_client, each.from_server)
                                                  for each in self.wire.tcp_connections(port)})
        self.assertEqual(self.tale.drops(), 0)


if __name__ == '__main__':
    unittest.main()
