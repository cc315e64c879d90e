# SPDX-License-Identifier: Apache-2.0
"""A million calls by eight threads on 64 connections each: none lost, none torn, each thread's order kept."""

import os
import unittest

from scenario import Scenario

CALLS = 1_000_000


class ManyCallsTest(Scenario):

    def test_a_million_calls_of_eight_threads_are_all_there(self):
        report = self.path('report')
        self.run_program(self.traced([os.environ['MANY_CALLS'], '8', '64', str(CALLS), report]))
        lines = [line.split() for line in self.read('report').decode().splitlines()]
        self.assertEqual(len(lines), 8)
        self.assertEqual(sum(int(line[5]) for line in lines), CALLS)
        if not self.tale:
            return
        words, _ = self.run_program([os.environ['CHECK_MANY_CALLS'], self.trace, report])
        self.assertTrue(words.startswith(b'1000000 calls of 8 threads'), words)
        print(words.decode().strip())
        self.assertEqual(self.tale.drops(), 0)
        connections = self.tale.connections()
        self.assertEqual(len(connections), 512)
        self.assertEqual(sum(conn['sent'] + conn['recv'] for conn in connections), sum(int(line[9]) for line in lines))


if __name__ == '__main__':
    unittest.main()
