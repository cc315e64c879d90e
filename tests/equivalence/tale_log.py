# SPDX-License-Identifier: Apache-2.0
"""Reads what `socktale show --json` tells, as calls that can be compared with strace's."""

import base64
import ipaddress
import json

from calls import (ADDRESSES, API_ONLY, BY_NUMBER, CANONICAL, MOVES, OTHER_RESULTS, WAITS, Call, descriptor,
                   ready_text)


def _payload(event):
    if 'text' in event:
        return event['text'].encode()
    return base64.b64decode(event['b64']) if 'b64' in event else b''


def _address(address):
    """As strace_log's."""
    if 'ip' in address:
        return f'{ipaddress.ip_address(address["ip"])} {address["port"]}'.encode()
    for kind, sign in (('path', b''), ('abstract', b'@')):
        if kind in address:
            return sign + address[kind].encode()
        if kind + '_b64' in address:
            return sign + base64.b64decode(address[kind + '_b64'])
    return b''


def _fd(event):
    """`4242/5#2` → 5."""
    return int(event['fd'].split('/')[1].split('#')[0]) if 'fd' in event else None


def _detail(call, event, fd):
    if call in ('fcntl', 'shutdown'):
        return (event.get('flags', 0),)
    if call in ('dup2', 'dup3'):
        return (event.get('new_fd', 0),)
    if call == 'ioctl':
        return (event.get('option', 0),)
    if call == 'epoll_ctl':
        return (event.get('flags', 0), event.get('new_fd', 0))
    if call in ('socketpair', 'pipe2'):
        return (fd, event.get('new_fd', 0)) if event['ret'] == 0 else ()
    if MOVES.get(call):
        return (event.get('flags', 0),)
    return ()


def call_of(event):
    """One object of `show --json` as a Call."""
    name = event['call'].replace(' ', '_')
    if name == 'syscall':
        name = BY_NUMBER.get(event.get('option'), name)
    call = CANONICAL.get(name, name)
    tid = event['made_pid'] if 'vfork_child' in event.get('notes', ()) else event['tid']
    result = event.get('err', event.get('ret', 0))
    if name == 'posix_spawn' and event['ret'] == 0:
        result = event.get('made_pid', 0)
    if call == 'exit':
        result = 0
    if name in OTHER_RESULTS and 'err' not in event:
        result = OTHER_RESULTS[name]
    if name == 'fclose' and event.get('err', 'EBADF') != 'EBADF':
        result = 0  # its last bytes could not be written, which is told of the stream; the descriptor is closed
    fd = _fd(event)
    words = {key: value for key, value in event.items() if key not in ('type', 'text', 'b64', 't_ns', 'tid', 'process')}
    payload = _payload(event) if call in MOVES else None
    if call in ADDRESSES:
        payload = _address(next((event[key] for key in ('address', 'peer', 'local') if key in event), {}))
    if call in WAITS:
        payload = ready_text((each['fd'], each['revents']) for each in event.get('polled', ()) if each['revents'])
    return Call(tid, call, descriptor(call, fd), _detail(call, event, fd), result, payload,
                line=json.dumps(words, ensure_ascii=False)[:240])


def read(lines):
    """lines: of `show --json`.

    Returns tid → calls in their order; tid → (call, descriptor) of those that had not returned when the trace ended;
    and the object that describes the trace.

    "executing" is written before an exec and is all there is of one that succeeds; a failed one follows as execve.
    """
    threads, in_calls, executing, trace = {}, {}, {}, None
    for line in lines:
        event = json.loads(line)
        if event['type'] == 'in_call':
            call = CANONICAL.get(event['call'], event['call'])
            in_calls[event['tid']] = (call, descriptor(call, _fd(event)))
        if event['type'] != 'event':
            trace = trace or event
            continue
        name = event['call'].replace(' ', '_')
        call = call_of(event)
        if name == 'executing':
            call.call, call.result = 'execve', 0
            executing[call.tid] = call
            continue
        pending = executing.pop(call.tid, None)
        if pending is not None and call.call != 'execve':
            threads.setdefault(call.tid, []).append(pending)
        if name not in API_ONLY:
            threads.setdefault(call.tid, []).append(call)
    for call in executing.values():
        threads.setdefault(call.tid, []).append(call)
    return threads, in_calls, trace
