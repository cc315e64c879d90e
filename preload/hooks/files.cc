// SPDX-License-Identifier: Apache-2.0
//
// Descriptors made by other names than open(): temporary files, shared memory, message queues, terminals, directories,
// mounts.

#include <dirent.h>
#include <mqueue.h>
#include <pty.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <utmp.h>

#include "preload/hooks/made.h"
#include "preload/poison.h"

namespace socktale {
namespace {

constexpr uint32_t kFile = field::DESCRIPTOR_KIND_FILE;

// ---- Temporary files -------------------------------------------------------------------------------------------

// name: the template, which libc has filled in when it made the file.
int RecordTemporary(const CallScope& call, int result, const char* name, int flags) {
  const ByteSpan made = call.recording() && result >= 0 ? ByteSpan{name, strnlen(name, PATH_MAX)} : ByteSpan();
  return RecordMade(call, result, kFile, flags, (flags & O_CLOEXEC) != 0, made);
}

// ---- Directories -----------------------------------------------------------------------------------------------

int NumberOf(DIR* directory) { return directory == nullptr ? -1 : ::dirfd(directory); }

// ---- Relative to a descriptor ----------------------------------------------------------------------------------

// As openat: fd is where the call looked, result the new descriptor.
int RecordMadeAt(const CallScope& call, int result, unsigned flags, bool close_on_exec, ByteSpan path) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.flags = flags;
  RecordMaking(head, {.fd = result, .kind = kFile, .close_on_exec = close_on_exec, .path = path});
  return result;
}

// The mount calls' own flags for close-on-exec.
constexpr unsigned kFsCloseOnExec = 1;  // FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC, FSPICK_CLOEXEC
constexpr unsigned kOpenTreeCloseOnExec = O_CLOEXEC;

}  // namespace

#define TEMPORARY_HOOK(symbol, flags, parameters, ...)                              \
  INTERPOSE int symbol parameters {                                                 \
    CallScope call(Hook::symbol);                                                   \
    return RecordTemporary(call, call.Real(real.symbol, __VA_ARGS__), name, flags); \
  }
TEMPORARY_HOOK(mkstemp, 0, (char* name), name)
TEMPORARY_HOOK(mkstemp64, 0, (char* name), name)
TEMPORARY_HOOK(mkostemp, flags, (char* name, int flags), name, flags)
TEMPORARY_HOOK(mkostemp64, flags, (char* name, int flags), name, flags)
TEMPORARY_HOOK(mkstemps, 0, (char* name, int suffix), name, suffix)
TEMPORARY_HOOK(mkstemps64, 0, (char* name, int suffix), name, suffix)
TEMPORARY_HOOK(mkostemps, flags, (char* name, int suffix, int flags), name, suffix, flags)
TEMPORARY_HOOK(mkostemps64, flags, (char* name, int suffix, int flags), name, suffix, flags)

// libc looks at the name before the kernel does, and refuses bad ones with EINVAL.
INTERPOSE int shm_open(const char* name, int flags, mode_t mode) {
  CallScope call(Hook::shm_open);
  const int result = call.Real(real.shm_open, name, flags, mode);
  return RecordMade(call, result, kFile, flags, true, PathOf(call, result, name));
}

#define MQ_OPEN_HOOK(symbol)                                                         \
  INTERPOSE mqd_t symbol(const char* name, int flags, ...) noexcept {                \
    mode_t mode = 0;                                                                 \
    mq_attr* attributes = nullptr;                                                   \
    if ((flags & O_CREAT) != 0) {                                                    \
      va_list arguments;                                                             \
      va_start(arguments, flags);                                                    \
      mode = va_arg(arguments, mode_t);                                              \
      attributes = va_arg(arguments, mq_attr*);                                      \
      va_end(arguments);                                                             \
    }                                                                                \
    CallScope call(Hook::symbol);                                                    \
    const mqd_t result = call.Real(real.symbol, name, flags, mode, attributes);      \
    return RecordMade(call, result, kFile, flags, true, PathOf(call, result, name)); \
  }
MQ_OPEN_HOOK(mq_open)

INTERPOSE mqd_t __mq_open_2(const char* name, int flags) {
  CallScope call(Hook::__mq_open_2);
  const mqd_t result = call.Real(real.__mq_open_2, name, flags);
  return RecordMade(call, result, kFile, flags, true, PathOf(call, result, name));
}

INTERPOSE int mq_close(mqd_t queue) noexcept {
  CallScope call(Hook::mq_close, queue, CallScope::kUnseen);
  const Ending ending(call, queue);
  const int result = call.Real(real.mq_close, queue);
  if (call.recording()) {
    if (result != 0 && errno == EBADF) ending.NotClosed();
    call.Write(call.Head(result));
  }
  return result;
}

// ---- Terminals -------------------------------------------------------------------------------------------------

INTERPOSE int posix_openpt(int flags) {
  CallScope call(Hook::posix_openpt);
  const int result = call.Real(real.posix_openpt, flags);
  return RecordMade(call, result, field::DESCRIPTOR_KIND_CHARACTER_DEVICE, flags, (flags & O_CLOEXEC) != 0);
}

INTERPOSE int getpt() {
  CallScope call(Hook::getpt);
  return RecordMade(call, call.Real(real.getpt), field::DESCRIPTOR_KIND_CHARACTER_DEVICE, O_RDWR, false);
}

INTERPOSE int openpty(int* master, int* slave, char* name, const termios* settings, const winsize* size) noexcept {
  CallScope call(Hook::openpty);
  const int result = call.Real(real.openpty, master, slave, name, settings, size);
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.fd = -1;
  if (result == 0) {
    head.fd = *master;
    head.new_fd = *slave;
    fds::Made(*slave, fds::EntryFor(field::DESCRIPTOR_KIND_CHARACTER_DEVICE));
  }
  RecordMaking(head, {.fd = head.fd, .kind = field::DESCRIPTOR_KIND_CHARACTER_DEVICE});
  return result;
}

INTERPOSE int login_tty(int fd) noexcept {
  CallScope call(Hook::login_tty, fd);
  const uint8_t terminal = fds::Get(fd);
  if (call.recording()) fds::GoneRange(0, 2);
  const Ending ending(call, fd > 2 ? fd : -1);
  const int result = call.Real(real.login_tty, fd);
  if (!call.recording()) return result;
  if (result != 0) ending.NotClosed();
  for (int i = 0; result == 0 && i <= 2; ++i) fds::Made(i, terminal);
  call.Write(call.Head(result));
  return result;
}

// ---- Directories -----------------------------------------------------------------------------------------------

INTERPOSE DIR* opendir(const char* path) {
  CallScope call(Hook::opendir);
  DIR* const directory = call.Real(real.opendir, path);
  const int fd = NumberOf(directory);
  RecordMade(call, fd, field::DESCRIPTOR_KIND_DIRECTORY, 0, true, PathOf(call, fd, path));
  return directory;
}

INTERPOSE DIR* fdopendir(int fd) {
  CallScope call(Hook::fdopendir, fd);
  DIR* const directory = call.Real(real.fdopendir, fd);
  if (call.recording()) call.Write(call.Head(NumberOf(directory)));
  return directory;
}

INTERPOSE int closedir(DIR* directory) {
  const int fd = NumberOf(directory);
  CallScope call(Hook::closedir, fd, CallScope::kUnseen);
  const Ending ending(call, fd);
  const int result = call.Real(real.closedir, directory);
  if (call.recording()) call.Write(call.Head(result));
  return result;
}

// ---- Files by handle, and mounts -------------------------------------------------------------------------------

INTERPOSE int open_by_handle_at(int mount, file_handle* handle, int flags) {
  CallScope call(Hook::open_by_handle_at, mount, CallScope::kUnseen);
  const int result = call.Real(real.open_by_handle_at, mount, handle, flags);
  return RecordMadeAt(call, result, static_cast<unsigned>(flags), (flags & O_CLOEXEC) != 0, {});
}

INTERPOSE int open_tree(int directory, const char* path, unsigned flags) noexcept {
  CallScope call(Hook::open_tree, directory, CallScope::kUnseen);
  const int result = call.Real(real.open_tree, directory, path, flags);
  return RecordMadeAt(call, result, flags, (flags & kOpenTreeCloseOnExec) != 0, PathOf(call, result, path));
}

INTERPOSE int fsopen(const char* type, unsigned flags) noexcept {
  CallScope call(Hook::fsopen);
  const int result = call.Real(real.fsopen, type, flags);
  const ByteSpan name = result >= 0 ? PathOf(call, result, type) : ByteSpan();
  return RecordMade(call, result, field::DESCRIPTOR_KIND_OTHER, static_cast<int>(flags), (flags & kFsCloseOnExec) != 0,
                    name);
}

INTERPOSE int fsmount(int fd, unsigned flags, unsigned attributes) noexcept {
  CallScope call(Hook::fsmount, fd, CallScope::kUnseen);
  const int result = call.Real(real.fsmount, fd, flags, attributes);
  return RecordMadeAt(call, result, flags, (flags & kFsCloseOnExec) != 0, {});
}

INTERPOSE int fspick(int directory, const char* path, unsigned flags) noexcept {
  CallScope call(Hook::fspick, directory, CallScope::kUnseen);
  const int result = call.Real(real.fspick, directory, path, flags);
  return RecordMadeAt(call, result, flags, (flags & kFsCloseOnExec) != 0, PathOf(call, result, path));
}

}  // namespace socktale
