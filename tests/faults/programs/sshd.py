# SPDX-License-Identifier: Apache-2.0
"""sshd with privilege separation: a monitor, a child without rights in a chroot behind a seccomp filter, and one with
the user's rights; a command, one that fails, a key that is refused, and files over sftp as another user."""

import os
import pathlib
import pwd
import re
import shutil
import subprocess

from stage import PATH, Stage, free_port, program

_CONFIG = '''
ListenAddress 127.0.0.1:{port}
HostKey {dir}/host_key
PidFile {dir}/sshd.pid
AuthorizedKeysFile {dir}/key.pub
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
LogLevel DEBUG2
SetEnv HOME={dir}
Subsystem sftp internal-sftp
'''


def main():
    stage, port = Stage(), free_port()
    root = os.geteuid() == 0
    for key in ('host_key', 'key', 'other_key'):
        subprocess.run([program('ssh-keygen'), '-q', '-t', 'ed25519', '-N', '', '-f', stage.path(key)], check=True)
    if root:
        os.makedirs('/run/sshd', 0o755, exist_ok=True)  # the privilege separation directory, made by its service
    # SetEnv: bash under sshd reads ~/.bashrc, and what a user has there is no part of this.
    server = stage.start([program('sshd'), '-D', '-e', '-f',
                          stage.write('sshd_config', _CONFIG.format(dir=stage.dir, port=port))], 'sshd.log')
    stage.until(lambda: 'Server listening' in stage.read('sshd.log'), 'sshd to start')
    me = pwd.getpwuid(os.geteuid()).pw_name
    other = 'www-data' if root else me
    place = pathlib.Path(stage.path('place'))
    place.mkdir()
    if root:
        shutil.chown(place, other)
    options = ['-F', 'none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=accept-new', '-o', 'LogLevel=ERROR',
               '-o', f'UserKnownHostsFile={stage.path("known_hosts")}', '-o', 'IdentitiesOnly=yes']
    letter = bytes(range(256)) * 600

    def ask(question, argv, stdin=b''):
        client = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env={'PATH': PATH, 'LC_ALL': 'C.UTF-8', 'HOME': str(stage.dir)})
        stage.look()
        printed, complaints = client.communicate(stdin, timeout=150)
        if printed == letter:
            printed = b'the letter'
        words = [each.replace(str(stage.dir), 'DIR') for each in (printed.decode(), complaints.decode())]
        stage.answer(question, [client.returncode, *words])

    def ssh(key, command):
        return [program('ssh'), *options, '-i', stage.path(key), '-p', str(port), f'{me}@127.0.0.1', command]

    ask('command', ssh('key', 'cat; echo done >&2; exit 7'), letter)
    ask('killed command', ssh('key', 'kill -9 $$'))
    ask('refused key', ssh('other_key', 'true'))
    stage.write('letter', letter)
    batch = stage.write('batch', f'put {stage.path("letter")} {place}/there\nget {place}/there {stage.path("back")}\n'
                                 f'rename {place}/there {place}/moved\nls -1 {place}\n')
    ask('sftp', [program('sftp'), '-q', *options, '-i', stage.path('key'), '-P', str(port), '-b', batch,
                 f'{other}@127.0.0.1'])
    stage.answer('file back', pathlib.Path(stage.path('back')).read_bytes() == letter)
    stage.answer('owner', pwd.getpwuid((place / 'moved').stat().st_uid).pw_name == other)
    # sshd says whom it forked; most of them are gone too soon to be seen.
    for name, pid in re.findall(r'(Forked|Network|User) child (?:is on pid )?(\d+)', stage.read('sshd.log')):
        stage.note(int(pid), f'{name} child')
    stage.end(server.pid)
    stage.finish()


if __name__ == '__main__':
    main()
