# SPDX-License-Identifier: Apache-2.0
"""What `run` is to those around it: exit status, signals, streams, and what is left when somebody is killed."""

import os
import pathlib
import pty
import random
import re
import shutil
import signal
import struct
import time
import unittest

from run_scenario import RunScenario
from scenario import PYTHON


class RunTest(RunScenario):

    # ---- exit status -------------------------------------------------------------------------------------------------

    def test_status_is_the_programs(self):
        for status in (0, 1, 42, 125, 255):
            self.run_words('sh', '-c', f'exit {status}', status=status)

    def test_dies_by_the_signal_that_killed_the_program(self):
        for number in (signal.SIGSEGV, signal.SIGTERM, signal.SIGKILL, signal.SIGABRT, signal.SIGINT):
            self.run_words('sh', '-c', f'kill -{int(number)} $$', status=-number)
        self.assertEqual([path.name for path in self.dir.glob('core*')], [])

    def test_says_what_was_not_found_and_what_was_meant(self):
        stdout, stderr = self.run_words('nosuchcmd', status=127)
        self.assertEqual((stdout, stderr), ('', 'socktale: nosuchcmd: not found in PATH.\n'))
        tools = self.dir / 'tools'
        tools.mkdir()
        (tools / 'frobnicate').write_text('#!/bin/sh\n')
        (tools / 'frobnicate').chmod(0o755)
        _, stderr = self.run_words('frobnicat', status=127, env={**self.env, 'PATH': str(tools)})
        self.assertEqual(stderr, 'socktale: frobnicat: not found in PATH. Did you mean frobnicate?\n')
        self.assertFalse(pathlib.Path(self.trace).exists())

    def test_says_why_a_file_cannot_be_executed(self):
        _, stderr = self.run_words(str(self.dir), status=126)
        self.assertIn('is a directory', stderr)
        plain = self.write('plain', '#!/bin/sh\n')
        os.chmod(plain, 0o644)
        _, stderr = self.run_words(plain, status=126)
        self.assertIn('no permission', stderr)

    def test_refuses_a_static_program_unless_forced(self):
        stdout, stderr = self.run_words(self.static, status=125)
        self.assertEqual(stdout, '')
        self.assertIn('is statically linked, so nothing can be preloaded into it.', stderr)
        self.assertIn('--force', stderr)
        stdout, stderr = self.run_words(self.static, options=['--force'])
        self.assertEqual(stdout, 'ran\n')
        self.assertIn('could not be recorded', stderr)
        self.assertIn('(static)', stderr)

    def test_names_a_child_that_was_not_recorded(self):
        stdout, stderr = self.run_words('sh', '-c', f'{self.static}; {self.static}')
        self.assertEqual(stdout, 'ran\nran\n')
        self.assertIn(f'could not be recorded: {self.static} (static) ×2', stderr)
        self.run_words('sh', '-c', f'{self.static}; exit 3', options=['--strict'], status=125)
        self.run_words('sh', '-c', 'exit 3', options=['--strict'], status=3)

    def test_keeps_only_traces_of_failures_when_asked(self):
        self.run_words('true', options=['--keep', 'fail'])
        self.assertFalse(pathlib.Path(self.trace).exists())
        self.run_words('false', options=['--keep', 'fail'], status=1)
        self.assertTrue(pathlib.Path(self.trace).exists())

    # ---- streams, environment, signals ------------------------------------------------------------------------------

    def test_leaves_streams_environment_and_descriptors_as_they_were(self):
        look = ('import os, signal, sys\n'
                'print(sys.stdin.read(), sorted(os.listdir("/proc/self/fd")), os.getcwd(), os.umask(0),\n'
                '      os.getpgid(0) == os.getsid(0), os.environ.get("LD_PRELOAD"), os.nice(0),\n'
                '      sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),\n'
                '      [signal.getsignal(n) for n in (signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ)])\n')
        script = self.write('look.py', look)
        for options in ({}, {'pass_fds': (9,)}):
            if options:
                os.dup2(0, 9)
                self.addCleanup(os.close, 9)
            outputs = []
            for before in ([], [self.socktale, 'run', '-q', '-o', self.trace, '--']):
                with open(self.write('input', 'hello'), 'rb') as stdin:
                    outputs.append(self.run_program([*before, PYTHON, script], stdin=stdin, **options))
            plain, traced = outputs
            shim = traced[0].decode().split('libsocktale.so')[0].rsplit("'", 1)[-1].rsplit(' ', 1)[-1] + 'libsocktale.so'
            self.assertEqual(plain, (traced[0].replace(shim.encode(), b'None'), traced[1]))

    def test_says_nothing_when_quiet(self):
        self.assertEqual(self.run_words('true', options=['-q']), ('', ''))

    def test_prints_two_to_five_lines_at_the_end(self):
        counter = self.write('counter', bytes(8))
        _, stderr = self.run_words(self.sends, counter, '10', '0')
        lines = stderr.splitlines()
        self.assertTrue(2 <= len(lines) <= 5, stderr)
        self.assertRegex(lines[0], r'^socktale: 1 connection, \d+ events, 1 process in \d+\.\d\d s → .*trace\.tale \(.*\)$')
        self.assertRegex(lines[-1], r'^socktale: next: conns')

    def test_prints_events_as_they_happen_when_asked(self):
        counter = self.write('counter', bytes(8))
        live = self.path('live')
        self.run_words(self.sends, counter, '3', '0', options=[f'--live={live}'])
        text = self.read('live').decode()
        self.assertEqual(text.count('send('), 3, text)

    def test_passes_signals_on_that_were_sent_to_it_alone(self):
        script = self.write('trap.sh', 'trap "echo got; exit 9" TERM USR1 HUP\necho ready\nwhile :; do sleep 0.05; done\n')
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
            process = self.start(self.socktale, 'run', '-q', '-o', self.trace, '--', 'sh', script, start_new_session=True)
            self.assertEqual(process.stdout.readline(), b'ready\n')
            process.send_signal(number)
            self.assertEqual(process.wait(self.seconds_left()), 9)
            self.assertEqual(process.stdout.read(), b'got\n')

    def test_ctrl_c_reaches_the_program_once_and_the_trace_is_closed(self):
        script = self.write('trap.sh', 'n=0\ntrap "n=$((n+1)); echo got" INT\necho ready\n'
                                       'sleep 0.3 & wait; sleep 0.3 & wait; exit 4\n')
        status, text = self.press_ctrl_c(script, 1)
        self.assertEqual(status, 4)
        self.assertEqual(text.count(b'got'), 1, text)
        self.assertIn(b'trace.tale', text)
        self.assertGreater(len(self.events()), 0)

    def test_a_second_ctrl_c_skips_the_summary_and_the_trace_is_closed_all_the_same(self):
        script = self.write('stubborn.sh', 'n=0\ntrap "n=\$((n+1)); echo got" INT\necho ready\n'
                                           'while [ $n -lt 2 ]; do sleep 0.05; done; exit 4\n')
        status, text = self.press_ctrl_c(script, 2)
        self.assertEqual(status, 4)
        self.assertNotIn(b'trace.tale', text)
        self.assertGreater(len(self.events()), 0)

    def press_ctrl_c(self, script, times):
        """Runs a script, recorded, on a terminal; presses Ctrl-C when it says ready, again when it says got. Returns its
        status and what stood on the terminal."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.dir)
            os.execve(self.socktale, [self.socktale, 'run', '-o', self.trace, '--', 'sh', script], self.env)
        self.addCleanup(os.close, terminal)
        text, pressed = b'', 0
        try:
            while chunk := os.read(terminal, 1000):
                text += chunk
                if pressed < times and (text.count(b'got') if pressed else b'ready' in text):
                    # Two of one signal are one as long as the first was not taken.
                    self.wait_until('the first one is taken', lambda: not self.is_pending(pid, signal.SIGINT))
                    os.write(terminal, b'\x03')
                    pressed += 1
        except OSError:  # the other side is closed
            pass
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), text

    @staticmethod
    def is_pending(pid, number):
        status = pathlib.Path(f'/proc/{pid}/status').read_text()
        return any(int(mask, 16) >> (number - 1) & 1 for mask in re.findall(r'^(?:Sig|Shd)Pnd:\s*(\w+)$', status, re.M))

    def test_ctrl_z_stops_both_and_fg_continues_both(self):
        process = self.start(self.socktale, 'run', '-q', '-o', self.trace, '--', 'sh', '-c', 'sleep 0.2; exit 6',
                             process_group=0)
        child = self.child_of(process)
        os.killpg(process.pid, signal.SIGTSTP)  # as the terminal does it
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status))
        self.assertIn(pathlib.Path(f'/proc/{child}/stat').read_text().rsplit(')', 1)[1].split()[0], 'T')
        os.killpg(process.pid, signal.SIGCONT)
        self.assertEqual(process.wait(self.seconds_left()), 6)

    # ---- daemons -----------------------------------------------------------------------------------------------------

    def test_returns_with_the_program_and_records_its_daemons_to_their_end(self):
        gate = self.path('gate')
        os.mkfifo(gate)
        counter = self.write('counter', bytes(8))
        daemon = f'(read line < {gate}; exec {self.sends} {counter} 5 0) > /dev/null 2>&1 &'
        _, stderr = self.run_words('sh', '-c', f'{daemon} exit 8', status=8)
        self.assertIn('recording goes on in the background', stderr)
        self.assertFalse(pathlib.Path(self.trace).exists())
        with open(gate, 'w', encoding='ascii') as door:
            door.write('now\n')
        self.wait_until('the trace is sealed', pathlib.Path(self.trace).exists)
        self.assertEqual(self.numbers_sent(), [1, 2, 3, 4, 5])

    # ---- kills -------------------------------------------------------------------------------------------------------

    def kill_the_program(self, rounds, seed):
        rng = random.Random(seed)
        for _ in range(rounds):
            counter = pathlib.Path(self.write('counter', bytes(8)))
            process = self.start(self.socktale, 'run', '-q', '-o', self.trace, '--', self.sends, counter, 10**9, 0)
            child = self.child_of(process)
            self.count_until(counter, rng.randrange(1, 5_000))
            time.sleep(rng.random() * 0.002)
            os.kill(child, signal.SIGKILL)
            self.assertEqual(process.wait(self.seconds_left()), -signal.SIGKILL)
            done, = struct.unpack('<Q', counter.read_bytes())
            numbers = self.numbers_sent()
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
            self.assertIn(len(numbers), (done, done + 1))  # the last one may have been recorded but not counted
            self.end(process)

    def test_every_call_that_had_returned_is_there_when_the_program_is_killed(self):
        self.kill_the_program(10, seed=20)

    def test_every_call_that_had_returned_is_there_when_the_program_is_killed_at_ten_more_moments(self):
        self.kill_the_program(10, seed=21)

    def test_the_program_runs_on_when_the_collector_is_killed_and_the_next_command_recovers(self):
        rng = random.Random(6)
        for round_number in range(5):
            counter = pathlib.Path(self.write('counter', bytes(8)))
            self.trace = self.path(f'killed-{round_number}.tale')
            process = self.start(self.socktale, 'run', '-q', '-o', self.trace, '--', self.sends, counter, 100_000, 7)
            child = self.child_of(process)
            self.count_until(counter, rng.randrange(1, 20_000))
            before, = struct.unpack('<Q', counter.read_bytes())
            process.kill()
            process.wait()
            _, status = os.waitpid(child, 0)  # it has become ours
            self.assertEqual(os.waitstatus_to_exitcode(status), 7)
            self.assertEqual(struct.unpack('<Q', counter.read_bytes())[0], 100_000)
            self.assertFalse(pathlib.Path(self.trace).exists())
            _, stderr = self.run_program([self.socktale, 'ls'])
            self.assertIn('was cut off', stderr.decode())
            self.assertEqual(list(self.arenas.iterdir()), [])
            numbers = self.numbers_sent()
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
            self.assertGreaterEqual(len(numbers), before)
            self.assertIn('cut_off', [row['kind'] for row in self.tale.json('info', self.trace)[1]['missing']])
            self.end(process)

    def test_the_last_of_a_ring_is_recovered_when_the_collector_is_killed(self):
        counter = pathlib.Path(self.write('counter', bytes(8)))
        process = self.start(self.socktale, 'run', '-q', '--ring', '1M', '-o', self.trace, '--', self.sends, counter, 400_000, 7)
        child = self.child_of(process)
        self.count_until(counter, 300_000)
        process.kill()
        process.wait()
        _, status = os.waitpid(child, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 7)
        _, stderr = self.run_program([self.socktale, 'ls'])
        self.assertIn('was cut off', stderr.decode())
        self.assertLess(os.path.getsize(self.trace), 4 << 20)
        numbers = self.numbers_sent()
        self.assertEqual(numbers, list(range(numbers[0], numbers[-1] + 1)))
        self.assertGreater(numbers[0], 1)
        self.assertGreaterEqual(numbers[-1], 300_000)
        described = self.tale.json('info', self.trace)[1]
        self.assertEqual([described['unreadable'], described['recovered']], [[], True])
        self.assertLessEqual({'cut_off', 'ring'}, {row['kind'] for row in described['missing']})
        self.end(process)

    def test_a_ring_is_dumped_by_a_signal_and_goes_on(self):
        counter = pathlib.Path(self.write('counter', bytes(8)))
        process = self.start(self.socktale, 'run', '--ring', '1M', '-o', self.trace, '--', self.sends, counter, 400_000, 0)
        self.count_until(counter, 200_000)
        process.send_signal(signal.SIGUSR1)
        dump = self.path('trace-dump1.tale')
        self.wait_until('the dump is there', pathlib.Path(dump).exists)
        self.assertEqual(process.wait(self.seconds_left()), 0)
        numbers = self.numbers_sent()
        self.assertEqual(numbers, list(range(numbers[0], 400_001)))
        self.trace = dump
        dumped = self.numbers_sent()
        self.assertEqual(dumped, list(range(dumped[0], dumped[-1] + 1)))
        self.assertGreater(dumped[0], 1)
        self.assertGreaterEqual(dumped[-1], 200_000)
        described = self.tale.json('info', dump)[1]
        self.assertTrue(described['sealed'])
        self.assertEqual([row['kind'] for row in described['missing']], ['ring'])

    # ---- other sessions ----------------------------------------------------------------------------------------------

    def test_records_into_a_collect_that_is_running(self):
        process = self.start(self.socktale, 'collect', '-o', self.trace, '--name', 'both')
        self.wait_until('collect is there', (pathlib.Path(self.env['XDG_RUNTIME_DIR']) / 'socktale/both.session').exists)
        counter = self.write('counter', bytes(8))
        def found():
            stdout, _ = self.run_program([self.socktale, 'env', '--into', 'both'], status=None)
            return stdout.decode().splitlines()
        settings = self.wait_until('env answers', found)
        self.assertEqual(sorted(setting.split('=')[0] for setting in settings), ['LD_PRELOAD', 'SOCKTALE_ATTACH'])
        self.run_program([self.socktale, 'run', '--into', 'both', '--', self.sends, counter, '2', '5'], status=5)
        self.run_program(['env', *settings, self.sends, counter, '3', '0'])
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(self.seconds_left()), 0)
        self.assertEqual(sorted(self.numbers_sent()), [1, 1, 2, 2, 3])
        _, stderr = self.run_program([self.socktale, 'env', '--into', 'both'], status=2)
        self.assertIn('no collect is running', stderr.decode())

    @unittest.skipUnless(os.geteuid() == 0, 'only root may change root and user')
    def test_records_a_program_that_became_another_user_in_another_root(self):
        counter = self.write('counter', bytes(8))
        os.chmod(counter, 0o666)
        program = shutil.copy(self.sends, self.path('sends'))
        self.run_words('chroot', '--userspec=65534:65534', '/', program, counter, '3', '5', status=5)
        self.assertEqual(self.numbers_sent(), [1, 2, 3])

    # As when root's clone of the project is in /root: the program cannot read the shim there after its exec.
    @unittest.skipUnless(os.geteuid() == 0, 'only root may change its user')
    def test_records_a_program_that_became_another_user_who_cannot_read_the_shim(self):
        private = pathlib.Path(self.path('private'))
        private.mkdir(mode=0o700)
        shim = pathlib.Path(self.socktale).parents[1] / 'lib/socktale/libsocktale.so'
        self.env['SOCKTALE_SHIM'] = shutil.copy(shim, private)
        counter = self.write('counter', bytes(8))
        os.chmod(counter, 0o666)
        program = shutil.copy(self.sends, self.path('sends'))
        self.run_words('chroot', '--userspec=65534:65534', '/', program, counter, '3', '5', status=5)
        self.assertEqual(self.numbers_sent(), [1, 2, 3])

    def test_a_recording_inside_of_another_is_its_own(self):
        counter = self.write('counter', bytes(8))
        inner = self.path('inner.tale')
        self.run_words(self.socktale, 'run', '-q', '-o', inner, '--', self.sends, counter, '4', '3', status=3)
        self.trace = inner
        self.assertEqual(self.numbers_sent(), [1, 2, 3, 4])


if __name__ == '__main__':
    unittest.main()
