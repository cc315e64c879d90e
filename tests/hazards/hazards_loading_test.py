# SPDX-License-Identifier: Apache-2.0
"""Rows 1 to 3b: calls before the shim's own beginning, other people's malloc, symbols with versions, libraries opened
later."""

import unittest

from hazard import Hazard


class LoadingTest(Hazard):

    def test_row1_calls_before_all_constructors_and_after_all_destructors(self):
        stdout, _ = self.same_behaviour([self.built('early')], status=7)
        words = [line.split(b' on ')[0] for line in stdout.splitlines() if b' on ' in line]
        self.assertEqual(len(words), 8, stdout)
        self.assertEqual(words[:3], [b'.preinit_array', b"library's constructor", b'constructor'])
        self.assertEqual(self.payloads('send'), words)
        self.assertEqual(self.payloads('recv'), words)
        self.assertEqual(self.counts()['socketpair'], 8)
        self.assert_complete()


if __name__ == '__main__':
    unittest.main()
