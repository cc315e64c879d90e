# SPDX-License-Identifier: Apache-2.0
"""What really went over the loopback device, seen by the kernel and not by us: the ground truth of the e2e tests.

A packet socket on `lo` takes every TCP segment and UDP datagram of the ports it is told, and puts the streams together
by their sequence numbers. Needs CAP_NET_RAW; WireCapture.available() says whether that is to be had.
"""

import collections
import ctypes
import ipaddress
import socket
import struct
import threading

_ETH_P_ALL = 3                # linux/if_ether.h
_SOL_PACKET = 263             # linux/if_packet.h
_PACKET_STATISTICS = 6
_PACKET_HOST = 0              # pkttype of a packet that came in; `lo` shows every packet going out and coming in
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_SKF_AD_PKTTYPE = 0xfffff004  # SKF_AD_OFF + SKF_AD_PKTTYPE, linux/filter.h
_ETHERNET = 14                # bytes of the link header, which `lo` has too
_SYN, _ACK = 2, 16  # TCP flags

TcpConnection = collections.namedtuple('TcpConnection', 'client server from_client from_server established')
# client, server: (ip, port). from_client, from_server: bytes. established: the server answered the SYN with a SYN.

Datagrams = collections.namedtuple('Datagrams', 'source destination payloads')
# One direction of a UDP conversation: (ip, port), (ip, port), list of bytes in the order they came in.


class CaptureError(Exception):
    """The capture cannot serve as truth: packets were dropped, cut, missing or contradict each other."""


def _port_filter(ports):
    """Classic BPF: incoming IPv4 or IPv6 packets whose source or destination port is one of `ports`."""
    load_word, load_half, load_half_indexed = 0x20, 0x28, 0x48
    index_immediate, index_header_length = 0x01, 0xb1
    jump_equal, jump, verdict = 0x15, 0x05, 0x06
    tests = 2 * len(ports)
    program = [
        (load_word, 0, 0, _SKF_AD_PKTTYPE),
        (jump_equal, 0, tests + 8, _PACKET_HOST),
        (load_half, 0, 0, 12),
        (jump_equal, 1, 0, socket.ntohs(0x0008)),  # 0x0800, IPv4
        (jump_equal, 2, tests + 5, 0x86dd),        # IPv6
        (index_header_length, 0, 0, _ETHERNET),
        (jump, 0, 0, 1),
        (index_immediate, 0, 0, 40),
        (load_half_indexed, 0, 0, _ETHERNET),      # source port
    ]
    program += [(jump_equal, tests - i + 1, 0, port) for i, port in enumerate(ports)]
    program += [(load_half_indexed, 0, 0, _ETHERNET + 2)]
    program += [(jump_equal, len(ports) - i, 0, port) for i, port in enumerate(ports)]
    program += [(verdict, 0, 0, 0), (verdict, 0, 0, 0x7fffffff)]
    return program


class WireCapture:
    """with WireCapture([port, …]) as wire: …; then wire.tcp_connections(port), wire.datagrams(port)."""

    @staticmethod
    def available():
        try:
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
            return True
        except OSError:
            return False

    def __init__(self, ports):
        self._marker_receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._marker_receiver.bind(('127.0.0.1', 0))
        self._marker_port = self._marker_receiver.getsockname()[1]
        self._ports = list(ports) + [self._marker_port]
        self._packets = []
        self._error = None

    def __enter__(self):
        # Protocol 0 until the filter stands: else packets of other ports would get in before it.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        program = _port_filter(self._ports)
        code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *instruction) for instruction in program))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER,
                                struct.pack('HL', len(program), ctypes.addressof(code)))
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 256 << 20)
        except PermissionError:  # CAP_NET_RAW without CAP_NET_ADMIN; drops are noticed below
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 << 20)
        self._socket.bind(('lo', _ETH_P_ALL))
        self._thread = threading.Thread(target=self._receive)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        # Everything that was received before this datagram is sent came through the packet socket before it.
        marker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        marker.sendto(b'end', ('127.0.0.1', self._marker_port))
        self._thread.join()
        dropped = struct.unpack('II', self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1]
        for each in (marker, self._marker_receiver, self._socket):
            each.close()
        if self._error:
            raise self._error
        if dropped:
            raise CaptureError(f'the kernel dropped {dropped} packets of the wire capture: no ground truth')

    def _receive(self):
        buffer = bytearray(1 << 20)
        try:
            while True:
                size = self._socket.recv_into(buffer, 0, socket.MSG_TRUNC)
                if size > len(buffer):
                    raise CaptureError(f'a packet of {size} bytes is larger than the buffer of the wire capture')
                packet = _parse(bytes(memoryview(buffer)[:size]))
                if packet is None:
                    continue
                if packet.protocol == socket.IPPROTO_UDP and packet.destination[1] == self._marker_port:
                    return
                self._packets.append(packet)
        except Exception as error:  # raised again in __exit__
            self._error = error

    def tcp_connections(self, port):
        """All TCP connections to `port`, in the order of their first SYN."""
        streams = {}  # (source, destination) → the newest _Stream of this direction
        opened = []   # (from client, from server)
        for packet in self._packets:
            if packet.protocol != socket.IPPROTO_TCP or port not in (packet.source[1], packet.destination[1]):
                continue
            key = (packet.source, packet.destination)
            if packet.flags & _SYN:
                if key in streams and streams[key].first == packet.sequence:
                    continue  # sent again
                streams[key] = _Stream(packet.source, packet.destination, packet.sequence)
                if not packet.flags & _ACK:
                    streams.pop(key[::-1], None)
                    opened.append([streams[key], None])
                else:
                    pair = next(p for p in reversed(opened) if p[0].key() == key[::-1])
                    pair[1] = streams[key]
            elif packet.payload:
                if key not in streams:
                    raise CaptureError(f'{key}: data of a connection whose beginning was not captured')
                streams[key].segments.append((packet.sequence, packet.payload))
        return [TcpConnection(up.source, up.destination, up.bytes(), down.bytes() if down else b'', down is not None)
                for up, down in opened]

    def datagrams(self, port):
        """All UDP datagrams from and to `port`, by direction."""
        directions = {}
        for packet in self._packets:
            if packet.protocol == socket.IPPROTO_UDP and port in (packet.source[1], packet.destination[1]):
                directions.setdefault((packet.source, packet.destination), []).append(packet.payload)
        return [Datagrams(source, destination, payloads) for (source, destination), payloads in directions.items()]


_Packet = collections.namedtuple('_Packet', 'protocol source destination sequence flags payload')


def _parse(frame):
    """An Ethernet frame as _Packet; None for what is neither TCP nor UDP."""
    version = frame[_ETHERNET] >> 4
    if version == 4:
        header = (frame[_ETHERNET] & 15) * 4
        total = struct.unpack_from('!H', frame, _ETHERNET + 2)[0] or len(frame) - _ETHERNET  # 0: larger than 64 KiB
        if struct.unpack_from('!H', frame, _ETHERNET + 6)[0] & 0x3fff:
            raise CaptureError('a fragmented packet on the loopback device')
        protocol = frame[_ETHERNET + 9]
        source, destination = frame[_ETHERNET + 12:_ETHERNET + 16], frame[_ETHERNET + 16:_ETHERNET + 20]
    else:
        header = 40
        total = 40 + struct.unpack_from('!H', frame, _ETHERNET + 4)[0]
        protocol = frame[_ETHERNET + 6]
        source, destination = frame[_ETHERNET + 8:_ETHERNET + 24], frame[_ETHERNET + 24:_ETHERNET + 40]
    if protocol not in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        return None
    if total > len(frame) - _ETHERNET:
        raise CaptureError(f'a packet of {total} bytes of which {len(frame) - _ETHERNET} were captured')
    segment = frame[_ETHERNET + header:_ETHERNET + total]
    source_port, destination_port = struct.unpack_from('!HH', segment)
    ends = (str(ipaddress.ip_address(source)), source_port), (str(ipaddress.ip_address(destination)), destination_port)
    if protocol == socket.IPPROTO_UDP:
        return _Packet(protocol, *ends, 0, 0, segment[8:])
    sequence = struct.unpack_from('!I', segment, 4)[0]
    return _Packet(protocol, *ends, sequence, segment[13], segment[(segment[12] >> 4) * 4:])


class _Stream:
    """One direction of a TCP connection; first: sequence number of its SYN."""

    def __init__(self, source, destination, first):
        self.source, self.destination, self.first, self.segments = source, destination, first, []

    def key(self):
        return self.source, self.destination

    def bytes(self):
        stream = bytearray()
        placed = sorted(((sequence - self.first - 1) & 0xffffffff, payload) for sequence, payload in self.segments)
        for offset, payload in placed:
            if offset > len(stream):
                raise CaptureError(f'{self.key()}: bytes {len(stream)} to {offset} of the stream were not captured')
            again = min(len(stream) - offset, len(payload))
            if stream[offset:offset + again] != payload[:again]:
                raise CaptureError(f'{self.key()}: byte {offset}: a segment was sent again with other content')
            stream += payload[again:]
        return bytes(stream)
