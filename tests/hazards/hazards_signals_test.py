# SPDX-License-Identifier: Apache-2.0
"""Rows 6 and 7: calls that are never returned from, and calls inside calls."""

import collections
import os
import unittest

from hazard import Hazard, payload


class SignalsTest(Hazard):

    def test_row6_threads_cancelled_in_and_handlers_that_jump_out_of_each_call_that_waits(self):
        fifo = self.path('fifo')
        os.mkfifo(fifo)
        stdout, _ = self.same_behaviour([self.built('cancelled'), fifo])
        waits = [line.split(b':')[0] for line in stdout.splitlines() if line.endswith(b': cancelled')]
        self.assertEqual(len(waits), 24)
        words = [word + b' cancelled' for word in waits] + [word + b' left' for word in waits] + [b'still']
        for calls in (('send',), ('recv',)):
            self.assertEqual([word for word in self.payloads(*calls) if len(word) < 100 and word != b'\0'], words)
        # Of pipes and files nothing is recorded: of read and fcntl here.
        recorded = {word.decode() for word in waits} - {'read', 'fcntl'}
        self.assertEqual(collections.Counter(event['left'] for event in self.events('left')),
                         collections.Counter({call: 5 for call in recorded}))
        self.assertEqual([(row['kind'], row['count']) for row in self.info()['missing']],
                         [('left_call', 5 * len(recorded))])
        self.assertEqual(sorted(event['call'] for event in self.in_calls()), sorted(recorded))

    def test_row6_the_workload_of_signals_jumps_and_forks_in_handlers(self):
        self.same_behaviour([self.workload('signals')])
        info = self.info()
        # A fork in a handler that came amid the writing of an event: its child is not recorded, and that is said.
        named = ['dropped_unattached'] if info['dropped'] else []
        self.assertEqual([row['kind'] for row in info['missing'] if row['kind'] in ('dropped_unattached',)], named)
        children = self.events('attached', reason='fork')
        forks = [event for event in self.events('fork') if event['ret'] > 0]
        self.assertGreaterEqual(len(forks), 20)
        self.assertEqual(info['dropped'], 2 * (len(forks) - len(children)))  # each sends once and exits

    def test_row7_a_storm_of_signals_whose_handlers_record_amid_three_threads(self):
        self.same_behaviour([self.built('storm'), '10'])
        sent = collections.defaultdict(list)
        received = collections.Counter()
        for event in self.events('send', 'recv'):
            words = payload(event).decode().split()
            if event['call'] == 'recv':
                received[' '.join(words)] += 1
            elif words:
                sent[words[0], int(words[1])].append(int(words[2]))
        for thread in range(3):
            self.assertEqual(sent['t', thread], list(range(sent['e', thread][0])))
        handled, = sent['e', 3]
        self.assertGreaterEqual(handled, 200)
        self.assertEqual(sorted(sent['h', 0]), list(range(handled)))
        for (kind, who), numbers in sent.items():
            for number in numbers:
                self.assertEqual(received[f'{kind} {who} {number}'], 1)
        self.assertEqual(self.events('left'), [])
        self.assert_complete()

    def test_row7_handlers_that_record_behind_each_instruction_of_a_call(self):
        for stack in ('high', 'low', 'same'):
            self.same_behaviour([self.built('stepped'), stack], status=3)
            numbers = {}
            for call in ('send', 'recv'):
                words = self.payloads(call)
                numbers[call] = [int.from_bytes(word, 'little') for word in words if len(word) == 4]
                own = [word for word in words if len(word) != 4]
                self.assertEqual(b''.join(own[:-1] if call == 'send' else own), b'one' + b'x' * 20000)
            self.assertEqual(self.payloads('writev') + self.payloads('recvfrom'), [b'two', b'two'])
            steps = int(self.payloads('send')[-1].split()[1])
            by_number = [int.from_bytes(word, 'little') for word in self.payloads('sendto')]
            self.assertEqual(sorted(numbers['send'] + by_number), list(range(steps)))
            self.assertEqual(sorted(numbers['recv']), list(range(steps)))
            counts = self.counts()
            for call in ('pselect', 'writev', 'poll', 'dup'):
                self.assertEqual(counts[call], 1, call)
            self.assert_complete()

    def test_row6_a_call_left_by_a_jump_behind_each_of_its_instructions(self):
        self.same_behaviour([self.built('jumped')], status=3)
        told = collections.defaultdict(list)
        for word in self.payloads('send'):
            kind, *numbers = word.decode().split()
            told[kind].append([int(number) for number in numbers])
        (times, done), = told['total']
        self.assertGreater(times, 100)
        self.assertEqual(told['usual'], [[number] for number in range(times)])
        recorded = [number for number, in told['left']]
        self.assertEqual(recorded, sorted(set(recorded)))
        self.assertGreater(len(recorded), 1)  # those that were left behind their commit
        self.assertEqual(recorded[-1], times - 1)  # the one that went through
        # Whatever had done its work is recorded, or said to have been left: never both, never neither.
        left = self.events('left')
        self.assertEqual({event['left'] for event in left}, {'send'})
        began = {event['t_ns'] for event in self.events('send')}
        self.assertFalse(began & {event['t_ns'] for event in left})
        self.assertGreater(len(left), 100)
        self.assertGreaterEqual(len(recorded) + len(left), done)
        self.assertEqual([(row['kind'], row['count']) for row in self.info()['missing']], [('left_call', len(left))])

    def test_row6_a_call_by_number_left_by_a_jump_behind_each_of_its_instructions(self):
        self.same_behaviour([self.built('jumped_number')], status=3)
        taken = [event for event in self.events('recvfrom') if event['ret'] > 0 and 'peek' not in event.get('notes', [])]
        words = [f'word {number}'.encode() for number in range(len(self.payloads('send')))]
        self.assertGreater(len(words), 100)
        self.assertEqual([payload(event) for event in taken], words)
        self.assertEqual({event['left'] for event in self.events('left')}, {'recvfrom'})

    def test_children_in_their_parents_memory_leave_no_call_of_its(self):
        for how in ('vfork', 'clone'):
            self.same_behaviour([self.built('borrowed_memory'), how])
            self.assertEqual(self.events('left'), [])
            self.assertEqual([payload(event) for event in self.events('recv') if event['ret'] > 0], [b'late'])

    def test_row6_a_call_left_on_an_alternate_stack_above(self):
        self.same_behaviour([self.built('left_above')])
        self.assertEqual([event['left'] for event in self.events('left')], ['recv'])
        self.assertEqual(self.in_calls(), [])

    def test_calls_where_there_is_little_stack(self):
        stdout, _ = self.same_behaviour([self.built('small_stacks')])
        self.assertEqual(stdout, b'done 6\n')
        counts = self.counts()
        for call in ('send', 'recv', 'sendmmsg', 'recvmmsg', 'poll', 'select', 'epoll_wait', 'dup', 'close', 'vfork'):
            self.assertEqual(counts[call], 6, call)
        self.assertEqual(self.programs().count('/usr/bin/true'), 6)
        self.assert_complete()


if __name__ == '__main__':
    unittest.main()
