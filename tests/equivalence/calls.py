# SPDX-License-Identifier: Apache-2.0
"""One call, as both sides tell it, and the names that the two sides have for the same thing.

The kernel knows no send(): libc makes it a sendto with no address. So strace's system calls and the trace's API calls
are brought to one name here (canonical), and with it to one result and one detail: what else must be the same for two
calls to be one. A call that stands in none of these tables keeps its own name, so one hooked tomorrow is compared at
once.
"""

import dataclasses
import re

# API name of the trace (show --json, `call`) or system call → the name that both are compared by.
CANONICAL = {
    'send': 'sendto', 'recv': 'recvfrom', 'open': 'openat', 'creat': 'openat', 'openat2': 'openat',
    'pipe': 'pipe2', 'pselect6': 'select', 'pselect': 'select', 'epoll_create1': 'epoll_create',
    'epoll_pwait': 'epoll_wait', 'epoll_pwait2': 'epoll_wait', 'eventfd2': 'eventfd', 'signalfd4': 'signalfd',
    'inotify_init1': 'inotify_init', 'accept4': 'accept', 'pread': 'pread64', 'pwrite': 'pwrite64',
    'clone': 'fork', 'clone3': 'fork', 'vfork': 'fork', 'posix_spawn': 'fork',
    'execveat': 'execve', 'exit_group': 'exit', '_exit': 'exit', 'newfstatat': 'fstatat', 'sendfile64': 'sendfile',
    # Functions of libc that do more, by the one system call among theirs that makes or ends the descriptor.
    'mkstemp': 'openat', 'shm_open': 'openat', 'posix_openpt': 'openat', 'opendir': 'openat', 'fopen': 'openat',
    'tmpfile': 'openat', 'fclose': 'close', 'closedir': 'close', 'pclose': 'close', 'mq_close': 'close',
    'eventfd_read': 'read', 'eventfd_write': 'write',
}

# What these return is not what the system call does: a command's status; nothing, where the kernel says how many bytes.
OTHER_RESULTS = {'pclose': 0, 'eventfd_read': 8, 'eventfd_write': 8}

# Calls of the trace that are no system call: the recorder's own notes, questions to libc, and functions of libc that
# make several of their own, which count as inside libc.
API_ONLY = {
    'attached', 'found', 'socket_summary', 'unknown', 'getaddrinfo', 'getnameinfo', 'gethostbyname', 'gethostbyaddr',
    'fdopen', 'fdopendir', 'freopen', 'popen', 'system', 'daemon', 'openpty', 'forkpty', 'login_tty', 'isfdtype',
    'sockatmark', 'getsourcefilter', 'setsourcefilter', 'dlopen', 'dlmopen',
}

# System calls by syscall(2) that have no function in libc, by number: what the trace calls `syscall`.
BY_NUMBER = {323: 'userfaultfd', 425: 'io_uring_setup', 437: 'openat'}

# Calls that make descriptors or work on none: their first argument, or the descriptor the trace names, is not compared.
WITHOUT_FD = {
    'socket', 'socketpair', 'openat', 'pipe2', 'epoll_create', 'eventfd', 'timerfd_create', 'signalfd', 'memfd_create',
    'inotify_init', 'fanotify_init', 'userfaultfd', 'pidfd_open', 'poll', 'ppoll', 'select', 'fork', 'execve', 'exit',
    'open_tree', 'fsopen', 'fspick', 'open_by_handle_at', 'mq_open', 'io_uring_setup',
}

# Where the descriptor that is compared is not the first argument: where the bytes go.
FD_ARGUMENT = {'splice': 2, 'tee': 1, 'copy_file_range': 2}

# Calls that move payload. Where libc and the kernel have a flags argument in common: its place.
MOVES = {
    'read': None, 'write': None, 'pread64': None, 'pwrite64': None, 'readv': None, 'writev': None, 'preadv': None,
    'pwritev': None, 'preadv2': None, 'pwritev2': None, 'sendto': 3, 'recvfrom': 3, 'sendmsg': 2, 'recvmsg': 2,
    'sendmmsg': 3, 'recvmmsg': 3,
}

# Calls that wait; what they found ready is compared in the place of payload.
WAITS = {'poll', 'ppoll', 'select', 'epoll_wait'}
POLLIN, POLLPRI, POLLOUT = 1, 2, 4  # poll(2); also what the trace calls select's three sets

# Calls whose address is compared in the place of payload, where one was given or got.
ADDRESSES = {'connect', 'bind', 'accept', 'getsockname', 'getpeername'}
CONNECTING = ('EINPROGRESS', 'ECONNREFUSED')  # errors of connect with which the address is recorded like with success

# Where a call came from, by the frames of its stack (strace -k).
HOOK = 'hook'          # the program called libc by an exported name, and the shim's hook made the call
SHIM = 'shim'          # the shim's own
INSIDE = 'inside'      # libc's own doing, at least one function deep inside libc or the loader
EXPORTED = 'exported'  # the program called libc by an exported name, and no hook was there
DIRECT = 'direct'      # a system call instruction that is not libc's
UNKNOWN = 'unknown'    # no stack


@dataclasses.dataclass(slots=True)
class Call:
    """One call of one thread.

    fd: the descriptor worked on; None where the call has none or a negative one. detail: a tuple of what else is
    compared. result: what was returned, or the error's name. payload: the bytes that moved; None where none can be
    told (sendfile). Of strace's side alone: origin; entry, the names of the exported function of libc that was called
    first; expected, whether the hook of that function promises to record this very call. line: the side's own words.
    """
    tid: int
    call: str
    fd: int | None
    detail: tuple
    result: int | str
    payload: bytes | None = None
    origin: str = UNKNOWN
    entry: tuple = ()
    expected: bool = False
    line: str = ''

    @property
    def key(self):
        return (self.tid, self.call, self.fd, self.detail, self.result)


def descriptor(call, number):
    """A call's descriptor as it is compared."""
    return None if call in WITHOUT_FD or number is None or number < 0 else number


def ready_text(ready):
    """What a wait found ready, comparable. ready: (descriptor or epoll's data, bits); one descriptor's are joined."""
    bits = {}
    for fd, more in ready:
        bits[fd] = bits.get(fd, 0) | more
    return ' '.join(f'{fd}:{bits[fd]:x}' for fd in sorted(bits)).encode()


def read_hooks(hooks_def):
    """hooks.def's text → symbol → the name that its call is compared by."""
    rows = re.findall(r'^HOOK\((\w+),\s*(\w+)\)', hooks_def, re.MULTILINE)
    return {symbol: CANONICAL.get(call.lower(), call.lower()) for symbol, call in rows}
