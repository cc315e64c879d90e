# SPDX-License-Identifier: Apache-2.0
"""Programs that hand their connection on: ssh with a local sshd, git clone from git daemon."""

import os
import pwd
import unittest

from scenario import Scenario, program

_SSHD_CONFIG = '''
ListenAddress 127.0.0.1:{port}
HostKey {dir}/host_key
PidFile {dir}/sshd.pid
AuthorizedKeysFile {dir}/key.pub
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
LogLevel VERBOSE
SetEnv HOME={dir}
'''


class SshGitTest(Scenario):

    def test_ssh_client_and_local_sshd(self):
        port = self.free_port()
        for key in ('host_key', 'key'):
            self.run_program([program('ssh-keygen'), '-q', '-t', 'ed25519', '-N', '', '-f', self.path(key)])
        if os.geteuid() == 0:
            os.makedirs('/run/sshd', 0o755, exist_ok=True)  # sshd's privilege separation directory, made by its service
        # SetEnv: bash under sshd reads ~/.bashrc, and what a user has there is no part of this.
        user = pwd.getpwuid(os.geteuid()).pw_name
        letter = os.urandom(150_000)
        self.record({
            'servers': [{'argv': [program('sshd'), '-D', '-e', '-f',
                                  self.write('sshd_config', _SSHD_CONFIG.format(dir=self.dir, port=port))],
                         'ready': {'tcp': port}, 'status': [0, 255, -15]}],
            'clients': [[{'argv': [program('ssh'), '-F', 'none', '-i', self.path('key'), '-o', 'BatchMode=yes',
                                   '-o', 'StrictHostKeyChecking=accept-new',
                                   '-o', f'UserKnownHostsFile={self.path("known_hosts")}',
                                   '-p', str(port), f'{user}@127.0.0.1', 'cat; exit 7'],
                          'stdin': self.write('letter', letter), 'stdout': self.path('answer'), 'status': 7}]],
        }, [port])
        self.assertTrue(self.read('answer') == letter)
        self.assert_told_right(port, 1, [b'SSH-2.0-OpenSSH', b'ssh-ed25519'], [b'SSH-2.0-OpenSSH', b'ssh-ed25519'])

    def test_git_clone_from_git_daemon(self):
        port = self.free_port()
        git = program('git')
        self.env.update(GIT_AUTHOR_NAME='Teller', GIT_AUTHOR_EMAIL='teller@example.org', GIT_COMMITTER_NAME='Teller',
                        GIT_COMMITTER_EMAIL='teller@example.org')
        origin = self.path('origin')
        self.run_program([git, 'init', '-q', '-b', 'main', origin])
        for number in range(5):
            self.write(f'origin/file-{number}', os.urandom(100_000))
            self.run_program([git, '-C', origin, 'add', '.'])
            self.run_program([git, '-C', origin, 'commit', '-q', '-m', f'chapter {number}'])
        self.record({
            'servers': [{'argv': [git, 'daemon', '--reuseaddr', '--listen=127.0.0.1', f'--port={port}', '--export-all',
                                  f'--base-path={self.dir}'], 'ready': {'tcp': port}}],
            'clients': [[{'argv': [git, 'clone', '-q', f'git://127.0.0.1:{port}/origin', self.path('clone')]}]],
        }, [port])
        self.assertTrue(self.read('clone/file-4') == self.read('origin/file-4'))
        self.assert_told_right(port, 1, [b'git-upload-pack /origin'], [b'refs/heads/main', b'PACK'])


if __name__ == '__main__':
    unittest.main()
