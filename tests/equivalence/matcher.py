# SPDX-License-Identifier: Apache-2.0
"""Finds to every call that strace saw the one that was recorded, and what is left over on either side.

Calls are matched as multisets of (thread, call, descriptor, detail, result). Within one such key they are paired so
that their payloads agree wherever that can be, in order otherwise: when one of many equal calls is missing, the others
are not blamed for it. Nothing is explained here; explanations.py does that.
"""

import collections
import dataclasses
import difflib

from calls import HOOK, INSIDE, MOVES, SHIM, UNKNOWN, Call

MISSING, EXTRA, PAYLOAD = 'missing', 'extra', 'payload'


@dataclasses.dataclass(slots=True)
class Difference:
    """kind: MISSING (strace saw it, the trace has not got it), EXTRA (the other way round), PAYLOAD (other bytes).

    call: strace's, or the trace's for EXTRA. other: the trace's call for PAYLOAD. before: the calls of the same thread
    just before it, strace's and the trace's.
    """
    kind: str
    call: Call
    other: Call | None = None
    before: tuple = ((), ())


@dataclasses.dataclass
class Comparison:
    """calls: those the trace should hold, or libc made itself. size: payload bytes of matched calls, by strace."""
    calls: int = 0
    matched: int = 0
    inside: int = 0
    size: int = 0
    missing_size: int = 0
    differences: list = dataclasses.field(default_factory=list)
    inside_by_entry: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def add(self, other):
        for field in ('calls', 'matched', 'inside', 'size', 'missing_size'):
            setattr(self, field, getattr(self, field) + getattr(other, field))
        self.differences += other.differences
        self.inside_by_entry += other.inside_by_entry


def _pairs(seen, recorded):
    """Pairs calls of one key by their payloads. Returns pairs, and what is left of each side."""
    pairs, left_seen, left_recorded = [], [], []
    blocks = difflib.SequenceMatcher(None, [call.payload for call in seen], [call.payload for call in recorded],
                                     autojunk=False).get_opcodes() if len(seen) != len(recorded) else [
                                         ('replace', 0, len(seen), 0, len(recorded))]
    for _, a, a_end, b, b_end in blocks:
        both = min(a_end - a, b_end - b)
        pairs += zip(seen[a:a + both], recorded[b:b + both])
        left_seen += seen[a + both:a_end]
        left_recorded += recorded[b + both:b_end]
    both = min(len(left_seen), len(left_recorded))
    pairs += zip(left_seen[:both], left_recorded[:both])
    return pairs, left_seen[both:], left_recorded[both:]


def _take(seen, recorded):
    """Pairs all calls with the same key. Changes nothing; returns pairs and the rest of each side, in order."""
    by_key = collections.defaultdict(lambda: ([], []))
    for call in seen:
        by_key[call.key][0].append(call)
    for call in recorded:
        by_key[call.key][1].append(call)
    pairs, rest_seen, rest_recorded = [], set(), set()
    for a, b in by_key.values():
        found, left_seen, left_recorded = _pairs(a, b) if a and b else ([], a, b)
        pairs += found
        rest_seen.update(map(id, left_seen))
        rest_recorded.update(map(id, left_recorded))
    return (pairs, [call for call in seen if id(call) in rest_seen],
            [call for call in recorded if id(call) in rest_recorded])


def compare_thread(seen, recorded, in_call=None):
    """seen: strace's calls of one thread. recorded: the trace's of the same. Returns a Comparison.

    in_call: (call, descriptor) that the trace says had not returned to the program when the thread ended.
    """
    result = Comparison()
    pairs, missing, extra = _take([call for call in seen if call.expected], recorded)
    more, _, extra = _take([call for call in seen if call.origin == UNKNOWN], extra)
    pairs += more
    found = {id(call) for call, _ in more}
    for call in seen:
        if call.expected or id(call) in found or call.origin == SHIM or call.call == 'exit':
            continue
        if call.origin in (INSIDE, HOOK):
            result.inside += 1
            result.inside_by_entry[call.entry[0] if call.entry else '?'] += 1
        else:
            missing.append(call)
    last = next((call for call in reversed(seen) if call.expected), None)
    if last in missing and in_call == (last.call, last.fd):
        missing.remove(last)  # the kernel had done it when the thread was killed, and the program never knew
        result.matched += 1
    for call, record in pairs:
        result.matched += 1
        if call.call in MOVES:
            result.size += len(call.payload or b'')
        if call.payload is not None and call.payload != record.payload:
            result.differences.append(Difference(PAYLOAD, call, record))
    for call in missing:
        if call.call in MOVES:
            result.missing_size += len(call.payload or b'')
        result.differences.append(Difference(MISSING, call))
    result.differences += [Difference(EXTRA, call) for call in extra]
    result.calls = result.matched + result.inside + len(missing)
    _add_context(result.differences, seen, recorded)
    return result


def _add_context(differences, seen, recorded, size=3):
    visible = [call for call in seen if call.origin != SHIM]
    for difference in differences:
        sides = []
        for calls, call in ((visible, difference.call if difference.kind != EXTRA else None),
                            (recorded, difference.other if difference.kind != EXTRA else difference.call)):
            place = next((n for n, other in enumerate(calls) if other is call), None)
            sides.append(tuple(other.line for other in calls[max(0, place - size):place]) if place is not None else ())
        difference.before = tuple(sides)


def compare(seen, recorded, in_calls=None):
    """seen, recorded: tid → calls. A thread that only one side knows is compared with nothing.

    in_calls: tid → in_call of compare_thread.
    """
    result = Comparison()
    for tid in sorted(seen.keys() | recorded.keys()):
        result.add(compare_thread(seen.get(tid, []), recorded.get(tid, []), (in_calls or {}).get(tid)))
    return result


def in_words(difference):
    """The difference and what came before it, lines for people."""
    head = {MISSING: 'not recorded', EXTRA: 'recorded, and strace did not see it', PAYLOAD: 'other bytes'}
    call = difference.call
    lines = [f'{head[difference.kind]}: tid {call.tid}: {call.line}']
    if difference.kind == PAYLOAD:
        lines.append(f'    recorded: {difference.other.line}')
        seen, kept = call.payload or b'', difference.other.payload or b''
        place = next((n for n, (a, b) in enumerate(zip(seen, kept)) if a != b), min(len(seen), len(kept)))
        lines.append(f'    strace {len(seen)} bytes, recorded {len(kept)}, first difference at byte {place}: '
                     f'{seen[place:place + 24]!r} and {kept[place:place + 24]!r}')
    for side, before in zip(('strace', 'trace'), difference.before):
        lines += [f'    {side} before: {words}' for words in before]
    return lines
