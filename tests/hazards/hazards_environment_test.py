# SPDX-License-Identifier: Apache-2.0
"""Rows 11 and 11b: programs that clear or replace the environment their children get."""

import os
import shlex
import signal
import subprocess
import unittest
import urllib.request

from hazard import PYTHON, Hazard, payload, program


class EnvironmentTest(Hazard):

    def setUp(self):
        super().setUp()
        self.talker = self.built('talker')

    def assert_talked(self, *words):
        self.assertEqual(self.payloads('send'), [word.encode() for word in words])
        self.assertEqual(self.programs().count(os.path.realpath(self.talker)), len(words))
        self.assert_complete()

    def test_row11_env_and_the_shell(self):
        script = self.write('script.sh', f'''
            env -i {self.talker} env-i 1
            env -u LD_PRELOAD -u SOCKTALE_ATTACH {self.talker} env-u 2
            unset LD_PRELOAD SOCKTALE_ATTACH
            {self.talker} unset 3
            LD_PRELOAD= {self.talker} emptied 4
            exec {self.talker} executed 5''')
        self.same_behaviour(['/bin/sh', script], status=5)
        self.assert_talked('env-i', 'env-u', 'unset', 'emptied', 'executed')

    def test_row11_python(self):
        script = self.write('script.py', f'''
import os, subprocess, sys
talker = {self.talker!r}
print(subprocess.run([talker, 'run', '1'], env={{}}, close_fds=True).returncode)
print(subprocess.run([talker, 'run2', '2'], env={{}}, preexec_fn=lambda: None).returncode)
os.environ.clear()
print(subprocess.run(talker + ' shell 3', shell=True).returncode)
print(os.system(talker + ' system 4') >> 8, os.popen(talker + ' popen 5').read())
pid = os.posix_spawn(talker, [talker, 'spawn', '6'], {{}})
print(os.waitpid(pid, 0)[1] >> 8)
sys.stdout.flush()
os.execve(talker, [talker, 'execve', '7'], {{}})
''')
        self.same_behaviour([PYTHON, '-u', script], status=7)
        self.assert_talked('run', 'run2', 'shell', 'system', 'popen', 'spawn', 'execve')

    def test_row11_perl(self):
        script = self.write('script.pl', f'''
            $| = 1; my $talker = '{self.talker}';
            %ENV = ();
            print system($talker, 'list', 1) >> 8, "\\n";
            print system("$talker 'through a shell' 2; true") >> 8, "\\n";
            print `$talker backquotes 3`, $? >> 8, "\\n";
            exec($talker, 'executed', 4);''')
        self.same_behaviour([program('perl'), script], status=4)
        self.assert_talked('list', 'through a shell', 'backquotes', 'executed')

    def test_row11_a_program_that_wiped_its_environment_starts_others_in_every_way(self):
        stdout, _ = self.same_behaviour([self.built('wiped'), self.talker])
        words = [line.removeprefix('popen read: ').split(' on ')[0]
                 for line in stdout.decode().splitlines() if ' on 3 4' in line]
        self.assertEqual(len(words), 18, stdout)
        self.assert_talked(*words)
        self.assertEqual(self.programs().count(os.path.realpath('/bin/sh')), 8)

    def test_row11_the_environment_changed_while_system_waits(self):
        fifo = self.path('fifo')
        os.mkfifo(fifo)
        self.same_behaviour([self.built('changed_meanwhile'), fifo])
        self.assertEqual(self.programs().count(os.path.realpath('/bin/sh')), 7)
        self.assert_complete()

    def test_row11_system_in_several_threads_at_once(self):
        stdout, stderr = self.same_behaviour([self.built('shells_beside'), '4', '40'], status=3)
        self.assertEqual((stdout, stderr), (b'done\n', b''))
        self.assertEqual(self.programs().count(os.path.realpath('/bin/sh')), 1 + 100 + 4 * 40 + 30)
        self.assert_complete()

    def test_row11b_nginx_wipes_its_environment(self):
        port = self.free_port()
        self.write('www/hello.txt', 'hello, world\n')
        conf = self.write('nginx.conf', f'''
            daemon off; pid {self.path('nginx.pid')}; error_log {self.path('error.log')};
            {'user root;' if os.geteuid() == 0 else ''}
            events {{}}
            http {{
              access_log off;
              client_body_temp_path {self.path('t1')}; proxy_temp_path {self.path('t2')};
              fastcgi_temp_path {self.path('t3')}; uwsgi_temp_path {self.path('t4')}; scgi_temp_path {self.path('t5')};
              server {{ listen 127.0.0.1:{port}; root {self.path('www')}; }}
            }}''')
        server = [program('nginx'), '-c', conf]
        answers = [self.serve(argv, port) for argv in (server, self.traced(server, '-q'))]
        self.assertEqual(*answers)
        conn, = self.tale.connections(port=port)
        self.assertIn(b'GET /hello.txt', self.tale.side(conn, 'client'))
        self.assertTrue(self.tale.side(conn, 'server').endswith(b'hello, world\n'))
        master = self.events('attached')[0]['pid']
        workers = {event['pid'] for event in self.events('attached', reason='fork')}
        self.assertTrue(workers)
        self.assertNotIn(master, workers)
        self.assertLessEqual({event['pid'] for event in self.events('accept4')}, workers)
        self.assert_complete()

    def serve(self, argv, port):
        """Starts the server, asks it once, and ends it as its manual says. Returns what it answered, said and left."""
        process = subprocess.Popen(argv, env=self.env, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        try:
            while True:
                self.seconds_left()
                self.assertIsNone(process.poll(), f'{shlex.join(argv)} ended')
                try:
                    with urllib.request.urlopen(f'http://127.0.0.1:{port}/hello.txt', timeout=20) as answer:
                        body, status = answer.read(), answer.status
                    break
                except ConnectionRefusedError:
                    pass
                except urllib.error.URLError as error:
                    if not isinstance(error.reason, ConnectionRefusedError):
                        raise
            os.kill(int(self.read('nginx.pid')), signal.SIGQUIT)
            stdout, stderr = process.communicate(timeout=self.seconds_left())
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        return body, status, process.returncode, stdout, stderr


if __name__ == '__main__':
    unittest.main()
