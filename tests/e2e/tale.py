# SPDX-License-Identifier: Apache-2.0
"""A recorded trace, seen the way a user's script sees it: through `socktale conns`, `follow` and `info`."""

import json
import subprocess


class Tale:
    """trace: path of a .tale file. env: environment of the commands. seconds: a function, how long a command may take."""

    def __init__(self, socktale, trace, env, seconds):
        self.trace = trace
        self._socktale, self._env, self._seconds = socktale, env, seconds

    def command(self, *arguments):
        """Runs a command and returns its stdout, bytes. AssertionError where it fails or complains."""
        argv = [self._socktale, *arguments]
        done = subprocess.run(argv, env=self._env, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=self._seconds())
        if done.returncode != 0:
            raise AssertionError(f'{" ".join(argv)}: exit status {done.returncode}\n{done.stderr.decode()}')
        return done.stdout

    def json(self, *arguments):
        """The JSON objects that a command prints, without the first, which is about the trace; and that one."""
        lines = [json.loads(line) for line in self.command(*arguments, '--json').splitlines()]
        if not lines or lines[0].get('type') != 'trace':
            raise AssertionError(f'{arguments} --json: the first line is not the trace: {lines[:1]}')
        return lines[1:], lines[0]

    def connections(self, port=None, path=None):
        """Connections to a port, or to a UNIX socket's path; of all kinds when neither is given."""
        found = [line for line in self.json('conns', self.trace)[0] if line['type'] == 'conn']
        if port is not None:
            found = [conn for conn in found if end_address(conn, 'server')[1] == port]
        if path is not None:
            found = [conn for conn in found if conn.get('path') == path]
        return found

    def side(self, conn, side):
        """All bytes that one side ("client" or "server") of a connection sent."""
        return self.command('follow', conn['id'], '-t', self.trace, '--as', 'raw', '--side', side)

    def both_sides(self, conn):
        return self.side(conn, 'client'), self.side(conn, 'server')

    def missing(self):
        """Rows of the completeness statement."""
        return self.json('info', self.trace)[1]['missing']

    def drops(self):
        return self.json('info', self.trace)[1]['dropped']


def joined(conn):
    """Were both ends of this connection recorded, and known to belong together?"""
    return conn['join'] in ('addresses', 'pair', 'order') and all('pid' in conn[end] for end in ('client', 'server'))


def moved(conn):
    """Bytes that the client and the server of a joined connection sent: as the sender counted them, or as the receiver
    did where that is more (stdio writes inside libc, unseen). Less is received where an end closes with bytes unread."""
    return (max(conn['client']['sent'], conn['server']['recv']), max(conn['server']['sent'], conn['client']['recv']))


def end_address(conn, end):
    """(ip, port) of the client's or the server's end; (None, None) where it is not told."""
    address = conn.get(end, {}).get('addr', {})
    return address.get('ip'), address.get('port')


def first_difference(told, truth):
    """Where two byte strings part, in words; None when they are the same."""
    if told == truth:
        return None
    place = next((i for i, (a, b) in enumerate(zip(told, truth)) if a != b), min(len(told), len(truth)))
    return (f'told {len(told)} bytes, exchanged {len(truth)}, first difference at byte {place}: '
            f'told {told[place:place + 40]!r}, exchanged {truth[place:place + 40]!r}')
