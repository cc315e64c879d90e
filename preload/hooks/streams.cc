// SPDX-License-Identifier: Apache-2.0
//
// The lives of stdio's descriptors: fopen, fdopen, freopen, fclose, tmpfile, popen, pclose. What streams read and write
// happens inside libc and is not seen here.
//
// A stream's number is asked after the call that made it, and before the one that ends it.

#include <stdio.h>
#include <sys/stat.h>

#include "preload/hooks/lent_environment.h"
#include "preload/hooks/made.h"
#include "preload/poison.h"

namespace socktale {
namespace {

// -1 when the stream has none (fmemopen), or is null. errno stays.
int NumberOf(FILE* stream) {
  if (stream == nullptr) return -1;
  const int saved = errno;
  const int fd = ::fileno(stream);
  errno = saved;
  return fd;
}

// The O_* flags that a stream's mode stands for (fopen(3)). libc has read it by the time this is called.
int FlagsOf(const char* mode) {
  int flags = 0;
  switch (*mode) {
    case 'r':
      break;
    case 'w':
      flags = O_WRONLY | O_CREAT | O_TRUNC;
      break;
    case 'a':
      flags = O_WRONLY | O_CREAT | O_APPEND;
      break;
    default:
      return 0;  // libc refuses it
  }
  for (++mode; *mode != '\0' && *mode != ','; ++mode) {
    if (*mode == '+') flags = (flags & ~O_ACCMODE) | O_RDWR;
    if (*mode == 'x') flags |= O_EXCL;
    if (*mode == 'e') flags |= O_CLOEXEC;
  }
  return flags;
}

// fd: of the stream, -1 when the call failed.
void RecordStream(const CallScope& call, int fd, const char* path, const char* mode) {
  if (!call.recording()) return;
  const int flags = FlagsOf(mode);
  EventHead head = call.Head(fd);
  head.fd = fd;
  head.flags = static_cast<uint32_t>(flags);
  RecordMaking(head, {.fd = fd,
                      .kind = fd >= 0 ? KindOfOpened(fd) : 0,
                      .close_on_exec = (flags & O_CLOEXEC) != 0,
                      .path = PathOf(call, fd, path)});
}

template <typename Function>
FILE* Fopen(Hook hook, Function& slot, const char* path, const char* mode) {
  CallScope call(hook);
  FILE* const stream = call.Real(slot, path, mode);
  RecordStream(call, NumberOf(stream), path, mode);
  return stream;
}

template <typename Function>
FILE* Fdopen(Hook hook, Function& slot, int fd, const char* mode) {
  CallScope call(hook, fd);
  FILE* const stream = call.Real(slot, fd, mode);
  if (call.recording()) {
    EventHead head = call.Head(NumberOf(stream));
    head.flags = static_cast<uint32_t>(FlagsOf(mode));
    call.Write(head);
  }
  return stream;
}

// path: null: the same file with another mode.
template <typename Function>
FILE* Freopen(Hook hook, Function& slot, const char* path, const char* mode, FILE* stream) {
  const int old = NumberOf(stream);
  CallScope call(hook, old, CallScope::kUnseen);
  const Ending ending(call, old);
  FILE* const result = call.Real(slot, path, mode, stream);
  if (!call.recording()) return result;
  const int fd = NumberOf(result);
  const int flags = FlagsOf(mode);
  EventHead head = call.Head(fd);
  head.flags = static_cast<uint32_t>(flags);
  RecordMaking(head, {.fd = fd,
                      .kind = fd >= 0 ? KindOfOpened(fd) : 0,
                      .close_on_exec = (flags & O_CLOEXEC) != 0,
                      .path = path == nullptr ? ByteSpan() : PathOf(call, fd, path)});
  return result;
}

template <typename Function>
int Fclose(Hook hook, Function& slot, FILE* stream) {
  const int fd = NumberOf(stream);
  CallScope call(hook, fd, CallScope::kUnseen);
  const Ending ending(call, fd);
  const int result = call.Real(slot, stream);  // EOF also when the last bytes could not be written: it is closed then
  if (call.recording() && fd >= 0) call.Write(call.Head(result));
  if (call.recording() && fd < 0) call.Leave();
  return result;
}

template <typename Function>
FILE* Tmpfile(Hook hook, Function& slot) {
  CallScope call(hook);
  FILE* const stream = call.Real(slot);
  RecordMade(call, NumberOf(stream), field::DESCRIPTOR_KIND_FILE, O_RDWR | O_CREAT | O_EXCL, false);
  return stream;
}

constexpr size_t kMaxCommand = 2048;  // bytes of a command that are kept

// command: the shell has been started with it when the stream is there; null then means that it got none.
template <typename Function>
FILE* Popen(Hook hook, Function& slot, const char* command, const char* mode) {
  CallScope call(hook);
  const LentEnvironment lent;
  FILE* const stream = call.Real(slot, command, mode);
  lent.TakeBack();
  if (!call.recording()) return stream;
  const int fd = NumberOf(stream);
  EventHead head = call.Head(fd);
  head.fd = fd;
  struct stat status = {};
  size_t size = 0;
  bool close_on_exec = false;
  if (fd >= 0) {
    fds::Made(fd, fds::EntryFor(field::DESCRIPTOR_KIND_PIPE));
    RawSyscall(SYS_fstat, fd, RawPointer(&status));  // the inode: the child's end is known by it
    size = command == nullptr ? 0 : strnlen(command, kMaxCommand);
    for (const char* c = mode; *c != '\0'; ++c) {
      if (*c == 'w') head.flags |= O_WRONLY;
      if (*c == 'e') close_on_exec = true;
    }
    if (close_on_exec) head.flags |= O_CLOEXEC;
  }
  EventWriter event(head, 3 * wire::kMaxNumberField + wire::kMaxBytesOverhead + size);
  if (!event.ok()) return stream;
  event.tail().Uint<field::event::kInode>(status.st_ino);
  event.tail().Bytes<field::event::kPath>(command, size);
  event.tail().Uint<field::event::kKind>(fd >= 0 ? uint32_t{field::DESCRIPTOR_KIND_PIPE} : 0);
  event.tail().Uint<field::event::kCloseOnExec>(close_on_exec);
  event.Commit();
  return stream;
}

}  // namespace

INTERPOSE FILE* fopen(const char* __restrict path, const char* __restrict mode) {
  return Fopen(Hook::fopen, real.fopen, path, mode);
}
INTERPOSE FILE* fopen64(const char* __restrict path, const char* __restrict mode) {
  return Fopen(Hook::fopen64, real.fopen64, path, mode);
}
INTERPOSE FILE* _IO_fopen(const char* path, const char* mode) {
  return Fopen(Hook::_IO_fopen, real._IO_fopen, path, mode);
}

INTERPOSE FILE* fdopen(int fd, const char* mode) noexcept { return Fdopen(Hook::fdopen, real.fdopen, fd, mode); }
INTERPOSE FILE* _IO_fdopen(int fd, const char* mode) { return Fdopen(Hook::_IO_fdopen, real._IO_fdopen, fd, mode); }

INTERPOSE FILE* freopen(const char* __restrict path, const char* __restrict mode, FILE* __restrict stream) {
  return Freopen(Hook::freopen, real.freopen, path, mode, stream);
}
INTERPOSE FILE* freopen64(const char* __restrict path, const char* __restrict mode, FILE* __restrict stream) {
  return Freopen(Hook::freopen64, real.freopen64, path, mode, stream);
}

INTERPOSE int fclose(FILE* stream) { return Fclose(Hook::fclose, real.fclose, stream); }
INTERPOSE int _IO_fclose(FILE* stream) { return Fclose(Hook::_IO_fclose, real._IO_fclose, stream); }

INTERPOSE FILE* tmpfile() { return Tmpfile(Hook::tmpfile, real.tmpfile); }
INTERPOSE FILE* tmpfile64() { return Tmpfile(Hook::tmpfile64, real.tmpfile64); }

INTERPOSE FILE* popen(const char* command, const char* mode) { return Popen(Hook::popen, real.popen, command, mode); }
INTERPOSE FILE* _IO_popen(const char* command, const char* mode) {
  return Popen(Hook::_IO_popen, real._IO_popen, command, mode);
}

INTERPOSE int pclose(FILE* stream) { return Fclose(Hook::pclose, real.pclose, stream); }

}  // namespace socktale
