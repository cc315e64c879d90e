# SPDX-License-Identifier: Apache-2.0
"""Pairs of an untraced and a traced run, one right after the other, and what they say together."""

import statistics

CALM = 1.25  # a pair counts when its untraced run took at most this many times as long as the quickest one


class Pair:
    """Times of one operation in ns, untraced and traced."""

    def __init__(self, plain_ns, traced_ns):
        self.plain_ns, self.traced_ns = plain_ns, traced_ns
        self.ratio = traced_ns / plain_ns
        self.added_ns = traced_ns - plain_ns


def calm(pairs):
    quickest = min(pair.plain_ns for pair in pairs)
    return [pair for pair in pairs if pair.plain_ns <= CALM * quickest]


def measure(plain, traced, wanted):
    """Runs pairs in turns of order until `wanted` of them are calm, at most twice as many as wanted.

    plain, traced: functions that make one run and return the ns of an operation.
    Returns the calm pairs, or all where there are not two of them.
    """
    plain()  # warms files and processors up
    pairs = []
    while len(pairs) < wanted or (len(calm(pairs)) < wanted and len(pairs) < 2 * wanted):
        if len(pairs) % 2 == 0:
            plain_ns = plain()
            pairs.append(Pair(plain_ns, traced()))
        else:
            traced_ns = traced()
            pairs.append(Pair(plain(), traced_ns))
    return calm(pairs) if len(calm(pairs)) > 1 else pairs


def median_ratio(pairs):
    return statistics.median(pair.ratio for pair in pairs)


def ratio_quartiles(pairs):
    """Lower quartile, median and upper quartile of the ratios."""
    return statistics.quantiles([pair.ratio for pair in pairs], n=4, method='inclusive')


def median_plain_ns(pairs):
    return statistics.median(pair.plain_ns for pair in pairs)


def median_traced_ns(pairs):
    return statistics.median(pair.traced_ns for pair in pairs)


def median_added_ns(pairs):
    return statistics.median(pair.added_ns for pair in pairs)
