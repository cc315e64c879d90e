# SPDX-License-Identifier: Apache-2.0
"""Options that the commands of bench/ have in common."""

import argparse
import os

from harness import micro

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def parser(description):
    """A parser with the options of all commands. description: the command's docstring."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument('--build', default=os.path.join(ROOT, 'build/release'), help='build folder (build/release)')
    made.add_argument('--socktale', help='the program to measure (BUILD/bin/socktale)')
    made.add_argument('--workloads', help='folder of the workloads (BUILD/bench)')
    made.add_argument('--scale', type=float, default=1.0, help='multiplies the number of operations (1)')
    made.add_argument('--limit', type=float, default=120, help='most seconds for one run (120)')
    made.add_argument('--folder', help='where traces are written, and removed again (a temporary folder)')
    return made


def add_pairs(made, pairs=5):
    """Adds the options of commands that measure pairs of runs and print a table. pairs: as many, if nobody says."""
    made.add_argument('--pairs', type=int, default=pairs,
                      help=f'calm pairs of runs for each figure, at least 2 ({pairs})')
    made.add_argument('--markdown', metavar='FILE', help='write the table into FILE, between its marks; -: print it')


def add_processors(made, choices=('both', 'one', 'all')):
    """Adds what processors() takes. The first of the choices holds if nobody says."""
    made.add_argument('--processors', choices=choices, default=choices[0],
                      help=f'one: everything shares one; all: free on all of them ({choices[0]})')


def parse(made, programs=micro.PROGRAMS):
    """Parses the command line and completes the paths; refuses what is not built, of socktale and of `programs`, names
    in the folder of the workloads. (Where another --tracer is measured socktale is not needed.)"""
    options = made.parse_args()
    if getattr(options, 'pairs', 2) < 2:
        made.error('--pairs: at least 2')
    options.socktale = os.path.abspath(options.socktale or os.path.join(options.build, 'bin/socktale'))
    options.workloads = os.path.abspath(options.workloads or os.path.join(options.build, 'bench'))
    needed = [os.path.join(options.workloads, program) for program in programs]
    if not getattr(options, 'tracer', None):
        needed.append(options.socktale)
    for path in needed:
        if not os.access(path, os.X_OK):
            made.error(f'{path} is missing: cmake --preset release -DSOCKTALE_BUILD_BENCH=ON && '
                       'cmake --build --preset release')
    return options


def processors(which):
    """[(one|all, numbers of processors)] for what --processors says."""
    every = os.sched_getaffinity(0)
    one, free = ('one', {max(every)}), ('all', every)
    return {'one': [one], 'all': [free], 'both': [one, free]}[which]
