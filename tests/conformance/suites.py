# SPDX-License-Identifier: Apache-2.0
"""The suites that others wrote for their programs: what each needs, how it is started, and where it tells its outcomes.

A suite is a row of the report. It runs in a folder of its own, made anew for every run; everything it writes is below.
"""

import os
import pathlib
import re
import shlex
import shutil

import results
from sources import Unavailable, source

_PYTHON = '/usr/bin/python3'
_PYTHON_TESTS = pathlib.Path('/usr/lib/python3.11/test')
_PERL = '/usr/bin/perl'
_REDIS_PROGRAMS = ('redis-server', 'redis-cli', 'redis-benchmark', 'redis-check-aof', 'redis-check-rdb')
# Tests that are left out, with the reason; by their suite.
_PYTHON_IGNORED = {
    # In a virtual machine the client's connect() to the machine itself is refused by many hosts, and the test waits for
    # it in accept() for ever, traced or not.
    'test_socket': ['ThreadedVSOCKSocketStreamTest'],
}
# Suites that ask for nothing but the system's interpreter and are over soon: what CI runs.
_CI = {'test_epoll', 'test_fcntl', 'test_poll', 'test_select', 'test_selectors', 'test_socketserver'}


class Suite:
    """name: unique, 'family suite'. ci: is it among the few that CI runs? seconds: all that one run may take."""

    ci = False
    seconds = 1800  # a few minutes at most on a machine that does nothing else

    def __init__(self, name):
        self.name = name

    def missing(self):
        """Why this suite cannot run here, in words; empty when it can."""
        return ''

    def prepare(self, folder):
        """Makes what the suite needs in `folder`, which is empty. Returns its argv and its working directory."""
        raise NotImplementedError

    def outcomes(self, folder, output):
        """The outcomes of a run (outcomes.py) that was prepared in `folder` and printed `output`."""
        raise NotImplementedError


class PythonSuite(Suite):
    """A module of CPython's own tests. They may use the network: there is nothing but a loopback device (run.py)."""

    def __init__(self, module):
        super().__init__(f'python {module}')
        self.ci = module in _CI
        self._module = module
        self._ignored = _PYTHON_IGNORED.get(module, ())

    def missing(self):
        if (_PYTHON_TESTS / f'{self._module}.py').exists() or (_PYTHON_TESTS / self._module).is_dir():
            return ''
        return 'apt-get install libpython3.11-testsuite'

    def prepare(self, folder):
        work = folder / 'work'
        work.mkdir()
        ignore = [word for pattern in self._ignored for word in ('--ignore', pattern)]
        return [_PYTHON, '-m', 'test', '-v', '-u', 'network', '--junit-xml', str(folder / 'report.xml'), *ignore,
                self._module], work

    def outcomes(self, folder, output):
        report = folder / 'report.xml'
        return results.from_junit(report.read_text(encoding='utf-8', errors='replace')) if report.exists() else {}


class PerlSuite(Suite):
    """Test files of perl's source package, run by the installed perl. place: the folder they are in, run from its
    parent as perl's own t/TEST does; from t itself where it is perl's own."""

    seconds = 600

    def __init__(self, name, place, pattern, cache):
        super().__init__(f'perl {name}')
        self._place, self._pattern, self._cache = pathlib.Path(place), re.compile(pattern), cache

    def missing(self):
        try:
            self._source()
        except Unavailable as why:
            return str(why)
        return ''

    def _source(self):
        return source('perl', 'perl', self._cache)

    def prepare(self, folder):
        origin = self._source()
        core = self._place.parts[0] == 't'
        top = folder / 'perl'
        shutil.copytree(origin / 't', top / 't', symlinks=True)
        if not core:
            shutil.copytree(origin / self._place.parent, top / self._place.parent, symlinks=True, dirs_exist_ok=True)
        # Perl's own harness takes the modules out of the source tree, where they are built; here they are installed.
        helper = top / 't' / 'test.pl'
        helper.chmod(0o644)
        text, count = re.subn(r'^(sub set_up_inc \{)$', r'\1 return;', helper.read_text(encoding='utf-8'),
                              flags=re.MULTILINE)
        if count != 1:
            raise Unavailable(f'{helper} has no set_up_inc')
        helper.write_text(text, encoding='utf-8')
        if not core:
            for name in ('test.pl', 'charset_tools.pl'):  # where a module's tests look for them outside of perl's tree
                if not (top / self._place / name).exists():
                    shutil.copy(top / 't' / name, top / self._place)
        work = top / ('t' if core else self._place.parent)
        files = sorted(path.relative_to(work) for path in (top / self._place).glob('*.t')
                       if self._pattern.search(path.name))
        (folder / 'told').mkdir()
        script = ['#!/bin/sh']
        for file in files:
            told = shlex.quote(str(folder / 'told' / str(file).replace('/', ' ')))
            script.append(f'{_PERL} {_switches(work / file)} {shlex.quote(str(file))} > {told} 2>&1 < /dev/null; '
                          f'echo "$?" > {told}.status')
        (folder / 'script').write_text('\n'.join(script) + '\n', encoding='utf-8')
        return ['/bin/sh', str(folder / 'script')], work

    def outcomes(self, folder, output):
        outcomes = {}
        for status in sorted((folder / 'told').glob('*.status')):
            told = status.with_suffix('').read_text(encoding='utf-8', errors='replace')
            outcomes.update(results.from_tap(status.stem.replace(' ', '/'), told, int(status.read_text() or -1)))
        return outcomes


def _switches(file):
    """Switches of a perl program's first line that perl wants to see on its command line, too."""
    with open(file, encoding='utf-8', errors='replace') as lines:
        return ' '.join(re.findall(r'\s(-[tT]\b|-C\S+)', next(lines, '')))


class RedisSuite(Suite):
    """A file of redis's own tests, run with the installed redis-server and redis-cli."""

    # Files that draw lots for as long as they last (results.from_redis).
    _BY_LOT = ('integration/psync2', 'integration/psync2-reg')

    def __init__(self, file, cache):
        super().__init__(f'redis {file}')
        self._file, self._cache = file, cache

    def missing(self):
        absent = [program for program in (*_REDIS_PROGRAMS, 'tclsh') if not shutil.which(program)]
        if absent:
            return f'{", ".join(absent)} not installed (packages redis-server, redis-tools, tcl)'
        try:
            source('redis', 'redis-server', self._cache)
        except Unavailable as why:
            return str(why)
        return ''

    def prepare(self, folder):
        origin = source('redis', 'redis-server', self._cache)
        work = folder / 'redis'
        work.mkdir()
        for name in ('tests', 'utils'):
            shutil.copytree(origin / name, work / name, symlinks=True)
        shutil.copy(origin / 'redis.conf', work)
        (work / 'tests' / 'tmp').mkdir(exist_ok=True)
        (work / 'src').mkdir()
        for program in _REDIS_PROGRAMS:
            os.symlink(f'/usr/bin/{program}', work / 'src' / program)
        return [shutil.which('tclsh'), 'tests/test_helper.tcl', '--clients', '1', '--single', self._file], work

    def outcomes(self, folder, output):
        return results.from_redis(output, self._file in self._BY_LOT)


def all_suites(cache):
    """Every suite, in the report's order. cache: where source packages are kept (sources.py)."""
    python = [PythonSuite(module) for module in (
        'test_socket', 'test_asyncio', 'test_ssl', 'test_selectors', 'test_select', 'test_poll', 'test_epoll',
        'test_socketserver', 'test_subprocess', 'test_os', 'test_posix', 'test_fcntl', 'test_signal', 'test_threading',
        'test_multiprocessing_fork', 'test_multiprocessing_spawn', 'test_httplib', 'test_ftplib', 'test_smtplib',
        'test_urllib2_localnet')]
    perl = [PerlSuite(*row, cache) for row in (
        ('t/io', 't/io', ''),
        ('t/op', 't/op', r'^(alarm|exec|fork|getpid|getppid|kill0|sselect|select|sysio|readline|require_fh)\.t$'),
        ('IO', 'dist/IO/t', ''),
        ('Socket', 'cpan/Socket/t', ''),
        ('IO-Socket-IP', 'cpan/IO-Socket-IP/t', r'^[0-8]'),
        ('IPC-Open3', 'ext/IPC-Open3/t', ''),
        ('libnet', 'cpan/libnet/t', ''),
        ('HTTP-Tiny', 'cpan/HTTP-Tiny/t', ''))]
    # Of redis's list, without the files on what it does with data alone (hash, sort, bitops, …).
    redis = [RedisSuite(file, cache) for file in (
        'unit/protocol', 'unit/auth', 'unit/acl', 'unit/networking', 'unit/other', 'unit/multi', 'unit/quit',
        'unit/info', 'unit/introspection', 'unit/introspection-2', 'unit/pubsub', 'unit/pubsubshard', 'unit/querybuf',
        'unit/pendingquerybuf', 'unit/obuf-limits', 'unit/client-eviction', 'unit/replybufsize', 'unit/tracking',
        'unit/limits', 'unit/shutdown', 'unit/pause', 'unit/wait', 'unit/aofrw', 'unit/latency-monitor',
        'unit/scripting', 'unit/oom-score-adj', 'unit/cluster', 'unit/type/list', 'unit/type/stream', 'integration/aof',
        'integration/aof-multi-part', 'integration/rdb', 'integration/replication', 'integration/replication-2',
        'integration/replication-3', 'integration/replication-4', 'integration/replication-psync',
        'integration/replication-buffer', 'integration/block-repl', 'integration/psync2', 'integration/psync2-reg',
        'integration/psync2-pingoff', 'integration/psync2-master-restart', 'integration/failover',
        'integration/shutdown', 'integration/logging', 'integration/redis-cli', 'integration/redis-benchmark',
        'integration/dismiss-mem')]
    return python + perl + redis
