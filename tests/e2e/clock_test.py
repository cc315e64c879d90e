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
EXACT_NS = 100_000


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
        # The program does not know when the trace began; each call says since when at the earliest, and at the latest.
        earliest = max(before - event['t_ns'] for (before, _), event in zip(spans, sends))
        latest = min(after - event['t_ns'] - event['dur_ns'] for (_, after), event in zip(spans, sends))
        self.assertLessEqual(earliest, latest + EXACT_NS)


if __name__ == '__main__':
    unittest.main()
