# SPDX-License-Identifier: Apache-2.0
"""A server that forks its workers first and hands every accepted connection to one of them with SCM_RIGHTS; a worker
that is killed is replaced, and one asks for the listening socket itself."""

import os
import signal
import socket

from stage import Stage

_WORKERS = 4


def work(number, channel):
    """In a worker: a connection comes with each message, one line is answered on each of them."""
    while True:
        words, numbers, flags, _ = socket.recv_fds(channel, 100, 8)
        if not words:
            os._exit(0)
        sockets = [socket.socket(fileno=each) for each in numbers]
        if words == b'listen':
            with sockets[0].accept()[0] as connection:
                connection.sendall(b'worker %d itself accepted: %s' % (number, connection.recv(100)))
        for each in sockets if words != b'listen' else ():
            each.sendall(b'worker %d has it at %d of %r, flags %d: %s' % (
                number, each.fileno(), numbers, flags & ~socket.MSG_CMSG_CLOEXEC, each.recv(100)))
        for each in sockets:
            each.close()
        channel.sendall(b'done')


def start(stage, number, others):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        for each in (ours, *others):
            each.close()
        try:
            work(number, theirs)
        finally:
            os._exit(1)
    theirs.close()
    stage.note(pid, 'worker')
    return pid, ours


def main():
    stage = Stage()
    listener = socket.create_server(('127.0.0.1', 0))
    workers = []
    for number in range(_WORKERS):
        workers.append(start(stage, number, [listener, *(channel for _, channel in workers)]))

    def ask(number, words, message=b'connection', connections=1):
        clients, passed = [], []
        for _ in range(connections):
            clients.append(socket.create_connection(listener.getsockname()))
            passed.append(listener.accept()[0])
        channel = workers[number][1]
        socket.send_fds(channel, [message], [each.fileno() for each in passed])
        for each in passed:
            each.close()  # before the worker has taken it: the kernel holds it meanwhile
        for client in clients:
            client.sendall(words)
        answers = [client.recv(200).decode() for client in clients]
        ends = [client.recv(1).decode() for client in clients]
        stage.answer(words.decode(), [answers, ends, channel.recv(10).decode()])
        for client in clients:
            client.close()

    for turn in range(12):
        ask(turn % _WORKERS, b'question %d' % turn)
    ask(1, b'three at once', connections=3)

    # A connection that was passed to a worker which dies before it answers: the client sees the end.
    pid, channel = workers[2]
    os.kill(pid, signal.SIGSTOP)
    client = socket.create_connection(listener.getsockname())
    accepted = listener.accept()[0]
    socket.send_fds(channel, [b'connection'], [accepted.fileno()])
    accepted.close()
    os.kill(pid, signal.SIGKILL)
    stage.answer('killed worker', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    stage.answer('its connection', client.recv(100).decode())
    client.close()
    channel.close()
    workers[2] = start(stage, 2, [listener, *(each for number, (_, each) in enumerate(workers) if number != 2)])
    ask(2, b'question to the new one')

    socket.send_fds(workers[3][1], [b'listen'], [listener.fileno()])
    client = socket.create_connection(listener.getsockname())
    client.sendall(b'mine')
    stage.answer('listen', [client.recv(200).decode(), workers[3][1].recv(10).decode()])
    client.close()
    for pid, channel in workers:
        channel.close()
        stage.answer('end', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    listener.close()
    stage.finish()


if __name__ == '__main__':
    main()
