# SPDX-License-Identifier: Apache-2.0
"""Debian's source packages, for the test suites that no binary package holds. Fetched once, with lists of our own for
apt: they name the same archives of Debian as the machine's own configuration, which need not name their source
packages, and is left as it is."""

import os
import pathlib
import re
import shutil
import subprocess

_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
_INDEX_FORMAT = '$(ORIGIN) $(SITE) $(RELEASE) $(COMPONENT)'


class Unavailable(Exception):
    """A source package cannot be had; says why."""


def source(package, binary, cache):
    """The unpacked source of a package, a path below `cache` (a directory; made when missing).

    package: the source package. binary: an installed package made from it, whose version is taken, so that the tests
    are those of the program; where the archive has that one no longer, an older Debian revision of the same upstream.
    Unavailable when it is not installed, or cannot be fetched or unpacked."""
    for tool in ('apt-get', 'dpkg-source'):
        if not shutil.which(tool):
            raise Unavailable(f'{tool} is not installed (packages apt and dpkg-dev)')
    installed = subprocess.run(['dpkg-query', '-W', '-f=${source:Version}', binary], capture_output=True, text=True)
    if installed.returncode != 0 or not installed.stdout:
        raise Unavailable(f'{binary} is not installed')
    version = installed.stdout
    folder = cache / f'{package}-{re.sub("[^0-9A-Za-z.+~-]", "_", version)}'
    if (folder / 'complete').exists():
        return folder / 'source'
    shutil.rmtree(folder, ignore_errors=True)
    apt = cache / 'apt'
    for each in (folder, apt / 'lists' / 'partial', apt / 'parts'):
        each.mkdir(parents=True, exist_ok=True)
    (apt / 'sources.list').write_text(_source_archives(), encoding='utf-8')
    apt_get = ['apt-get', '-q', '-o', f'Dir::Etc::sourcelist={apt}/sources.list',
               '-o', f'Dir::Etc::sourceparts={apt}/parts', '-o', f'Dir::State::lists={apt}/lists',
               '-o', 'APT::Sandbox::User=']
    _run([*apt_get, 'update'], folder)
    failures = []
    for candidate in [version, *_other_revisions(package, version, apt_get)]:
        try:
            _run([*apt_get, 'source', '--download-only', f'{package}={candidate}'], folder)
            break
        except Unavailable as failure:
            failures.append(str(failure))
    else:
        raise Unavailable('; '.join(failures))
    description, = folder.glob('*.dsc')
    _run(['dpkg-source', '--no-check', '-x', description.name, 'source'], folder)
    (folder / 'complete').touch()
    return folder / 'source'


def _source_archives():
    """Lines for apt: the source packages of each of Debian's archives that the machine takes packages from."""
    targets = subprocess.run(['apt-get', 'indextargets', '--format', _INDEX_FORMAT, 'Created-By: Packages'],
                             capture_output=True, text=True)
    rows = sorted({tuple(line.split()) for line in targets.stdout.splitlines()})
    archives = [row[1:] for row in rows if len(row) == 4 and row[0] == 'Debian']
    if not archives:
        raise Unavailable('apt knows no archive of Debian (apt-get update)')
    return ''.join(f'deb-src [signed-by={_KEYRING}] {" ".join(archive)}\n' for archive in archives)


def _other_revisions(package, version, apt_get):
    """Versions of the package in the archives with the same upstream version, newest first."""
    show = subprocess.run(['apt-cache', *apt_get[2:], 'showsrc', package], capture_output=True, text=True)
    upstream = version.rpartition('-')[0]
    found = {match for match in re.findall(r'^Version: (\S+)$', show.stdout, re.MULTILINE)
             if match != version and match.rpartition('-')[0] == upstream}
    return sorted(found, key=lambda each: [int(part) for part in re.findall(r'\d+', each)], reverse=True)


def _run(argv, folder):
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, 'LC_ALL': 'C.UTF-8'}, timeout=600)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise Unavailable(f'{argv[0]} {argv[-1]}: {" ".join(last) or f"exit status {done.returncode}"}')


def default_cache():
    """Where fetched packages stay between runs."""
    base = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
    return pathlib.Path(base) / 'socktale-conformance'
