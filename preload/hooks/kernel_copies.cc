// SPDX-License-Identifier: Apache-2.0
//
// Bytes that the kernel moves from one descriptor to another: splice, tee, vmsplice, copy_file_range, and sendfile.
// They never lie in the program's memory (but vmsplice's). What came from a regular file is read back from it; the rest
// is counted.

#include <sys/stat.h>

#include "preload/hooks/transfer.h"
#include "preload/poison.h"

namespace socktale {
namespace {

// Where a call began to read `moved` bytes, if they can be read again: `in` is a regular file. offset: the caller's,
// which the call has moved on, or null: the file's own position was moved.
bool RangeInFile(int in, const off_t* offset, size_t moved, uint64_t& begin) {
  struct stat status;
  if (RawSyscall(SYS_fstat, in, RawPointer(&status)) != 0 || !S_ISREG(status.st_mode)) return false;
  const long end = offset != nullptr ? *offset : RawSyscall(SYS_lseek, in, 0, SEEK_CUR);
  if (end < static_cast<long>(moved)) return false;
  begin = static_cast<uint64_t>(end) - moved;
  return true;
}

// call.fd() is where the bytes went.
ssize_t RecordCopied(const CallScope& call, ssize_t result, int in, const off_t* offset, size_t size, unsigned flags) {
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  head.size = size;
  head.new_fd = in;
  uint64_t begin = 0;
  if (result > 0 && RangeInFile(in, offset, Moved(result), begin)) {
    SetSent(head, {.file = in, .offset = begin}, Moved(result), 0);
    head.notes |= field::EVENT_NOTE_READ_BACK;
  } else if (result > 0) {
    head.moved = Moved(result);
    head.notes |= field::EVENT_NOTE_NOT_SEEN;
  }
  head.flags = flags;
  EventWriter event(head, wire::kMaxNumberField);
  if (event.ok()) {
    event.tail().Uint<field::event::kOffset>(begin);
    event.Commit();
  }
  return result;
}

// Whether vmsplice on `fd` fills the pipe; else it empties it into the program's memory.
bool IsWriteEnd(int fd) {
  const long flags = RawSyscall(SYS_fcntl, fd, F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

}  // namespace

static_assert(sizeof(off_t) == sizeof(off64_t));

INTERPOSE ssize_t sendfile(int out, int in, off_t* offset, size_t count) noexcept {
  CallScope call(Hook::sendfile, out, in, CallScope::kEither);  // (from a socket to a pipe, since Linux 5.12)
  return RecordCopied(call, call.Real(real.sendfile, out, in, offset, count), in, offset, count, 0);
}

INTERPOSE ssize_t sendfile64(int out, int in, off64_t* offset, size_t count) noexcept {
  CallScope call(Hook::sendfile64, out, in, CallScope::kEither);
  return RecordCopied(call, call.Real(real.sendfile64, out, in, offset, count), in, offset, count, 0);
}

INTERPOSE ssize_t splice(int in, off64_t* in_offset, int out, off64_t* out_offset, size_t size, unsigned flags) {
  CallScope call(Hook::splice, out, in, CallScope::kEither);
  const ssize_t result = call.Real(real.splice, in, in_offset, out, out_offset, size, flags);
  return RecordCopied(call, result, in, in_offset, size, flags);
}

INTERPOSE ssize_t tee(int in, int out, size_t size, unsigned flags) {
  CallScope call(Hook::tee, out, in, CallScope::kEither);
  return RecordCopied(call, call.Real(real.tee, in, out, size, flags), in, nullptr, size, flags);
}

INTERPOSE ssize_t copy_file_range(int in, off64_t* in_offset, int out, off64_t* out_offset, size_t size,
                                  unsigned flags) {
  CallScope call(Hook::copy_file_range, out, in, CallScope::kEither);
  const ssize_t result = call.Real(real.copy_file_range, in, in_offset, out, out_offset, size, flags);
  return RecordCopied(call, result, in, in_offset, size, flags);
}

INTERPOSE ssize_t vmsplice(int fd, const iovec* parts, size_t count, unsigned flags) {
  CallScope call(Hook::vmsplice, fd, Record::kByDescriptor);
  const ssize_t result = call.Real(real.vmsplice, fd, parts, count, flags);
  if (!call.recording()) return result;
  EventHead head = call.Head(result);
  if (result >= 0) head.size = PartsSize(parts, count);
  if (IsWriteEnd(fd)) {
    SetSent(head, {.parts = parts}, Moved(result), 0);
  } else {
    SetReceived(head, {.parts = parts}, Moved(result), 0);
  }
  head.flags = flags;
  call.Write(head);
  return result;
}

}  // namespace socktale
