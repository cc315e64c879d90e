# SPDX-License-Identifier: Apache-2.0
"""Reads what `strace -ff -k -v -xx -X raw` wrote of one thread: calls, and whose they are.

With -xx a string holds nothing but \\x.. and with -ff a thread's calls stand in its own file, in their order; so a line
needs no more than this parser. A call that a signal interrupted is told of by strace with `? ERESTART…`: whether the
program saw EINTR, or saw nothing because the kernel called again, shows in what the handler's rt_sigreturn restored.
"""

import ipaddress
import pathlib
import re
import subprocess

from calls import (ADDRESSES, CANONICAL, CONNECTING, DIRECT, EXPORTED, FD_ARGUMENT, HOOK, INSIDE, MOVES, POLLIN,
                   POLLOUT, POLLPRI, SHIM, UNKNOWN, WAITS, Call, descriptor, ready_text)

# The system calls compared: whatever makes, names, moves, waits on, uses or ends a descriptor, or a process.
SYSCALLS = '''
    read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 sendto recvfrom sendmsg recvmsg sendmmsg
    recvmmsg sendfile splice tee vmsplice copy_file_range socket socketpair bind listen accept accept4 connect shutdown
    getsockname getpeername setsockopt getsockopt close close_range dup dup2 dup3 fcntl ioctl open openat openat2 creat
    pipe pipe2 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2 timerfd_create
    timerfd_settime timerfd_gettime signalfd signalfd4 memfd_create userfaultfd inotify_init inotify_init1
    inotify_add_watch inotify_rm_watch fanotify_init fanotify_mark pidfd_open pidfd_getfd pidfd_send_signal poll ppoll
    select pselect6 open_by_handle_at open_tree fsopen fsmount fspick mq_open mq_timedsend mq_timedreceive
    io_uring_setup io_uring_enter io_uring_register fork vfork clone clone3 execve execveat exit_group
'''.split()
_FOR_SIGNALS = ['rt_sigreturn', 'restart_syscall']

_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(?:\.\.\.)?')
_LINE = re.compile(r'^(\w+)\((.*)\)\s+= (.*)$')
_FRAME = re.compile(r'^ > (.*?)\((.*)\) \[0x([0-9a-f]+)\]$')
_IOV_BASE = re.compile(r'iov_base="(\d+)"')
_MSG_LEN = re.compile(r'msg_len=(\d+)\}')
_CLONE_THREAD = 0x10000
_SHARED_WORK = {'execute': 'execve', 'executepath': 'execve', 'executeonpath': 'execvp', 'spawn': 'posix_spawn'}
_BY_NUMBER = ('CallScope::ToKernel', 'CloneLikeFork')  # preload/hooks/by_number.cc


def command(output, argv, environment):
    """The strace command line that runs argv with these additions to its environment (and none in strace's own).

    output: one file per thread is written, OUTPUT.TID.
    """
    words = ['strace', '-ff', '-o', str(output), '-k', '-v', '-xx', '-X', 'raw', '-s', str(1 << 22),
             '-e', 'trace=' + ','.join(SYSCALLS + _FOR_SIGNALS), '-e', 'signal=all']
    for name, value in environment.items():
        words += ['-E', f'{name}={value}' if value is not None else name]
    return words + ['--', *argv]


class LibcNames:
    """The names a libc exports to programs, by address, aliases together: strace names one of them only."""

    def __init__(self, rows):
        """rows: (address, size, name) of each exported function."""
        self._names = {}
        for address, size, name in rows:
            entry = self._names.setdefault(address, [0, []])
            entry[0] = max(entry[0], size)
            entry[1].append(name)

    @classmethod
    def of_file(cls, path):
        """Names of the libc in this file, by nm (binutils)."""
        listing = subprocess.run(['nm', '-D', '-S', '--defined-only', path], capture_output=True, text=True, check=True)
        rows = [line.split() for line in listing.stdout.splitlines()]
        return cls((int(row[0], 16), int(row[1], 16), row[3].split('@')[0]) for row in rows
                   if len(row) == 4 and 'PRIVATE' not in row[3])

    def at(self, start, address):
        """Names of the function that begins at start, if address is in it; () for one that is not exported."""
        size, names = self._names.get(start, (0, []))
        return tuple(names) if start <= address <= start + size else ()


def _kind(path):
    name = path.rsplit('/', 1)[-1]
    if name.startswith(('libc.so.', 'libc-2.')):
        return 'libc'
    if name.startswith('ld-linux'):
        return 'loader'
    return 'shim' if name.startswith('libsocktale') else 'program'


def origin_of(frames, call, libc_names=None):
    """Whose call a stack shows. frames: (path, symbol with its offset, address in the file), innermost first.

    Returns origin, depth (how many functions of libc deep) and entry (names of libc's function that was called first).
    """
    if not frames:
        return UNKNOWN, 0, ()
    kinds = [_kind(path) for path, _, _ in frames]
    if kinds[0] == 'shim':
        # The hook of vfork is the system call itself; what a program asks of syscall(2) is given to the kernel here.
        asked = call == 'vfork' or any(name in frames[0][1] for name in _BY_NUMBER)
        return (HOOK if asked else SHIM), 0, ()
    if kinds[0] == 'program':
        return DIRECT, 0, ()
    depth = next((n for n, kind in enumerate(kinds) if kind not in ('libc', 'loader')), len(kinds))
    path, symbol, address = frames[depth - 1]
    entry = ()
    if 'loader' in kinds[:depth]:
        entry = ('ld.so',)
    elif '+0x' in symbol:
        start = address - int(symbol.rsplit('+', 1)[1], 16)
        entry = libc_names.at(start, address) if libc_names else (symbol.rsplit('+', 1)[0],)
    if depth < len(kinds) and kinds[depth] == 'shim':
        return HOOK, depth, entry
    if len(frames) == 1:
        return UNKNOWN, depth, ()  # nobody called libc: the stack could not be followed (behind a chroot, for one)
    # A function that no program can call by name was reached by a jump, at the end of one that it can (closedir's).
    if 'loader' in kinds[:depth] or depth > 1 or depth == len(kinds) or not entry:
        return INSIDE, depth, entry
    return EXPORTED, depth, entry


def _hook_name(symbol):
    """Of a function of the shim: fopen of `fopen+0x1`, and of `socktale::(anonymous namespace)::Fopen<…>(…)+0x1`."""
    inner = re.match(r'.*?socktale::(?:\(anonymous namespace\)::)?(\w+)', symbol)
    name = inner.group(1).lower() if inner else symbol.split('+')[0]
    return _SHARED_WORK.get(name, name)


def _arguments(text):
    """Splits arguments at the commas that are in no bracket. Strings are out of the text by now."""
    parts, depth, begin = [], 0, 0
    for place, sign in enumerate(text):
        if sign in '([{':
            depth += 1
        elif sign in ')]}':
            depth -= 1
        elif sign == ',' and depth == 0:
            parts.append(text[begin:place].strip())
            begin = place + 1
    parts.append(text[begin:].strip())
    return parts


def _number(text):
    match = re.match(r'0x[0-9a-f]+|-?\d+', text)
    return (int(match.group(), 16) if 'x' in match.group() else int(match.group())) if match else None


def _payload(call, arguments, strings, result):
    """The bytes that a call moved, as strace shows them: result of them at most."""
    if not isinstance(result, int) or result < 0:
        return b''
    if call in ('sendmmsg', 'recvmmsg'):
        moved, begin = b'', 0
        for number, end in enumerate(_MSG_LEN.finditer(arguments[1])):
            if number == result:
                break
            piece = b''.join(strings[int(n)] for n in _IOV_BASE.findall(arguments[1][begin:end.start()]))
            moved += piece[:int(end.group(1))]
            begin = end.end()
        return moved
    if 'nlmsg_len' in arguments[1]:
        return None  # netlink, which strace takes apart and does not show as bytes
    if arguments[1].startswith('"'):
        return strings[int(arguments[1].strip('".'))][:result]
    return b''.join(strings[int(n)] for n in _IOV_BASE.findall(arguments[1]))[:result]


def _ready(call, arguments, result_text, result):
    """What a wait found ready: (descriptor or epoll's data, bits or the name of select's set)."""
    if not isinstance(result, int) or result <= 0:
        return []
    if call == 'select':
        sets = re.findall(r'(in|out|except) \[([\d ]+)\]', result_text)
        bits = {'in': POLLIN, 'out': POLLOUT, 'except': POLLPRI}
        return [(int(fd), bits[name]) for name, fds in sets for fd in fds.split()]
    if call == 'epoll_wait':
        pairs = re.findall(r'events=(\w+), data=\{u32=(\d+)', arguments[1])
        return [(_signed(int(data)), _number(bits)) for bits, data in pairs]
    return [(int(fd), _number(bits)) for fd, bits in re.findall(r'\{fd=(-?\d+), revents=(\w+)\}', result_text)]


def _address(argument, strings, result):
    """A socket address as tale_log tells it: "127.0.0.1 80", a path, "@name"; b'' for a UNIX socket without a name.

    None for a family that is not compared, or where strace shows no address.
    """
    if not isinstance(result, int) and result not in CONNECTING:
        return None
    internet = re.match(r'\{sa_family=0x[2a], sin6?_port="(\d+)", .*?sin6?_addr="(\d+)"', argument)
    if internet:
        port, address = (strings[int(number)] for number in internet.groups())
        return f'{ipaddress.ip_address(address)} {int.from_bytes(port, "big")}'.encode()
    path = re.match(r'\{sa_family=0x1, sun_path=(@?)"(\d+)"\}', argument)
    if path:
        return path.group(1).encode() + strings[int(path.group(2))]
    return b'' if argument == '{sa_family=0x1}' else None


def _signed(number):
    """32 bits as the trace tells them."""
    return number - (1 << 32) if number >= 1 << 31 else number


def _detail(call, arguments):
    if call == 'fcntl':
        return (_number(arguments[1]),)
    if call in ('dup2', 'dup3', 'ioctl'):
        return (_number(arguments[1]),)
    if call == 'epoll_ctl':
        return (_number(arguments[1]), _number(arguments[2]))
    if call == 'shutdown':
        return (_number(arguments[1]),)
    if call in ('socketpair', 'pipe2'):
        pair = re.match(r'\[(\d+), (\d+)\]', arguments[3 if call == 'socketpair' else 0])
        return tuple(map(int, pair.groups())) if pair else ()
    if MOVES.get(call):
        return (sum(_number(flag) or 0 for flag in arguments[MOVES[call]].split('|')) & 0xffffffff,)
    return ()


class ThreadLog:
    """Reads one thread's lines.

    tid: whose. libc_names: to tell exported functions from libc's internal ones. hooks: as read_hooks() gives them.
    """

    def __init__(self, tid, libc_names=None, hooks=None):
        self.calls = []
        self._tid, self._libc_names, self._hooks = tid, libc_names, hooks or {}
        self._raw = None      # (syscall, arguments, result text, short line) whose frames are being read
        self._frames = []
        self._broken = False  # the stack could not be followed to its end
        self._interrupted = []  # per signal delivered and not returned from: the call it interrupted, or None
        self._restarts = False  # the kernel calls again what _failing holds, unless a handler keeps it from that
        self._failing = None    # a call that fails with EINTR if the handler of the signal that follows returns

    def read(self, lines):
        for line in lines:
            line = line.rstrip('\n')
            if line.startswith(' > '):
                match = _FRAME.match(line)
                if match:
                    self._frames.append((match.group(1), match.group(2), int(match.group(3), 16)))
                elif 'backtracing_error' in line:
                    self._broken = True
                continue
            if line.startswith('+++'):
                continue  # the stack of exit_group follows behind it
            self._finish()
            if line.startswith('--- SIG'):
                self._interrupted.append(self._failing)
                self._failing = None
            elif not line.startswith(('---', ' ')):
                self._begin(line)
        self._finish()
        self._failed()
        return self.calls

    def _begin(self, line):
        strings = []
        self._frames, self._broken = [], False  # a signal has frames of its own

        def keep(match):
            strings.append(bytes.fromhex(match.group(1).replace('\\x', '')))
            return f'"{len(strings) - 1}"'

        match = _LINE.match(_STRING.sub(keep, line))
        if match:
            self._raw = (*match.groups(), strings)

    def _finish(self):
        if self._raw is None:
            return
        name, text, result_text, strings = self._raw
        frames, self._raw, self._frames = self._frames, None, []
        if name == 'rt_sigreturn':
            self._returned(result_text)
            return
        if name == 'restart_syscall' or (name in ('clone', 'clone3') and _is_thread(text)):
            return
        call = CANONICAL.get(name, name)
        arguments = _arguments(text)
        self._failed()
        result = _result(result_text)
        if result is None and call != 'exit':
            if 'ERESTART' not in result_text:
                return
            result = 'EINTR'
        made = self._make(name, call, arguments, strings, 0 if call == 'exit' else result, result_text, text, frames)
        if result == 'EINTR':
            self._failing = made
            self._restarts = 'ERESTART' in result_text
        else:
            self.calls.append(made)

    def _failed(self):
        """No signal follows a call that failed with EINTR: it did, unless the kernel is to call again."""
        if self._failing is not None and not self._restarts:
            self.calls.append(self._failing)
        self._failing = None

    def _make(self, name, call, arguments, strings, result, result_text, text, frames):
        origin, depth, entry = origin_of(frames, name, self._libc_names)
        if self._broken and depth == len(frames):
            origin, entry = UNKNOWN, ()  # who called libc is not known
        fd = descriptor(call, _number(arguments[FD_ARGUMENT.get(call, 0)]))
        if fd is not None and fd > 0x7fffffff:
            fd = None  # a negative int that the kernel was given as unsigned
        payload = _payload(call, arguments, strings, result) if call in MOVES else None
        if call in ADDRESSES:
            payload = _address(arguments[1], strings, result)
        if call in WAITS:
            payload = ready_text(_ready(call, arguments, result_text, result))
        # The hook of recv promises a recvfrom; what libc does inside getaddrinfo, below that hook, nobody promised.
        hooks = [_hook_name(symbol) for path, symbol, _ in frames[depth:] if _kind(path) == 'shim']
        expected = origin == HOOK and (depth <= 1 or any(self._hooks.get(name) == call for name in (*entry, *hooks)))
        return Call(self._tid, call, fd, _detail(call, arguments), result, payload, origin, entry, expected,
                    _words(name, text, strings, result_text, frames))

    def _returned(self, result_text):
        """A handler returned. With -1 EINTR the call that its signal interrupted failed with EINTR for the program."""
        if 'EINTR' not in result_text:
            if self._interrupted:
                self._interrupted.pop()
            return
        while self._interrupted:
            call = self._interrupted.pop()
            if call is not None:
                self.calls.append(call)
                return


def _is_thread(text):
    flags = re.search(r'flags=(0x[0-9a-f]+)', text)
    return bool(flags) and int(flags.group(1), 16) & _CLONE_THREAD != 0


def _result(text):
    """What was returned: a number, an error's name, or None for a call that did not return."""
    if text.startswith('?'):
        return None
    error = re.match(r'-1 (E\w+)', text)
    return error.group(1) if error else _number(text)


def _words(name, text, strings, result_text, frames):
    """The call for people: strings shortened, and the two frames that show whose it is."""
    shown = re.sub(r'"(\d+)"', lambda match: repr(strings[int(match.group(1))][:24])[1:] +
                   ('…' if len(strings[int(match.group(1))]) > 24 else ''), text)
    stack = ' < '.join(f'{path.rsplit("/", 1)[-1]}({symbol[:48]})' for path, symbol, _ in frames[:4])
    return f'{name}({shown[:160]}) = {result_text[:40]}   [{stack}]'


def read_folder(folder, prefix, libc_names=None, hooks=None):
    """All threads' calls of the logs FOLDER/PREFIX.TID, tid → calls in their order.

    strace's own exec of the program, the first call of its first thread, is left out.
    """
    logs = {int(path.name.rsplit('.', 1)[1]): path for path in pathlib.Path(folder).glob(f'{prefix}.*')}
    threads = {}
    for tid, path in logs.items():
        with open(path, encoding='ascii', errors='replace') as lines:
            calls = ThreadLog(tid, libc_names, hooks).read(lines)
        if tid == min(logs) and calls and calls[0].call == 'execve':
            del calls[0]
        threads[tid] = calls
    return threads
