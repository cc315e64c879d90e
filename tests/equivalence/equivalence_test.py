# SPDX-License-Identifier: Apache-2.0
"""The harness finds what it is there to find: each kind of difference, planted, is reported, and nothing else is."""

import copy
import pathlib
import tempfile
import unittest

import matcher
import scenarios
import strace_log
import tale_log
from calls import DIRECT, EXPORTED, HOOK, INSIDE, SHIM, UNKNOWN, Call, read_hooks
from explanations import Explanations, Rule

_LIBC, _SHIM, _PROGRAM = '/lib/libc.so.6', '/build/libsocktale.so', '/usr/bin/talker'
_HOOK_STACK = f' > {_LIBC}(send+0x1d) [0x101d]\n > {_SHIM}(send+0x9) [0x9]\n > {_PROGRAM}(main+0x1) [0x1]\n'
_NAMES = strace_log.LibcNames([(0x1000, 0x40, 'send'), (0x1000, 0x40, '__send'), (0x2000, 0x40, 'pread64'),
                               (0x3000, 0x40, 'getaddrinfo'), (0x4000, 0x40, 'fork'), (0x5000, 0x40, 'opendir')])
_HOOKS = read_hooks('HOOK(send, SEND)\nHOOK(fork,   FORK)  // a comment\nHOOK(getaddrinfo, GETADDRINFO)\n'
                    'HOOK(fopen, FOPEN)\n')


def _seen(*payloads, call='sendto', fd=3, origin=HOOK, entry=('send',)):
    """Calls as strace tells them, one per payload."""
    return [Call(7, call, fd, (0,), len(payload), payload, origin, entry, origin == HOOK, f'{call}({fd})')
            for payload in payloads]


def _recorded(*payloads, call='sendto', fd=3):
    return [Call(7, call, fd, (0,), len(payload), payload, line=f'{call} of {fd}') for payload in payloads]


def _kinds(comparison):
    return [difference.kind for difference in comparison.differences]


class MatcherTest(unittest.TestCase):

    def setUp(self):
        self.seen = _seen(b'one', b'two', b'six') + _seen(b'answer', call='recvfrom', fd=4)
        self.recorded = _recorded(b'one', b'two', b'six') + _recorded(b'answer', call='recvfrom', fd=4)

    def compare(self):
        return matcher.compare({7: self.seen}, {7: self.recorded})

    def test_the_same_calls_on_both_sides_are_no_difference(self):
        comparison = self.compare()
        self.assertEqual((_kinds(comparison), comparison.calls, comparison.matched, comparison.size), ([], 4, 4, 15))

    def test_a_missing_call_is_reported_as_itself_and_not_as_its_neighbours(self):
        del self.recorded[1]
        comparison = self.compare()
        self.assertEqual(_kinds(comparison), [matcher.MISSING])
        self.assertEqual(comparison.differences[0].call.payload, b'two')
        self.assertEqual((comparison.matched, comparison.missing_size), (3, 3))

    def test_a_changed_byte_is_reported_with_its_place(self):
        self.recorded[2].payload = b'six'.replace(b'x', b'p')
        comparison = self.compare()
        self.assertEqual(_kinds(comparison), [matcher.PAYLOAD])
        self.assertIn('first difference at byte 2', '\n'.join(matcher.in_words(comparison.differences[0])))

    def test_bytes_that_were_not_kept_are_reported(self):
        self.recorded[3].payload = b'ans'
        self.assertEqual(_kinds(self.compare()), [matcher.PAYLOAD])

    def test_a_changed_result_is_reported_from_both_sides(self):
        self.recorded[3].result = 'EAGAIN'
        self.assertEqual(sorted(_kinds(self.compare())), [matcher.EXTRA, matcher.MISSING])

    def test_another_descriptor_flag_or_thread_is_reported_from_both_sides(self):
        for field, value in (('fd', 9), ('detail', (64,)), ('call', 'write')):
            with self.subTest(field):
                before = copy.copy(self.recorded[0])
                setattr(self.recorded[0], field, value)
                self.assertEqual(sorted(_kinds(self.compare())), [matcher.EXTRA, matcher.MISSING])
                self.recorded[0] = before
        comparison = matcher.compare({7: self.seen}, {8: self.recorded})
        self.assertEqual(len(comparison.differences), 8)

    def test_a_call_recorded_twice_is_reported(self):
        self.recorded.insert(1, copy.copy(self.recorded[0]))
        comparison = self.compare()
        self.assertEqual(_kinds(comparison), [matcher.EXTRA])
        self.assertEqual((comparison.differences[0].call.payload, comparison.matched), (b'one', 4))

    def test_what_libc_does_inside_is_counted_and_no_difference(self):
        self.seen += _seen(b'query', fd=9, origin=INSIDE, entry=('getaddrinfo',))
        comparison = self.compare()
        self.assertEqual((_kinds(comparison), comparison.inside, comparison.inside_by_entry['getaddrinfo']), ([], 1, 1))

    def test_the_shims_own_calls_are_nobodys(self):
        self.seen += _seen(b'', call='getsockopt', origin=SHIM)
        self.assertEqual(self.compare().calls, 4)

    def test_a_record_cannot_stand_for_a_call_that_no_hook_saw(self):
        for origin in (INSIDE, EXPORTED, DIRECT, SHIM):
            with self.subTest(origin):
                seen = _seen(b'x', origin=origin)
                self.assertIn(matcher.EXTRA, _kinds(matcher.compare({7: seen}, {7: _recorded(b'x')})))

    def test_a_call_of_unknown_origin_matches_or_is_missing(self):
        seen = _seen(b'x', origin=UNKNOWN)
        self.assertEqual(_kinds(matcher.compare({7: seen}, {7: _recorded(b'x')})), [])
        self.assertEqual(_kinds(matcher.compare({7: seen}, {})), [matcher.MISSING])


    def test_a_thread_killed_in_a_call_had_it_in_progress(self):
        del self.recorded[3]
        self.assertEqual(_kinds(matcher.compare({7: self.seen}, {7: self.recorded}, {7: ('recvfrom', 4)})), [])
        for other in (('recvfrom', 9), ('sendto', 3)):
            self.assertEqual(_kinds(matcher.compare({7: self.seen}, {7: self.recorded}, {7: other})), [matcher.MISSING])

    def test_a_wait_that_found_something_else_is_reported(self):
        seen, recorded = _seen(b'3:1', call='poll', fd=None), _recorded(b'3:5', call='poll', fd=None)
        comparison = matcher.compare({7: seen}, {7: recorded})
        self.assertEqual((_kinds(comparison), comparison.size), ([matcher.PAYLOAD], 0))


class StraceLogTest(unittest.TestCase):

    def read(self, text):
        return strace_log.ThreadLog(7, _NAMES, _HOOKS).read(text.splitlines(keepends=True))

    def test_payload_descriptor_flags_and_result(self):
        call, = self.read(r'sendto(3, "\x68\x69\x21", 3, 0x40|0x4000, NULL, 0) = 2' + '\n' + _HOOK_STACK)
        self.assertEqual((call.call, call.fd, call.result, call.payload), ('sendto', 3, 2, b'hi'))
        self.assertEqual((call.origin, call.entry, call.expected), (HOOK, ('send', '__send'), True))

    def test_combined_flags(self):
        call, = self.read(r'recvfrom(3, "\x68", 8, 0x2|0x40, NULL, NULL) = 1')
        self.assertEqual(call.detail, (0x42,))

    def test_vectors_and_batches(self):
        vector, batch = self.read(
            r'writev(3, [{iov_base="\x61\x62", iov_len=2}, {iov_base=NULL, iov_len=0}, '
            r'{iov_base="\x63", iov_len=1}], 3) = 3' '\n'
            r'sendmmsg(4, [{msg_hdr={msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="\x61", iov_len=1}], '
            r'msg_iovlen=1, msg_controllen=0, msg_flags=0}, msg_len=1}, '
            r'{msg_hdr={msg_iov=[{iov_base="\x62\x63", iov_len=2}], msg_iovlen=1}, msg_len=2}], 2, 0) = 2')
        self.assertEqual((vector.payload, batch.payload), (b'abc', b'abc'))

    def test_failures_and_calls_that_did_not_return(self):
        calls = self.read('recvfrom(3, 0x7ffe, 8, 0x40, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)\n'
                          'read(3,  <unfinished ...>) = ?\n+++ killed by SIGKILL +++\n')
        self.assertEqual([call.result for call in calls], ['EAGAIN'])

    def test_an_interrupted_call_counts_once(self):
        interrupted = ('read(3, 0x7ffe, 1) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)\n'
                       '--- SIGALRM {si_signo=14} ---\n' r'write(5, "\x21", 1) = 1' '\n')
        restarted = self.read(interrupted + 'rt_sigreturn({mask=[]}) = 0\n' r'read(3, "\x61", 1) = 1')
        self.assertEqual([(call.call, call.result) for call in restarted], [('write', 1), ('read', 1)])
        failed = self.read(interrupted + 'rt_sigreturn({mask=[]}) = -1 EINTR (Interrupted system call)\n')
        self.assertEqual([(call.call, call.result) for call in failed], [('write', 1), ('read', 'EINTR')])

    def test_a_call_whose_handler_never_returns_has_not_returned_either(self):
        calls = self.read('epoll_wait(3, 0x7ffe, 200, 875) = -1 EINTR (Interrupted system call)\n'
                          '--- SIGTERM {si_signo=15} ---\n+++ killed by SIGTERM +++\n')
        self.assertEqual(calls, [])
        call, = self.read('connect(3, {sa_family=0x2}, 16) = -1 EINTR (Interrupted system call)\n')
        self.assertEqual(call.result, 'EINTR')

    def test_what_waits_found_ready(self):
        calls = self.read('poll([{fd=5, events=0x1}, {fd=6, events=0x4}], 2, -1) = 1 ([{fd=6, revents=0x14}])\n'
                          'pselect6(7, [5 6], [6], NULL, NULL, NULL) = 2 (in [6], out [6])\n'
                          'epoll_wait(4, [{events=0x2001, data={u32=4294967295, u64=4294967295}}], 9, -1) = 1\n'
                          'poll([{fd=5, events=0x1}], 1, 1) = 0 (Timeout)\n')
        self.assertEqual([call.payload for call in calls], [b'6:14', b'6:5', b'-1:2001', b''])

    def test_addresses(self):
        loopback6 = r'\x00' * 15 + r'\x01'
        calls = self.read(r'connect(3, {sa_family=0x2, sin_port="\x1f\x90", sin_addr="\x7f\x00\x00\x01"}, 16) '
                          '= -1 EINPROGRESS (Operation now in progress)\n'
                          r'accept4(4, {sa_family=0xa, sin6_port="\x00\x50", sin6_flowinfo="\x00\x00\x00\x00", '
                          f'sin6_addr="{loopback6}", sin6_scope_id=0}}, [128 => 28], 0x800) = 5\n'
                          r'bind(3, {sa_family=0x1, sun_path=@"\x64\x6f\x6f\x72"}, 7) = 0' '\n'
                          'getsockname(3, {sa_family=0x1}, [128 => 2]) = 0\n'
                          'bind(3, {sa_family=0x10, nl_pid=0, nl_groups=00000000}, 12) = 0\n')
        self.assertEqual([call.payload for call in calls], [b'127.0.0.1 8080', b'::1 80', b'@door', b'', None])
        recorded = ['{"type":"event","pid":7,"tid":7,"call":"connect","fd":"7/3","ret":-1,"err":"EINPROGRESS",'
                    '"address":{"ip":"127.0.0.1","port":8080}}',
                    '{"type":"event","pid":7,"tid":7,"call":"bind","fd":"7/3","ret":0,"address":{"abstract":"door"}}']
        told = tale_log.read(recorded)[0][7]
        self.assertEqual([call.payload for call in told], [b'127.0.0.1 8080', b'@door'])

    def test_netlink_is_not_shown_as_bytes(self):
        call, = self.read(r'sendto(3, [{nlmsg_len=20, nlmsg_type=0x12}, "\x01"], 20, 0, NULL, 0) = 20' '\n')
        self.assertIsNone(call.payload)

    def test_a_signals_stack_is_not_the_next_calls(self):
        call, = self.read(f'--- SIGCHLD {{si_signo=17}} ---\n > {_LIBC}(wait4+0x13) [0x9013]\n'
                          r'sendto(3, "\x68", 1, 0, NULL, 0) = 1' + '\n' + _HOOK_STACK)
        self.assertEqual(call.origin, HOOK)

    def test_exits_stack_stands_behind_the_end(self):
        call, = self.read(f'exit_group(3) = ?\n+++ exited with 3 +++\n > {_LIBC}(_exit+0x9) [0x9009]\n'
                          f' > {_SHIM}(_exit+0x9) [0x9]\n > {_PROGRAM}(main+0x1) [0x1]\n')
        self.assertEqual((call.call, call.origin), ('exit', HOOK))

    def test_threads_are_no_processes(self):
        self.assertEqual(self.read('clone3({flags=0x3d0f00, exit_signal=0}, 88) = 9\n'), [])
        self.assertEqual(self.read('clone(child_stack=NULL, flags=0x1200000|17) = 9\n')[0].call, 'fork')

    def origin(self, *frames, call='read'):
        return strace_log.origin_of(frames, call, _NAMES)[0]

    def test_whose_a_call_is(self):
        program, shim = (_PROGRAM, 'main+0x1', 1), (_SHIM, 'read+0x1', 1)
        exported, inner = (_LIBC, 'pread64+0x7', 0x2007), (_LIBC, 'pread64+0x900', 0x2900)
        self.assertEqual(self.origin(exported, program), EXPORTED)
        self.assertEqual(self.origin(exported, shim, program), HOOK)
        self.assertEqual(self.origin(shim, program), SHIM)
        self.assertEqual(self.origin(shim, program, call='vfork'), HOOK)
        for asked in ('socktale::CallScope::ToKernel(socktale::CallScope::Arguments const&) const+0x1',
                      'socktale::(anonymous namespace)::CloneLikeFork(long)+0x1'):
            self.assertEqual(self.origin((_SHIM, asked, 1), program), HOOK)
        self.assertEqual(self.origin(program), DIRECT)
        self.assertEqual(self.origin(exported, (_LIBC, 'getaddrinfo+0x7', 0x3007), program), INSIDE)
        self.assertEqual(self.origin(inner, program), INSIDE, 'reached by a jump from an exported function')
        self.assertEqual(self.origin(('/lib/ld-linux-x86-64.so.2', 'x+0x1', 1), program), INSIDE)
        self.assertEqual(self.origin(exported), UNKNOWN)

    def test_a_hook_promises_its_own_call_and_not_what_libc_does_on_the_way(self):
        deep = (f' > {_LIBC}(_Fork+0x9) [0x9009]\n > {_LIBC}(%s) [%s]\n > {_SHIM}(%s+0x9) [0x9]\n'
                f' > {_PROGRAM}(main+0x1) [0x1]\n')
        fork, = self.read('clone(child_stack=NULL, flags=17) = 9\n' + deep % ('fork+0x4', '0x4004', 'fork'))
        query, = self.read(r'sendto(3, "\x68", 1, 0, NULL, 0) = 1' + '\n' +
                           deep % ('getaddrinfo+0x4', '0x3004', 'getaddrinfo'))
        self.assertEqual((fork.expected, query.expected), (True, False))

    def test_a_hook_is_known_by_the_function_that_does_its_work(self):
        stack = (f' > {_LIBC}(open64+0x9) [0x9009]\n > {_LIBC}(fgets+0x219) [0x8219]\n > {_SHIM}(%s+0xb3) [0xb3]\n'
                 f' > {_PROGRAM}(main+0x1) [0x1]\n')
        line = r'openat(-100, "\x2f", 0) = 3' + '\n'
        opened, = self.read(line + stack % 'FILE* socktale::(anonymous namespace)::Fopen<FILE* (*)()>(Hook)')
        other, = self.read(line + stack % 'socktale::(anonymous namespace)::Resolve(Hook)')
        self.assertEqual((opened.expected, other.expected), (True, False))
        self.assertEqual(strace_log._hook_name('int socktale::(anonymous namespace)::Execute<x>(int)+0x1'), 'execve')


class TaleLogTest(unittest.TestCase):

    def test_a_recorded_call(self):
        threads, _, trace = tale_log.read([
            '{"type":"trace","events":1}',
            '{"type":"event","pid":7,"tid":7,"call":"send","fd":"7/3#2","ret":2,"flags":64,"len":2,"b64":"AAE="}'])
        call, = threads[7]
        self.assertEqual(call.key, (7, 'sendto', 3, (64,), 2))
        self.assertEqual((call.payload, trace['events']), (b'\0\1', 1))

    def test_an_exec_that_succeeds_and_one_that_fails(self):
        executing = '{"type":"event","pid":7,"tid":7,"call":"executing","ret":0}'
        failed = '{"type":"event","pid":7,"tid":7,"call":"execve","ret":-1,"err":"ENOENT"}'
        attached = '{"type":"event","pid":7,"tid":7,"call":"attached","ret":0}'
        threads, _, _ = tale_log.read([executing, failed, executing, attached, executing])
        self.assertEqual([call.result for call in threads[7]], ['ENOENT', 0, 0])

    def test_a_vfork_childs_calls_are_the_childs(self):
        threads, _, _ = tale_log.read(['{"type":"event","pid":7,"tid":7,"call":"close","fd":"8/3","ret":0,"made_pid":8,'
                                    '"notes":["vfork_child"]}'])
        self.assertEqual(list(threads), [8])


class ExplanationsTest(unittest.TestCase):

    def difference(self, **fields):
        call = _seen(b'x', origin=EXPORTED, entry=('pread64',))[0]
        for name, value in fields.items():
            setattr(call, name, value)
        return matcher.Difference(matcher.MISSING, call)

    def test_a_rule_explains_only_what_all_its_patterns_match(self):
        rule = Rule({'kind': 'missing', 'call': 'sendto', 'result': '1', 'reason': 'because'})
        self.assertTrue(rule.explains('curl', self.difference()))
        self.assertFalse(rule.explains('curl', self.difference(result=11)))
        self.assertFalse(rule.explains('curl', self.difference(call='sendto2')))
        self.assertFalse(rule.explains('curl', matcher.Difference(matcher.EXTRA, self.difference().call)))

    def test_a_rule_explains_as_many_as_it_may_of_each_program(self):
        rule = Rule({'call': 'sendto', 'most': 2, 'reason': 'because'})
        self.assertEqual([rule.explains('curl', self.difference()) for _ in range(3)], [True, True, False])
        self.assertTrue(rule.explains('wget', self.difference()))

    def test_a_rule_without_a_reason_or_a_pattern_is_refused(self):
        for table in ({'kind': 'missing'}, {'reason': 'because'}, {'reason': 'because', 'kin': 'missing'},
                      {'reason': 'because', 'most': 1}):
            with self.assertRaises(ValueError):
                Rule(table)

    def test_a_rule_that_explained_nothing_is_named(self):
        explanations = Explanations([Rule({'call': 'sendto', 'reason': 'a'}), Rule({'call': 'nocall', 'reason': 'b'})])
        self.assertEqual(explanations.reason('curl', self.difference()), 'a')
        self.assertEqual([rule.reason for rule in explanations.unused()], ['b'])

    def test_names_that_are_not_hooked_explain_their_own_calls_alone(self):
        explanations = Explanations([], {'pread64': 'at an offset'})
        self.assertIn('at an offset', explanations.reason('curl', self.difference()))
        self.assertIsNone(explanations.reason('curl', self.difference(entry=('send',))))
        self.assertIsNone(explanations.reason('curl', self.difference(origin=HOOK)))
        self.assertEqual(explanations.not_hooked_used, {'pread64': 1})


class ScenariosTest(unittest.TestCase):

    def test_the_scenarios_and_the_explanations_can_be_read(self):
        self.assertGreater(len(scenarios.read()), 20)
        here = pathlib.Path(__file__).resolve().parent
        not_hooked = here.parents[1] / 'preload' / 'abi' / 'not_hooked.def'
        found = Explanations.of_files(here / 'explanations.toml', not_hooked)
        self.assertGreater(len(found.rules), 2)

    def test_two_scenarios_of_one_name_are_refused(self):
        with tempfile.NamedTemporaryFile('w', suffix='.toml') as file:
            file.write('[[scenario]]\nname = "a"\n[[scenario]]\nname = "a"\n')
            file.flush()
            with self.assertRaises(ValueError):
                scenarios.read(file.name)


if __name__ == '__main__':
    unittest.main()
