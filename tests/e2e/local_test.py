# SPDX-License-Identifier: Apache-2.0
"""Conversations that never leave the machine in other ways: UNIX sockets, UDP, a socketpair. The programs at the ends
know what they said; UDP is compared with the wire as well."""

import hashlib
import os
import socket
import unittest

from scenario import HERE, PYTHON, Scenario, program
from tale import end_address, first_difference, joined


class LocalTest(Scenario):

    def assert_told(self, conn, client, server):
        """This connection's two sides are these bytes, both ends were recorded, nothing was dropped."""
        self.assertTrue(joined(conn), f'its two ends are not told of as one: {conn}')
        for name, truth in (('client', client), ('server', server)):
            self.assertIsNone(first_difference(self.tale.side(conn, name), truth), f'{name} of {conn}')
        self.assertEqual((conn['sent'], conn['recv']), (len(client), len(server)))
        self.assertEqual(self.tale.drops(), 0)

    def test_socat_over_a_unix_socket(self):
        door = self.path('door.sock')
        said = b''.join(b'line %d of the letter\n' % n for n in range(20_000))
        self.record({
            'servers': [{'argv': [program('socat'), f'UNIX-LISTEN:{door},fork', 'EXEC:/usr/bin/tr a-z A-Z'],
                         'ready': {'unix': door}, 'status': [143, -15]}],
            'clients': [[{'argv': [program('socat'), '-t', '10', '-', f'UNIX-CONNECT:{door}'],
                          'stdin': self.write('letter', said), 'stdout': self.path('answer')}]],
        })
        self.assertIsNone(first_difference(self.read('answer'), said.upper()))
        if self.tale:
            conn, = self.tale.connections(path=door)
            self.assert_told(conn, said, said.upper())
            # socat talks with tr over a socketpair that tr has as its stdin and stdout. tr writes by stdio, whose calls
            # inside libc are not seen: what it said is known from what socat received.
            pair, = [each for each in self.tale.connections()
                     if each['proto'] == 'unix' and each['id'] != conn['id'] and each['sent'] + each['recv'] > 0]
            self.assert_told(pair, said, said.upper())

    def test_udp_echo(self):
        port = self.free_port(socket.SOCK_DGRAM)
        self.record({
            'servers': [{'argv': [PYTHON, str(HERE / 'programs' / 'udp_echo.py'), str(port)], 'ready': {'udp': port},
                         'stop': 'self', 'status': [0]}],
            'clients': [[{'argv': [PYTHON, str(HERE / 'programs' / 'udp_client.py'), str(port), how],
                          'stdout': self.path(how)}] for how in ('connected', 'unconnected', 'last')],
        }, [port])
        truth = {}  # the client's address → what it sent, what it received
        for how in ('connected', 'unconnected', 'last'):
            client, sent, received = self.read(how).decode().split()
            truth['127.0.0.1', int(client)] = tuple(bytes.fromhex(each.split(':')[1]) for each in (sent, received))
        if self.wire:
            wire = {client: [b'', b''] for client in truth}
            for each in self.wire.datagrams(port):
                answer = each.source[1] == port
                wire[each.destination if answer else each.source][answer] += b''.join(each.payloads)
            self.assertEqual({client: tuple(sides) for client, sides in wire.items()}, truth)
        if self.tale:
            told = {}
            for conn in self.tale.connections(port=port):
                self.assertEqual(conn['proto'], 'udp')
                self.assertTrue(joined(conn), f'its two ends are not told of as one: {conn}')
                told[end_address(conn, 'client')] = self.tale.both_sides(conn)
            self.assert_same_conversations(told, truth)
            self.assertEqual(self.tale.drops(), 0)

    def test_socketpair_between_parent_and_child(self):
        argv = [PYTHON, str(HERE / 'programs' / 'socketpair.py')]
        stdout, _ = self.run_program(self.traced(argv))
        digests = dict(line.split() for line in stdout.decode().splitlines())
        if self.tale:
            conn, = self.tale.connections()
            sides = self.tale.both_sides(conn)
            self.assertEqual({'parent': hashlib.sha256(sides[0]).hexdigest(),
                              'child': hashlib.sha256(sides[1]).hexdigest()}, digests)
            self.assertEqual((conn['sent'], conn['recv']), (len(sides[0]), len(sides[1])))
            self.assertTrue(joined(conn), f'its two ends are not told of as one: {conn}')
            self.assertNotEqual(conn['client']['pid'], conn['server']['pid'], 'parent and child are the ends')
            self.assertEqual(self.tale.drops(), 0)


if __name__ == '__main__':
    unittest.main()
