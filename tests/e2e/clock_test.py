# SPDX-License-Identifier: Apache-2.0
"""The recorder's clock is the program's."""

import json
import unittest

from scenario import PYTHON, Scenario

# Sends a byte every few ms, for longer than the recorder takes to measure the processor's counter and to adjust its
# clock some times, and says between which of its own times each call lay.
PROGRAM = '''
import select, socket, time
a, b = socket.socketpair()
for i in range(60):
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    a.send(b'x')
    print(before, time.clock_gettime_ns(time.CLOCK_MONOTONIC))
    b.recv(1)
    select.select([], [], [], 0.005)
'''

# Of the recorder's line, which is bent at looks that other programs may delay.
EXACT_NS = 200_000


class ClockTest(Scenario):

    def test_events_lie_where_the_program_made_them(self):
        if not self.socktale:
            self.skipTest('there is nothing to say about an untraced run')
        stdout, _ = self.run_program(self.traced([PYTHON, '-c', PROGRAM]))
        spans = [tuple(int(word) for word in line.split()) for line in stdout.decode().splitlines()]
        shown, _ = self.run_program([self.socktale, 'show', '--json', self.trace])
        lines = [json.loads(line) for line in shown.decode().splitlines()]
        sends = [event for event in lines if event.get('call') in ('send', 'sendto', 'write') and event['ret'] == 1]
        self.assertEqual(len(spans), 60)
        self.assertEqual(len(sends), len(spans))
        # The trace counts from a moment that the program does not know: it is the one that fits the first call best.
        first = spans[0][0] - sends[0]['t_ns']
        for (before, after), event in zip(spans, sends):
            begin = event['t_ns'] + first
            self.assertGreaterEqual(begin, before - EXACT_NS)
            self.assertLessEqual(begin + event['dur_ns'], after + EXACT_NS)


if __name__ == '__main__':
    unittest.main()
