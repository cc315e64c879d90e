# SPDX-License-Identifier: Apache-2.0
"""The witness is itself examined: streams put together from segments that come late, twice, or not at all."""

import socket
import unittest

from tale import first_difference
from wire_capture import _ACK, _SYN, CaptureError, WireCapture, _Packet, _parse

CLIENT, SERVER = ('127.0.0.1', 40000), ('127.0.0.1', 80)
START = 0xfffffff0  # sequence numbers wrap soon


def segment(offset, payload, flags=_ACK, source=CLIENT, destination=SERVER):
    return _Packet(socket.IPPROTO_TCP, source, destination, (START + offset) & 0xffffffff, flags, payload)


class WireCaptureTest(unittest.TestCase):

    def streams(self, *packets):
        wire = WireCapture([])
        wire._marker_receiver.close()
        wire._packets = [segment(0, b'', _SYN), segment(0, b'', _SYN | _ACK, SERVER, CLIENT), *packets]
        return wire.tcp_connections(80)

    def test_segments_that_come_late_or_twice_make_one_stream(self):
        conn, = self.streams(segment(21, b'third'), segment(1, b'0123456789'), segment(6, b'56789abcdefghij'),
                             segment(1, b'0123456789'), segment(1, b'answer', _ACK, SERVER, CLIENT))
        self.assertEqual((conn.from_client, conn.from_server), (b'0123456789abcdefghijthird', b'answer'))
        self.assertEqual((conn.client, conn.server, conn.established), (CLIENT, SERVER, True))

    def test_hole_in_a_stream_is_an_error(self):
        with self.assertRaisesRegex(CaptureError, 'bytes 3 to 4'):
            self.streams(segment(1, b'abc'), segment(5, b'e'))

    def test_segment_sent_again_with_other_content_is_an_error(self):
        with self.assertRaisesRegex(CaptureError, 'other content'):
            self.streams(segment(1, b'abc'), segment(2, b'xc'))

    def test_data_without_a_beginning_is_an_error(self):
        with self.assertRaisesRegex(CaptureError, 'beginning'):
            self.streams(segment(1, b'abc', _ACK, ('127.0.0.1', 41000)))

    def test_addresses_used_again_are_two_connections(self):
        first, second = self.streams(
            segment(1, b'one'), segment(1000, b'', _SYN), segment(2000, b'', _SYN | _ACK, SERVER, CLIENT),
            segment(1001, b'two'))
        self.assertEqual((first.from_client, second.from_client), (b'one', b'two'))

    def test_packet_cut_short_is_an_error(self):
        ip = bytes([0x45, 0, 0, 60, 0, 0, 0, 0, 64, socket.IPPROTO_TCP, 0, 0]) + bytes([127, 0, 0, 1] * 2)
        with self.assertRaisesRegex(CaptureError, 'of 60 bytes of which 40'):
            _parse(bytes(14) + ip + bytes(20))

    def test_first_difference_says_where(self):
        self.assertIsNone(first_difference(b'abc', b'abc'))
        self.assertIn('byte 1:', first_difference(b'axc', b'abc'))
        self.assertIn('byte 3:', first_difference(b'abc', b'abcd'))


if __name__ == '__main__':
    unittest.main()
