# SPDX-License-Identifier: Apache-2.0
"""redis saves in a child (BGSAVE), rewrites its log in a child (BGREWRITEAOF) while it is written to, is killed, and
starts again from what it wrote."""

import re
import signal
import socket

from stage import Stage, free_port, program


class Client:
    """Speaks redis's protocol over one connection."""

    def __init__(self, port):
        self._socket = socket.create_connection(('127.0.0.1', port), timeout=30)
        self._lines = self._socket.makefile('rb')

    def ask(self, *words):
        parts = [f'*{len(words)}\r\n'.encode()]
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b'$%d\r\n%s\r\n' % (len(word), word))
        self._socket.sendall(b''.join(parts))
        return self._reply()

    def _reply(self):
        line = self._lines.readline().rstrip(b'\r\n').decode()
        kind, rest = line[:1], line[1:]
        if kind in '+-:':
            return line
        if kind == '$':
            return None if rest == '-1' else self._lines.read(int(rest) + 2)[:-2].decode('latin-1')
        return [self._reply() for _ in range(int(rest))]

    def close(self):
        self._lines.close()
        self._socket.close()


def main():
    stage, port = Stage(), free_port()
    argv = [program('redis-server'), '--port', str(port), '--bind', '127.0.0.1', '--dir', str(stage.dir), '--save', '',
            '--appendonly', 'yes', '--appendfsync', 'everysec', '--auto-aof-rewrite-percentage', '0',
            '--enable-debug-command', 'yes']

    def start(times):
        server = stage.start(argv, 'redis.log')
        stage.until(lambda: stage.read('redis.log').count('Ready to accept connections') == times, 'redis to start')
        return server, Client(port)

    def finished(client, what):
        """Waits for a child's end; redis says which process it was."""
        stage.look()
        stage.until(lambda: set(re.findall(f'{what}_(?:in_progress|scheduled):(.)', client.ask('INFO', 'persistence')))
                    == {'0'}, what)
        info = client.ask('INFO', 'persistence')
        stage.answer(what, re.findall(r'(?:rdb_last_bgsave|aof_last_bgrewrite|aof_last_write)_status:(\w+)', info))

    server, client = start(1)
    for number in range(300):
        client.ask('SET', f'key-{number}', bytes([65 + number % 26]) * (number * 10))
        client.ask('RPUSH', 'list', number)
    stage.answer('BGSAVE', client.ask('BGSAVE'))
    for number in range(300, 400):  # written to while the child saves
        stage.answer('SET', client.ask('SET', f'key-{number}', number))
    finished(client, 'rdb_bgsave')
    stage.answer('BGREWRITEAOF', client.ask('BGREWRITEAOF'))
    for number in range(400, 500):
        client.ask('INCRBY', 'sum', number)
    finished(client, 'aof_rewrite')
    stage.answer('digest', client.ask('DEBUG', 'DIGEST'))
    client.close()
    stage.end(server.pid, signal.SIGKILL)

    server, client = start(2)
    stage.answer('digest from the log', client.ask('DEBUG', 'DIGEST'))
    stage.answer('sum', client.ask('GET', 'sum'))
    stage.answer('key', client.ask('GET', 'key-299'))
    stage.answer('list', client.ask('LRANGE', 'list', 0, -1))
    stage.answer('error', client.ask('NOSUCHCOMMAND'))
    client.close()
    stage.end(server.pid)
    for child in re.findall(r'(?:saving|rewriting) started by pid (\d+)', stage.read('redis.log')):
        stage.note(int(child), 'redis-server child')
    stage.finish()


if __name__ == '__main__':
    main()
