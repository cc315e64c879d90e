# SPDX-License-Identifier: Apache-2.0
"""udp_echo.py PORT: sends every datagram back to where it came from, reversed. Ends at a datagram that says end."""

import socket
import sys

echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(('127.0.0.1', int(sys.argv[1])))
while True:
    datagram, source = echo.recvfrom(65536)
    if datagram == b'end':
        break
    echo.sendto(datagram[::-1], source)
