# SPDX-License-Identifier: Apache-2.0
"""Rows 4 and 5: children that share their parent's memory, and forks amid threads that record."""

import collections
import unittest

from hazard import Hazard, payload


class ProcessesTest(Hazard):

    def test_row4_a_vfork_child_closes_and_replaces_its_parents_descriptors(self):
        self.same_behaviour([self.built('vfork_table')])
        words = [b'before', b'after', b'after', b'after', b'at the end']
        parent = self.events('attached')[0]['pid']
        self.assertEqual([payload(event) for event in self.events('write', pid=parent)], words)
        self.assertEqual([payload(event) for event in self.events('read', pid=parent)], words)
        # Its descriptors lived on under the same numbers: one connection, and nothing found anew.
        pair, = self.events('socketpair')
        for event in self.events('write', 'read', pid=parent):
            self.assertEqual(event['conn'], pair['conn'])
        numbers = {event['fd'].split('/')[1] for event in self.events('found', pid=parent)}
        self.assertEqual(numbers, {'0', '1', '2'})
        # What the children did is theirs: 39 numbers each.
        closes = collections.Counter(event['pid'] for event in self.events('close') if event['pid'] != parent)
        self.assertEqual(sorted(closes.values()), [39, 39, 39])
        self.assertEqual([event['path'] for event in self.events('attached') if event['pid'] != parent],
                         ['/usr/bin/true'] * 2)
        self.assert_complete()

    def test_row5_150_forks_of_a_program_of_five_threads_that_record(self):
        self.same_behaviour([self.built('forking_threads'), '150'])
        sent = collections.defaultdict(list)  # (kind, who) → numbers, in order
        pids = collections.defaultdict(set)
        for event in self.events('send'):
            kind, who, number = payload(event).decode().split()
            sent[kind, int(who)].append(int(number))
            pids[kind, int(who)].add(event['pid'])
        for child in range(150):
            self.assertEqual(sent['c', child], [0, 1, 2])
            self.assertEqual(len(pids['c', child]), 1)
        parent = self.events('attached')[0]['pid']
        for thread in range(4):
            count, = sent['e', thread]
            self.assertEqual(sent['t', thread], list(range(count)))
            self.assertEqual(pids['t', thread], {parent})
        self.assertEqual(len({*self.pids_of_children()}), 150)
        received = [payload(event) for event in self.events('recv')]
        self.assertEqual(sorted(received), sorted(payload(event) for event in self.events('send')))
        self.assert_complete()

    def pids_of_children(self):
        return [event['pid'] for event in self.events('attached', reason='fork')]


if __name__ == '__main__':
    unittest.main()
