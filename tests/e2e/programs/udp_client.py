# SPDX-License-Identifier: Apache-2.0
"""udp_client.py PORT connected|unconnected|last: datagrams of 0 to 60 000 bytes to udp_echo.py, each answer awaited; with
`last` only the one that ends it. Prints its own port, all it sent and all it received, in hex."""

import os
import socket
import sys

server, how = ('127.0.0.1', int(sys.argv[1])), sys.argv[2]
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams = [b'end'] if how == 'last' else [os.urandom(size) for size in (1, 0, 20, 1472, 1473, 9000, 60_000, 5)]
if how == 'connected':
    client.connect(server)
answers = []
for datagram in datagrams:
    if how == 'connected':
        client.send(datagram)
        answers.append(client.recv(65536))
    else:
        client.sendto(datagram, server)
        if how != 'last':
            answers.append(client.recvfrom(65536)[0])
assert how == 'last' or answers == [datagram[::-1] for datagram in datagrams]
print(client.getsockname()[1], f'sent:{b"".join(datagrams).hex()}', f'received:{b"".join(answers).hex()}')
