# SPDX-License-Identifier: Apache-2.0
"""Much of what kills and strains a recording, under `socktale run`: what the traced programs had done is all there.

    soak_test.py                                          # the short form
    SOAK_KILLS=1000 SOAK_PROCESSES=10000 soak_test.py     # the whole
    SOAK_SEED=N                                           # the same random moments as the run that printed N
"""

import os
import pathlib
import random
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'e2e'))
from scenario import Scenario  # noqa: E402

KILLS_A_TRACE = 100
ROUND_BYTES = 48  # sizeof(struct Round)
MOST_MICROSECONDS = 20_000  # from a program's first message to its end


def number(name, otherwise):
    return int(os.environ.get(name, otherwise))


class SoakTest(Scenario):

    seconds = number('SOAK_SECONDS', 600)

    def built(self, name):
        return str(pathlib.Path(os.environ['SOAK']) / name)

    def say(self, words):
        print(words, flush=True)

    def check(self, *words):
        """Holds the trace against the truth. A trace that contradicts it is kept."""
        try:
            stdout, _ = self.run_program([self.built('check_soak'), *words])
        except AssertionError:
            kept = pathlib.Path(self.trace).rename(f'/tmp/socktale-soak-{os.getpid()}.tale')
            self.say(f'kept: {kept}')
            raise
        self.say(stdout.decode().strip())

    def test_kills_lose_and_tear_nothing_committed(self):
        kills = number('SOAK_KILLS', 20)
        seed = number('SOAK_SEED', random.SystemRandom().randrange(2**32))
        self.say(f'seed {seed}')
        done = 0
        while done < kills:
            part = min(KILLS_A_TRACE, kills - done)
            rounds = self.write('rounds', bytes(part * ROUND_BYTES))
            begun = time.monotonic()
            self.run_program([self.socktale, 'run', '-q', '-o', self.trace, '--', self.built('killer'),
                              self.built('storm'), rounds, part, seed + done, MOST_MICROSECONDS])
            self.say(f'kills {done + 1} to {done + part} in {time.monotonic() - begun:.1f} s, seed {seed + done}')
            self.check('kills', self.trace, rounds)
            pathlib.Path(self.trace).unlink()
            done += part

    def test_every_event_of_many_processes_is_there(self):
        processes = number('SOAK_PROCESSES', 300)
        begun = time.monotonic()
        self.run_program([self.socktale, 'run', '-q', '-o', self.trace, '--', self.built('swarm'), processes, 16])
        self.say(f'{processes} processes, 16 at a time, in {time.monotonic() - begun:.1f} s')
        self.check('swarm', self.trace, processes)


if __name__ == '__main__':
    unittest.main()
