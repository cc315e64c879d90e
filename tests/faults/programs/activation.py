# SPDX-License-Identifier: Apache-2.0
"""Socket activation as systemd does it: the activator listens, and starts the server at the first connection, which
finds the sockets at 3 and up, their names and its own pid in its environment. Started with `server` as its second
argument, this program is that server. It goes through a shell on the way, whose pid it keeps."""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys

from stage import PYTHON, Stage

_NAMES = ('http', 'local', 'datagrams')
_FIRST = 3  # SD_LISTEN_FDS_START


def server():
    """Does as sd_listen_fds(3) tells servers to, then answers until it is told to stop."""
    pid, count = int(os.environ.pop('LISTEN_PID')), int(os.environ.pop('LISTEN_FDS'))
    names = os.environ.pop('LISTEN_FDNAMES').split(':')
    told = [pid == os.getpid(), count, names, sorted(map(int, os.listdir('/proc/self/fd')))]
    listening = [socket.socket(fileno=number) for number in range(_FIRST, _FIRST + count)]
    told.append([[each.family.name, each.type.name, bool(each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)),
                  os.get_inheritable(each.fileno())] for each in listening])
    told.append(_as_libsystemd_sees_it(listening))
    stop = False
    while not stop:
        for ready in select.select(listening, [], [])[0]:
            if ready.type == socket.SOCK_DGRAM:
                words, sender = ready.recvfrom(1000)
                ready.sendto(b'datagram ' + words, sender)
                continue
            with ready.accept()[0] as connection:
                words = connection.recv(1000)
                stop = words == b'stop'
                connection.sendall(repr(told).encode() if words == b'tell' else b'answer to ' + words)


def _as_libsystemd_sees_it(listening):
    """sd_is_socket() of each, by the library that servers use."""
    library = ctypes.CDLL('libsystemd.so.0')
    return [library.sd_is_socket(each.fileno(), each.family, each.type, each.type == socket.SOCK_STREAM)
            for each in listening]


def activate(listening):
    """Starts the server with the sockets, as the service manager does: fork, dup2 to 3 and up, exec."""
    pid = os.fork()
    if pid:
        return pid
    try:
        high = [os.dup2(each.fileno(), 100 + number) for number, each in enumerate(listening)]
        os.closerange(_FIRST, 100)
        for number, each in enumerate(high):
            os.dup2(each, _FIRST + number)  # inheritable: descriptors that dup2 makes are
        os.closerange(_FIRST + len(high), 110 + len(high))
        env = {'PATH': '/usr/bin:/bin', 'LC_ALL': 'C.UTF-8', 'LISTEN_PID': str(os.getpid()),
               'LISTEN_FDS': str(len(high)), 'LISTEN_FDNAMES': ':'.join(_NAMES)}
        script = os.path.abspath(__file__)
        os.execve('/bin/sh', ['sh', '-c', f'exec {PYTHON} -B {script} - server'], env)
    finally:
        os._exit(127)


def ask(address, words, kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET, kind) as client:
        client.connect(address)
        client.sendall(words)
        return client.recv(5000).decode()


def main():
    if sys.argv[2:] == ['server']:
        server()
        return
    stage = Stage()
    tcp = socket.create_server(('127.0.0.1', 0))
    local = socket.socket(socket.AF_UNIX)
    local.bind(stage.path('socket'))
    local.listen()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(('127.0.0.1', 0))
    listening = [tcp, local, udp]
    http, datagrams = tcp.getsockname(), udp.getsockname()
    for activation in range(3):  # the sockets outlive the servers
        # Each time another socket's first words wake the server; they wait for it in the kernel.
        client = socket.socket(listening[activation].family, listening[activation].type)
        client.connect(listening[activation].getsockname())
        client.sendall(b'hello')
        woken = select.select(listening, [], [], 30)[0]
        stage.answer('woken by', [listening.index(each) for each in woken])
        pid = activate(listening)
        stage.note(pid, 'server')
        stage.answer('first answer', client.recv(100).decode())
        client.close()
        stage.answer('tell', ask(http, b'tell'))
        stage.answer('local', ask(stage.path('socket'), b'question'))
        stage.answer('datagram', ask(datagrams, b'question', socket.SOCK_DGRAM))
        if activation == 1:
            os.kill(pid, signal.SIGKILL)  # a server that dies leaves its sockets to the next
        else:
            stage.answer('stop', ask(http, b'stop'))
        stage.answer('end', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    for each in listening:
        each.close()
    stage.answer('refused', subprocess.run([PYTHON, '-c', f'import socket; socket.create_connection({http!r})'],
                                           stderr=subprocess.PIPE).stderr.decode().splitlines()[-1])
    stage.finish()


if __name__ == '__main__':
    main()
