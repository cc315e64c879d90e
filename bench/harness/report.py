# SPDX-License-Identifier: Apache-2.0
"""Tables of Markdown that also read well as they are, and their places in documents."""

import os
import platform
import re
import subprocess
import time

from harness import pairs as pairs_of_runs
from harness.processes import Failure

PAIRS_HEAD = ('untraced', 'traced', 'added', 'ratio', 'quartiles', 'pairs')


def duration(ns):
    return f'{ns / 1e6:,.2f} ms' if abs(ns) >= 1e6 else f'{ns:,.0f} ns'


def pairs_cells(pairs, calls=1):
    """The cells under PAIRS_HEAD. calls: system calls of one operation, by which the added time is divided."""
    low, middle, high = pairs_of_runs.ratio_quartiles(pairs)
    added = pairs_of_runs.median_added_ns(pairs) / calls
    return (duration(pairs_of_runs.median_plain_ns(pairs)), duration(pairs_of_runs.median_traced_ns(pairs)),
            duration(added), f'{middle:.2f}', f'{low:.2f} to {high:.2f}', str(len(pairs)))


def machine_line(folder, what):
    """What and where it was measured. folder: of the traces; what: was measured."""
    with open('/proc/cpuinfo', encoding='utf-8', errors='replace') as cpuinfo:
        model = re.search(r'^model name\s*:\s*(.+)$', cpuinfo.read(), re.M)
    file_system = subprocess.run(['stat', '-f', '-c', '%T', folder], capture_output=True, text=True).stdout.strip()
    count = len(os.sched_getaffinity(0))
    words = [model[1].strip() if model else platform.machine(), f'{count} processor{"s" if count != 1 else ""}',
             f'Linux {platform.release()}', ' '.join(platform.libc_ver()), f'trace on {file_system}',
             time.strftime('%Y-%m-%d'), what]
    busy = os.getloadavg()[0]
    if busy > 0.5:
        words.append(f'a busy machine (load {busy:.1f} before the first run)')
    return ', '.join(words)


def table(head, rows, left=1, right=None):
    """Lines of a Markdown table. left: how many columns, from the first, hold words and are aligned left; the others are
    aligned right. right: their indexes, where they are not simply the last."""
    right = set(range(left, len(head)) if right is None else right)
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row):
        padded = [cell.rjust(width) if i in right else cell.ljust(width)
                  for i, (cell, width) in enumerate(zip(row, widths))]
        return '| ' + ' | '.join(padded) + ' |'

    rules = ['-' * (width + 1) + (':' if i in right else '-') for i, width in enumerate(widths)]
    return [line(head), '|' + '|'.join(rules) + '|'] + [line(row) for row in rows]


def write_markdown(path, name, lines):
    """Writes lines between the marks `<!-- NAME:` and `<!-- end of NAME -->` of a document; "-": prints them."""
    begin_mark, end_mark = f'<!-- {name}:', f'<!-- end of {name} -->'
    text = '\n'.join(lines)
    if path == '-':
        print('\n' + text)
        return
    old = ''
    if os.path.exists(path):
        with open(path, encoding='utf-8') as file:
            old = file.read()
    begin, end = old.find(begin_mark), old.find(end_mark)
    if 0 <= begin < end:
        begin = old.index('\n', begin) + 1
        text = old[:begin] + '\n' + text + '\n\n' + old[end:]
    elif old:
        raise Failure(f'{path} has no line that begins with {begin_mark} and none with {end_mark}')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text if text.endswith('\n') else text + '\n')
