# SPDX-License-Identifier: Apache-2.0
"""A parent and its forked child talk over a socketpair: twenty questions and answers, then 500 kB at once. The parent
prints a digest of what each of the two said."""

import hashlib
import os
import socket


def say(end, message):
    """Sends a message with its length before it. Returns what was sent."""
    framed = len(message).to_bytes(4, 'big') + message
    end.sendall(framed)
    return framed


def hear(end):
    """Receives one message. Returns it with its length before it."""
    size = end.recv(4, socket.MSG_WAITALL)
    return size + end.recv(int.from_bytes(size, 'big'), socket.MSG_WAITALL)


parent_end, child_end = socket.socketpair()
if os.fork() == 0:
    parent_end.close()
    for _ in range(20):
        say(child_end, b'you said ' + hear(child_end)[4:])
    say(child_end, hear(child_end)[:3:-1])
    os._exit(0)

child_end.close()
parent, child = hashlib.sha256(), hashlib.sha256()
for message in [b'question %d' % number for number in range(20)] + [os.urandom(500_000)]:
    parent.update(say(parent_end, message))
    child.update(hear(parent_end))
assert os.wait()[1] == 0
print('parent', parent.hexdigest())
print('child', child.hexdigest())
