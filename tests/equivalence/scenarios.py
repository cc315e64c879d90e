# SPDX-License-Identifier: Apache-2.0
"""The programs to compare, read from scenarios.toml, and how one of them is run and compared.

A scenario, a table `[[scenario]]` of that file:
  name      as it is shown and selected
  needs     program (or a file's path) → the Debian package that has it; where one is missing the scenario is skipped
  files     name → content, written into the scenario's folder
  prepare   command lines, run untraced before
  servers   tables: argv, ready (as in tests/e2e/programs/driver.py); traced (true), stop (SIGTERM), pid_file,
            status ([0, 143, -15])
  steps     tables, one after another: argv; traced (true), status ([0]), stdin, stdout (files)
  seconds   how long all of it may take (120)
  ci        whether it is among the few that CI runs (false)
In all strings {dir} is the folder, {port} {port2} free TCP ports, {here} this directory, {programs} tests/e2e/programs,
{build} the build folder.
"""

import dataclasses
import os
import pathlib
import shutil
import socket
import tempfile
import tomllib

import matcher
from double_run import DoubleRun, Failed, missing_programs

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass
class Scenario:
    name: str
    needs: dict = dataclasses.field(default_factory=dict)
    files: dict = dataclasses.field(default_factory=dict)
    prepare: list = dataclasses.field(default_factory=list)
    servers: list = dataclasses.field(default_factory=list)
    steps: list = dataclasses.field(default_factory=list)
    seconds: int = 120
    ci: bool = False

    def missing(self):
        """Debian packages that are needed and not installed."""
        return missing_programs(self.needs)


@dataclasses.dataclass
class Outcome:
    """What a scenario came to: its comparison, and the trace's own statement of what it lacks."""
    comparison: matcher.Comparison
    trace: dict
    folder: str


def read(path=HERE / 'scenarios.toml'):
    """The scenarios of the file, in its order; two of one name are an error."""
    with open(path, 'rb') as file:
        scenarios = [Scenario(**table) for table in tomllib.load(file)['scenario']]
    names = [scenario.name for scenario in scenarios]
    if len(set(names)) != len(names):
        raise ValueError(f'{path}: two scenarios have one name: {sorted(n for n in names if names.count(n) > 1)}')
    return scenarios


def _free_ports(count):
    """TCP ports that nobody has now; all different."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(('127.0.0.1', 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _fill(value, places):
    if isinstance(value, str):
        for name, text in places.items():
            value = value.replace('{' + name + '}', text)
        return int(value) if value.isdigit() and value in (places['port'], places['port2']) else value
    if isinstance(value, list):
        return [_fill(entry, places) for entry in value]
    return {name: _fill(entry, places) for name, entry in value.items()} if isinstance(value, dict) else value


def _argv(words):
    return [str(word) for word in words]


RECORD_ALL = ('--payload', 'full', '--io', 'all')


def run(scenario, build, frames=None, keep=False, record=RECORD_ALL):
    """Runs a scenario under both and compares.

    build: the build folder. frames: see DoubleRun. record: the recorder's options. Raises Failed.
    """
    folder = tempfile.mkdtemp(prefix='socktale-equivalence-')
    port, port2 = _free_ports(2)
    places = {'dir': folder, 'port': str(port), 'port2': str(port2), 'here': str(HERE), 'build': str(build),
              'programs': str(HERE.parent / 'e2e' / 'programs')}
    try:
        for name, content in scenario.files.items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(_fill(content, places)), encoding='utf-8')
        with DoubleRun(str(build / 'bin' / 'socktale'), frames, folder, scenario.seconds) as both:
            for argv in scenario.prepare:
                both.run(_argv(_fill(argv, places)), traced=False)
            both.start_recorder(record)
            served = []
            for table in scenario.servers:
                server = _fill(table, places)
                served.append((both.serve(_argv(server['argv']), server['ready'], server.get('traced', True)), server))
            for table in scenario.steps:
                step = _fill(table, places)
                both.run(_argv(step['argv']), step.get('traced', True), step.get('status', [0]), step.get('stdin'),
                         step.get('stdout'))
            for started, server in reversed(served):
                both.stop(started, server.get('stop', 'SIGTERM'), server.get('pid_file'),
                          server.get('status', (0, 143, -15)))
            recorded, in_calls, trace = both.stop_recorder()
            comparison = matcher.compare(both.read_strace(), recorded, in_calls)
        if comparison.calls == 0:
            raise Failed('strace saw no call at all')
        if trace['dropped'] != 0:
            raise Failed(f'{trace["dropped"]} events were dropped, though the recorder was to wait')
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return Outcome(comparison, trace, folder if keep and os.path.isdir(folder) else '')
