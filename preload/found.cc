// SPDX-License-Identifier: Apache-2.0

#include "preload/found.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "preload/arena_writer.h"
#include "preload/fd_table.h"
#include "preload/poison.h"
#include "preload/raw_syscall.h"
#include "preload/socket_facts.h"

namespace socktale {
namespace {

constexpr size_t kMaxName = 1024;  // bytes of a found descriptor's path that are kept

struct AnonymousKind {
  const char* name;
  uint32_t kind;
};
constexpr AnonymousKind kAnonymousKinds[] = {
    {"anon_inode:[eventpoll]", field::DESCRIPTOR_KIND_EPOLL},
    {"anon_inode:[eventfd]", field::DESCRIPTOR_KIND_EVENTFD},
    {"anon_inode:[timerfd]", field::DESCRIPTOR_KIND_TIMERFD},
    {"anon_inode:[signalfd]", field::DESCRIPTOR_KIND_SIGNALFD},
    {"anon_inode:inotify", field::DESCRIPTOR_KIND_INOTIFY},
    {"anon_inode:[pidfd]", field::DESCRIPTOR_KIND_PIDFD},
    {"pidfd:", field::DESCRIPTOR_KIND_PIDFD},  // since Linux 6.9
};

bool StartsWith(const char* text, size_t size, const char* prefix) {
  const size_t length = strlen(prefix);
  return size >= length && memcmp(text, prefix, length) == 0;
}

// What /proc calls the descriptor; 0 without /proc.
size_t ReadName(int fd, char* name, size_t capacity) {
  const DescriptorLink link(fd);
  const long size =
      RawSyscall(SYS_readlinkat, AT_FDCWD, RawPointer(link.text), RawPointer(name), static_cast<long>(capacity));
  return size > 0 ? static_cast<size_t>(size) : 0;
}

uint32_t KindOf(const struct stat& status, const char* name, size_t name_size) {
  switch (status.st_mode & S_IFMT) {
    case S_IFSOCK:
      return field::DESCRIPTOR_KIND_SOCKET;
    case S_IFREG:
      // (A file in a real directory called memfd: shows as such; nothing depends on the difference.)
      return StartsWith(name, name_size, "/memfd:") ? field::DESCRIPTOR_KIND_MEMFD : field::DESCRIPTOR_KIND_FILE;
    case S_IFDIR:
      return field::DESCRIPTOR_KIND_DIRECTORY;
    case S_IFIFO:
      return field::DESCRIPTOR_KIND_PIPE;
    case S_IFCHR:
      return field::DESCRIPTOR_KIND_CHARACTER_DEVICE;
    case S_IFBLK:
      return field::DESCRIPTOR_KIND_BLOCK_DEVICE;
    default:
      break;
  }
  for (const AnonymousKind& known : kAnonymousKinds) {
    if (StartsWith(name, name_size, known.name)) return known.kind;
  }
  return field::DESCRIPTOR_KIND_OTHER;
}

EventHead FoundHead(int fd) {
  EventHead head;
  head.call = field::CALL_FOUND;
  head.fd = fd;
  head.start_ns = head.end_ns = Now();
  return head;
}

// Fields 49 and 50.
void WriteFlags(int fd, wire::Writer& tail) {
  const long descriptor_flags = RawSyscall(SYS_fcntl, fd, F_GETFD);
  const long status_flags = RawSyscall(SYS_fcntl, fd, F_GETFL);
  tail.Uint<field::event::kCloseOnExec>(descriptor_flags > 0 && (descriptor_flags & FD_CLOEXEC) != 0);
  tail.Uint<field::event::kStatusFlags>(status_flags > 0 ? static_cast<uint32_t>(status_flags) : 0);
}

uint8_t WriteFoundSocket(int fd, const struct stat& status) {
  const int domain = AskSocketInt(fd, SO_DOMAIN);
  const int type = AskSocketInt(fd, SO_TYPE);
  const int protocol = AskSocketInt(fd, SO_PROTOCOL);
  const bool listening = AskSocketInt(fd, SO_ACCEPTCONN) != 0;
  SocketAddress local;
  SocketAddress peer;
  AskLocalName(fd, local);
  if (!listening) AskPeerName(fd, peer);
  const uint32_t peer_pid = domain == AF_UNIX && !listening ? AskPeerPid(fd) : 0;
  const uint64_t cookie = SocketCookie(fd);

  const EventHead head = FoundHead(fd);
  uint8_t entry = fds::EntryForSocket(domain, type, protocol);
  if (local.size > 0 && (entry & fds::kAskName) != 0) entry = static_cast<uint8_t>(entry & ~fds::kAskName);
  EventWriter event(head, 10 * wire::kMaxNumberField + 2 * wire::kMaxBytesOverhead + local.size + peer.size);
  if (!event.ok()) return entry;
  wire::Writer& tail = event.tail();
  tail.Uint<field::event::kSocketId>(cookie);
  tail.Uint<field::event::kInode>(status.st_ino);
  tail.Bytes<field::event::kLocalAddress>(local.bytes, local.size);
  tail.Uint<field::event::kDomain>(static_cast<uint32_t>(domain));
  tail.Uint<field::event::kType>(static_cast<uint32_t>(type));
  tail.Uint<field::event::kProtocol>(static_cast<uint32_t>(protocol));
  tail.Uint<field::event::kKind>(field::DESCRIPTOR_KIND_SOCKET);
  tail.Uint<field::event::kPeerPid>(peer_pid);
  tail.Bytes<field::event::kPeerAddress>(peer.bytes, peer.size);
  tail.Uint<field::event::kListening>(listening);
  WriteFlags(fd, tail);
  event.Commit();
  return entry;
}

}  // namespace

DescriptorLink::DescriptorLink(int fd) {
  constexpr char kPrefix[] = "/proc/self/fd/";
  memcpy(text, kPrefix, sizeof kPrefix - 1);
  char digits[10];
  size_t count = 0;
  for (unsigned left = static_cast<unsigned>(fd); count == 0 || left != 0; left /= 10) {
    digits[count++] = static_cast<char>('0' + left % 10);
  }
  size_t at = sizeof kPrefix - 1;
  while (count > 0) text[at++] = digits[--count];
  text[at] = '\0';
}

uint32_t AskKind(int fd, const struct stat& status) {
  char name[32];
  const bool anonymous = (status.st_mode & S_IFMT) == 0;
  return KindOf(status, name, anonymous ? ReadName(fd, name, sizeof name) : 0);
}

uint8_t WriteFound(int fd, const struct stat& status) {
  if (S_ISSOCK(status.st_mode)) return WriteFoundSocket(fd, status);
  char name[kMaxName];
  const size_t name_size = ReadName(fd, name, sizeof name);
  const uint32_t kind = KindOf(status, name, name_size);
  const EventHead head = FoundHead(fd);
  EventWriter event(head, 4 * wire::kMaxNumberField + wire::kMaxBytesOverhead + name_size);
  if (event.ok()) {
    wire::Writer& tail = event.tail();
    tail.Uint<field::event::kInode>(status.st_ino);
    tail.Bytes<field::event::kPath>(name, name_size);
    tail.Uint<field::event::kKind>(kind);
    WriteFlags(fd, tail);
    event.Commit();
  }
  return fds::EntryFor(kind);
}

void FindAll() {
  const long directory =
      RawSyscall(SYS_openat, AT_FDCWD, RawPointer("/proc/self/fd"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  alignas(dirent64) char buffer[2048];
  for (;;) {
    const long size = RawSyscall(SYS_getdents64, directory, RawPointer(buffer), sizeof buffer);
    if (size <= 0) break;
    for (long at = 0; at < size;) {
      const auto* const entry = reinterpret_cast<const dirent64*>(buffer + at);
      at += entry->d_reclen;
      int fd = 0;
      const char* digit = entry->d_name;
      for (; *digit >= '0' && *digit <= '9'; ++digit) fd = fd * 10 + (*digit - '0');
      if (digit == entry->d_name || *digit != '\0' || fd == directory) continue;
      struct stat status;
      if (RawSyscall(SYS_fstat, fd, RawPointer(&status)) != 0) continue;
      fds::Made(fd, WriteFound(fd, status));
    }
  }
  RawSyscall(SYS_close, directory);
}

}  // namespace socktale
