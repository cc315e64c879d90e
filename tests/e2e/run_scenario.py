# SPDX-License-Identifier: Apache-2.0
"""What scenarios share that are about `socktale run` itself: programs that are started, watched and killed."""

import base64
import json
import os
import pathlib
import struct
import subprocess
import time

from scenario import Scenario


class RunScenario(Scenario):

    seconds = 80

    def setUp(self):
        super().setUp()
        if not self.socktale:
            self.skipTest('there is nothing to say about an untraced run')
        self.arenas = self.dir / 'arenas'
        self.arenas.mkdir(mode=0o700)
        self.env['SOCKTALE_ARENA_DIR'] = str(self.arenas)  # what is killed here is recovered here
        self.static = os.environ['STATIC_PROGRAM']
        self.sends = os.environ['NUMBERED_SENDS']

    def run_words(self, *words, status=0, options=(), **others):
        """stdout and stderr of `socktale run OPTIONS -o TRACE -- WORDS`, as text."""
        stdout, stderr = self.run_program([self.socktale, 'run', *options, '-o', self.trace, '--', *words],
                                          status=status, **others)
        return stdout.decode(), stderr.decode()

    def start(self, *argv, **options):
        process = subprocess.Popen([str(word) for word in argv], env=self.env, cwd=self.dir, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, **options)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()

    @staticmethod
    def children_of(pid):
        try:
            return [int(child) for child in pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]
        except OSError:
            return []

    def child_of(self, process):
        """The pid of CMD, once it has executed its program."""
        def found():
            self.assertIsNone(process.poll(), 'socktale ended before CMD began')
            for pid in self.children_of(process.pid):
                if os.readlink(f'/proc/{pid}/exe') != os.path.realpath(self.socktale):
                    return pid
            return None
        return self.wait_until('CMD runs', found)

    def events(self, trace=None):
        stdout, _ = self.run_program([self.socktale, 'show', '--json', '-q', '-t', trace or self.trace])
        return [event for event in map(json.loads, stdout.splitlines()) if event['type'] == 'event']

    def numbers_sent(self):
        return [struct.unpack('<Q', self.payload(event))[0] for event in self.events() if event['call'] == 'send']

    @staticmethod
    def payload(event):
        return base64.b64decode(event['b64']) if 'b64' in event else event['text'].encode()

    def count_until(self, counter, at_least):
        def reached():
            done, = struct.unpack('<Q', counter.read_bytes())
            return done if done >= at_least else None
        return self.wait_until('the program sends', reached)
