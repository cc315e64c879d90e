# SPDX-License-Identifier: Apache-2.0
"""Python's multiprocessing passes connections and a listening socket to processes that are forked, spawned and made by
a fork server; each answers on what it was given."""

import multiprocessing
import os
import socket
import sys

from stage import Stage

_METHODS = ('fork', 'spawn', 'forkserver')


def serve(pipe):
    """In the child: takes connections and a listening socket out of the pipe and answers on each, until None comes."""
    while True:
        given = pipe.recv()
        if given is None:
            break
        with given:
            accepting = given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            connection = given.accept()[0] if accepting else given
            with connection:
                asked = connection.recv(100)
                connection.sendall(b'answer to ' + asked)
        # The numbers of a child's descriptors must be those it would have had.
        pipe.send([given.family.name, bool(accepting), sorted(map(int, os.listdir('/proc/self/fd')))])
    pipe.close()


def main():
    stage = Stage()
    for method in _METHODS:
        context = multiprocessing.get_context(method)
        ours, theirs = context.Pipe()
        child = context.Process(target=serve, args=(theirs,))
        child.start()
        stage.note(child.pid, method)
        theirs.close()
        with socket.create_server(('127.0.0.1', 0)) as listener:
            for number in range(3):
                client = socket.create_connection(listener.getsockname())
                connection, _ = listener.accept()
                ours.send(connection)
                connection.close()
                client.sendall(b'%s %d' % (method.encode(), number))
                stage.answer(method, [client.recv(100).decode(), ours.recv()])
                client.close()
            ours.send(listener)
            client = socket.create_connection(listener.getsockname())
            client.sendall(b'a connection of your own')
            stage.answer(method, [client.recv(100).decode(), ours.recv()])
            client.close()
        pair = socket.socketpair()
        ours.send(pair[1])
        pair[1].close()
        pair[0].sendall(b'a pair')
        stage.answer(method, [pair[0].recv(100).decode(), ours.recv()])
        pair[0].close()
        ours.send(None)
        child.join()
        ours.close()
        stage.answer(method, child.exitcode)
        stage.look()
    sys.stdout.flush()
    from multiprocessing import forkserver, resource_tracker
    forkserver._forkserver._stop()  # both live on until their parent's end otherwise
    resource_tracker._resource_tracker._stop()
    stage.finish()


if __name__ == '__main__':
    main()
