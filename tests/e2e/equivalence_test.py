# SPDX-License-Identifier: Apache-2.0
"""A recorded program says and returns what it says and returns unrecorded."""

import os
import unittest

from scenario import PYTHON, Scenario, program

_PYTHON_CLIENT = '''
import os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
end, _ = server.accept()
print(server.fileno(), client.fileno(), end.fileno(), sorted(map(int, os.listdir("/proc/self/fd"))))
client.setblocking(False)
for attempt in (lambda: client.recv(1), lambda: os.read(99, 1), lambda: socket.create_connection(("127.0.0.1", 1))):
    try:
        attempt()
    except OSError as error:
        print(type(error).__name__, error.errno, file=sys.stderr)
sys.exit(3)
'''
_NODE_CLIENT = '''
const net = require("net");
const server = net.createServer((end) => end.end("it was told\\n")).listen(0, "127.0.0.1", () => {
  net.connect(server.address().port, "127.0.0.1").on("data", (data) => process.stdout.write(data))
      .on("close", () => { console.error("closed"); server.close(); process.exitCode = 5; });
});
'''


class EquivalenceTest(Scenario):

    def assert_same(self, argv, status):
        """stdout, stderr and exit status are the same, recorded or not. status: the untraced program's."""
        untraced = self.run_program(argv, status)
        if self.socktale:
            self.assertEqual(self.run_program(self.traced(argv, '-q'), status), untraced)
            os.unlink(self.trace)  # it was written, and the next may take its place

    def test_curl_that_is_refused(self):
        self.assert_same([program('curl'), '-s', '-w', '%{http_code} %{num_connects} %{exitcode}\n',
                          f'http://127.0.0.1:{self.free_port()}/'], 7)

    def test_curl_of_a_file(self):
        self.assert_same([program('curl'), '-sS', 'file://' + self.write('letter', 'dear reader\n' * 9)], 0)

    def test_python_with_sockets_and_errors(self):
        self.assert_same([PYTHON, '-c', _PYTHON_CLIENT], 3)

    def test_node_with_sockets(self):
        self.assert_same([program('node'), '-e', _NODE_CLIENT], 5)

    def test_git_that_works_and_git_that_fails(self):
        self.run_program([program('git'), 'init', '-q', '-b', 'main', self.path('repository')])
        self.assert_same([program('git'), '-C', self.path('repository'), 'status'], 0)
        self.assert_same([program('git'), '-C', self.path('repository'), 'log'], 128)

    def test_env_shows_the_environment_and_the_settings_of_the_recording(self):
        untraced, _ = self.run_program(['/usr/bin/env'])
        if self.socktale:
            traced, words = self.run_program(self.traced(['/usr/bin/env'], '-q'))
            ours = [line for line in traced.splitlines() if line.startswith((b'LD_PRELOAD=', b'SOCKTALE_'))]
            self.assertEqual([line for line in traced.splitlines() if line not in ours], untraced.splitlines())
            self.assertEqual(words, b'')

    def test_descriptors_that_a_program_finds_open(self):
        self.assert_same([program('ls'), '/proc/self/fd'], 0)

    def test_shell_pipeline(self):
        self.assert_same(['/bin/sh', '-c', 'printf "b\\na\\n" | sort | { cat; echo oops >&2; exit 9; }'], 9)

    def test_bash_with_redirections_and_its_own_tcp(self):
        self.assert_same(['/bin/bash', '-c', 'exec 7>&1; echo one >&7; (exec 3<>/dev/tcp/127.0.0.1/1) 2>&1; exit 4'], 4)

    def test_program_that_a_signal_kills(self):
        self.assert_same(['/bin/sh', '-c', 'echo last words; kill -SEGV $$'], -11)


if __name__ == '__main__':
    unittest.main()
