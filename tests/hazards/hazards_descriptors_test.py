# SPDX-License-Identifier: Apache-2.0
"""Rows 8 to 10: every number closed and replaced, the highest numbers, errno, and pointers that cannot be read."""

import collections
import errno
import os
import resource
import sys
import unittest

from hazard import Hazard, payload


class DescriptorsTest(Hazard):

    def test_row8_9_every_number_closed_and_replaced(self):
        stdout, _ = self.same_behaviour([self.built('numbers_closed')])
        words = [line.split(b' on ')[0] for line in stdout.splitlines() if b' on ' in line and b'done' not in line]
        self.assertEqual(len(words), 7, stdout)
        self.assertIn(b'at first: next descriptor 3\n', stdout)
        self.assertEqual(self.payloads('send'), [*words, b'on standard numbers'])
        counts = self.counts()
        self.assertEqual(counts['close_range'], 4)  # closefrom twice, close_range, and by number
        self.assertEqual(counts['dup2'], 4096 - 3 + 1 + 1)
        self.assertGreater(counts['close'], 4093)
        failed = collections.Counter(event.get('err') for event in self.events('socket', 'open', 'dup2'))
        self.assertEqual((failed['EMFILE'], failed['EBADF']), (2, 1))
        self.assert_complete()

    def test_numbers_that_two_threads_hand_each_other(self):
        """Ends are noted before the real call, beginnings after it: else a socket passes for a file and its bytes are
        lost, or a file for a socket."""
        self.same_behaviour([self.built('numbers_race'), '2000'])
        numbers = [str(number).encode() for number in range(2000)]
        self.assertEqual([payload(event) for event in self.events('write')], numbers)
        self.assertEqual([payload(event) for event in self.events('read')], numbers)
        self.assertEqual(self.counts()['found'], 3)
        self.assert_complete()

    def high_numbers(self, limit):
        stdout, _ = self.same_behaviour([self.built('high_numbers'), str(limit)])
        words = [line for line in stdout.splitlines() if line.startswith(b'from')]
        self.assertIn(f'from {limit - 2} to {limit - 1}'.encode(), words)
        self.assertEqual(self.payloads('send'), [*words, b'from a child'])
        self.assertEqual(self.payloads('recv'), [*words, b'from a child'])
        self.assert_complete()

    def test_row10_the_highest_numbers_that_are_allowed_here(self):
        self.high_numbers(resource.getrlimit(resource.RLIMIT_NOFILE)[1])

    def test_row10_descriptor_1000000(self):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))
        except (ValueError, PermissionError) as reason:
            words = f'NOT TESTED: a limit of {1 << 20} descriptors is not to be had here ({reason})'
            print(f'*** {words}', file=sys.stderr)
            self.skipTest(words)
        self.high_numbers(1 << 20)

    def test_row10_errno(self):
        stdout, _ = self.same_behaviour([self.built('errnos')])
        said = collections.Counter(line.rsplit(b', ', 1)[1] for line in stdout.splitlines() if b' = -1, ' in line)
        for number in (errno.EAGAIN, errno.EBADF, errno.EINTR, errno.EPIPE, errno.EMFILE, errno.ENOTSOCK):
            self.assertGreater(said[str(number).encode()], 0, os.strerror(number))
        told = collections.Counter(event['err'] for event in self.events() if 'err' in event and event['ret'] == -1)
        for number, count in said.items():
            self.assertGreaterEqual(told[errno.errorcode[int(number)]], count, stdout)
        self.assert_complete()

    def bad_pointers(self, *arguments):
        """What the program said of each failed call is what the trace holds."""
        stdout, _ = self.same_behaviour([self.built('bad_pointers'), *arguments], options=['--io', 'all'])
        said = collections.defaultdict(collections.Counter)
        for line in stdout.decode().splitlines():
            name, *numbers = line.split()
            if len(numbers) == 2 and numbers[0] == '-1':
                said[name][errno.errorcode[int(numbers[1])]] += 1
        told = collections.defaultdict(collections.Counter)
        for event in self.events():
            if 'err' in event:
                told[event['call']][event['err']] += 1
        for name in ('clone3', 'openat2', 'popen'):  # by number, or libc's own failure
            said.pop(name, None)
        self.assertGreater(len(said), 50)
        for name, errors in said.items():
            self.assertEqual({error: told[name][error] for error in errors}, dict(errors), name)
        self.assert_complete()

    def test_row10_bad_pointers_to_every_call(self):
        self.bad_pointers()

    @unittest.skipUnless(os.geteuid() == 0, 'only root may become another user')
    def test_row10_bad_pointers_to_calls_that_the_user_may_not_make(self):
        self.bad_pointers('user')

    def test_row10_bad_pointers_behind_a_filter_of_system_calls(self):
        self.bad_pointers('filter')


if __name__ == '__main__':
    unittest.main()
