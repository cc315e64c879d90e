// SPDX-License-Identifier: Apache-2.0

#include "preload/attach.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "preload/arena_map.h"
#include "preload/arena_writer.h"
#include "preload/confining.h"
#include "preload/fd_table.h"
#include "preload/found.h"
#include "preload/poison.h"
#include "preload/raw_syscall.h"
#include "preload/real.h"

namespace socktale {

constinit std::atomic<uint32_t> process_mode{kModeInert};
constinit std::atomic<int32_t> living_vforks{0};

namespace {

constexpr uint64_t kServerPatienceNs = 2'000'000'000;  // for an answer from the collector's socket
constexpr size_t kMaxArgvBytes = 32 << 10;             // of CALL_ATTACHED
constexpr size_t kMaxArguments = 1024;

constinit char attach_entry[4096];  // "SOCKTALE_ATTACH=…"
constinit char shim_preload[PATH_MAX];

constinit std::atomic<uint64_t> calls_before_attach{0};
constinit std::atomic<uint32_t> lost_cause{abi::kDropFull};  // why process_mode is kModeCounting
constinit uint32_t own_pid = 0;

// (What the constructor calls here of libc's is little and plain: a program that has its own, like one built with
// ThreadSanitizer, may not have it ready so early.)

// ---- The environment -------------------------------------------------------------------------------------------

// SOCKTALE_ATTACH, taken apart; pointers into attach_entry.
struct Session {
  uint8_t token[16];
  const char* socket_name;
  size_t socket_name_size;
  const char* arena_path;
};

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// value: "1,<32 hex digits>,<abstract socket name>,<arena path>".
bool ParseSession(const char* value, Session& session) {
  if (value[0] != '1' || value[1] != ',') return false;
  value += 2;
  for (uint8_t& byte : session.token) {
    const int high = HexDigit(value[0]);
    const int low = high < 0 ? -1 : HexDigit(value[1]);
    if (low < 0) return false;
    byte = static_cast<uint8_t>(high << 4 | low);
    value += 2;
  }
  if (*value++ != ',') return false;
  const char* comma = value;
  while (*comma != ',' && *comma != '\0') ++comma;
  if (*comma == '\0') return false;
  session.socket_name = value;
  session.socket_name_size = static_cast<size_t>(comma - value);
  session.arena_path = comma + 1;
  return session.socket_name_size < sizeof(sockaddr_un::sun_path) && comma[1] != '\0';
}

// Keeps our entry of LD_PRELOAD's list (separated by colons or spaces), the one that names libsocktale.so.
void KeepShimEntry(const char* list) {
  constexpr char kName[] = "libsocktale.so";
  constexpr size_t kNameSize = sizeof kName - 1;
  const auto separates = [](char c) { return c == ':' || c == ' '; };
  while (*list != '\0') {
    size_t size = 0;
    while (list[size] != '\0' && !separates(list[size])) ++size;
    if (size >= kNameSize && size < sizeof shim_preload && memcmp(list + size - kNameSize, kName, kNameSize) == 0) {
      memcpy(shim_preload, list, size);  // ends with the zeros it is made of
      return;
    }
    list += size;
    while (separates(*list)) ++list;
  }
}

// Copies what belongs to the session out of the environment, once. False: there is no session.
bool ReadEnvironment(char** envp, Session& session) {
  constexpr size_t kNameSize = sizeof abi::kAttachVariable - 1;
  constexpr char kPreload[] = "LD_PRELOAD=";
  bool found = false;
  for (; envp != nullptr && *envp != nullptr; ++envp) {
    const char* const entry = *envp;
    if (strncmp(entry, abi::kAttachVariable, kNameSize) == 0 && entry[kNameSize] == '=') {
      size_t size = 0;
      while (size < sizeof attach_entry && entry[size] != '\0') ++size;
      if (size == sizeof attach_entry) return false;
      memcpy(attach_entry, entry, size + 1);
      found = ParseSession(attach_entry + kNameSize + 1, session);
    } else if (strncmp(entry, kPreload, sizeof kPreload - 1) == 0) {
      KeepShimEntry(entry + sizeof kPreload - 1);
    }
  }
  if (!found) attach_entry[0] = '\0';
  return found;
}

// ---- The arena -------------------------------------------------------------------------------------------------

bool MapByPath(const Session& session) {
  const long fd = RawSyscall(SYS_openat, AT_FDCWD, RawPointer(session.arena_path), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  const bool mapped = arena::Map(static_cast<int>(fd), session.token);
  RawSyscall(SYS_close, fd);
  return mapped;
}

// Waits until `socket` is ready for `events`, at most until `deadline_ns`.
bool WaitFor(int socket, short events, uint64_t deadline_ns) {
  for (;;) {
    const uint64_t now = Now();
    if (now >= deadline_ns) return false;
    const timespec left = {static_cast<time_t>((deadline_ns - now) / 1'000'000'000),
                           static_cast<long>((deadline_ns - now) % 1'000'000'000)};
    pollfd wait = {socket, events, 0};
    const long ready = RawSyscall(SYS_ppoll, RawPointer(&wait), 1, RawPointer(&left), 0, 8);
    if (ready > 0) return true;
    if (ready != -EINTR) return false;
  }
}

// The user in "socktale-<uid>-<hex>", whose collector the session is; -1: the name holds none.
int64_t OwnerOf(const Session& session) {
  constexpr char kPrefix[] = "socktale-";
  constexpr size_t kPrefixSize = sizeof kPrefix - 1;
  if (session.socket_name_size <= kPrefixSize || memcmp(session.socket_name, kPrefix, kPrefixSize) != 0) return -1;
  int64_t uid = 0;
  const char* at = session.socket_name + kPrefixSize;  // (a comma ends the name at the latest)
  if (*at < '0' || *at > '9') return -1;
  for (; *at >= '0' && *at <= '9'; ++at) {
    uid = uid * 10 + (*at - '0');
    if (uid > UINT32_MAX) return -1;
  }
  return *at == '-' ? uid : -1;
}

// Whether the token may be told to who listens on the socket. The name is free for anyone once a collector is gone.
bool IsTrusted(int socket, const Session& session) {
  ucred peer = {};
  socklen_t size = sizeof peer;
  if (RawSyscall(SYS_getsockopt, socket, SOL_SOCKET, SO_PEERCRED, RawPointer(&peer), RawPointer(&size)) != 0) {
    return false;
  }
  const int64_t uid = peer.uid;
  return uid == 0 || uid == OwnerOf(session) || uid == RawSyscall(SYS_getuid) || uid == RawSyscall(SYS_geteuid);
}

// Sends the request and receives the arena's descriptor. -1: refused, not trusted, or no answer.
int AskForArena(int socket, const Session& session, uint64_t deadline_ns) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path + 1, session.socket_name, session.socket_name_size);
  const long address_size = static_cast<long>(offsetof(sockaddr_un, sun_path) + 1 + session.socket_name_size);
  for (;;) {
    const long connected = RawSyscall(SYS_connect, socket, RawPointer(&address), address_size);
    if (connected == 0) break;
    // EAGAIN: the server's backlog is full, and poll does not tell when it is not.
    if ((connected != -EAGAIN && connected != -EINTR) || Now() >= deadline_ns) return -1;
    const timespec pause = {0, 1'000'000};
    RawSyscall(SYS_nanosleep, RawPointer(&pause), 0);
  }
  if (!IsTrusted(socket, session)) return -1;
  abi::AttachRequest request = {abi::kArenaMagic, {}};
  memcpy(request.token, session.token, sizeof request.token);
  if (RawSyscall(SYS_sendto, socket, RawPointer(&request), sizeof request, MSG_NOSIGNAL) != sizeof request) return -1;

  char answer = 0;
  iovec data = {&answer, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (!WaitFor(socket, POLLIN, deadline_ns) ||
      RawSyscall(SYS_recvmsg, socket, RawPointer(&message), MSG_CMSG_CLOEXEC) != 1) {
    return -1;
  }
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (answer != 1 || header == nullptr || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int))) {
    return -1;
  }
  int fd;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

// For programs that cannot see the arena's path any more: in a chroot, or as another user.
bool MapBySocket(const Session& session) {
  const long socket = RawSyscall(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return false;
  const int fd = AskForArena(static_cast<int>(socket), session, Now() + kServerPatienceNs);
  const bool mapped = fd >= 0 && arena::Map(fd, session.token);
  if (fd >= 0) RawSyscall(SYS_close, fd);
  RawSyscall(SYS_close, socket);
  return mapped;
}

// ---- This process ----------------------------------------------------------------------------------------------

uint64_t Inode(const char* path) {
  struct stat status;
  return RawSyscall(SYS_newfstatat, AT_FDCWD, RawPointer(path), RawPointer(&status), 0) == 0 ? status.st_ino : 0;
}

// Field 22 of /proc/self/stat, the start of the process in clock ticks; 0 without /proc.
uint64_t StartTicks() {
  const long fd = RawSyscall(SYS_openat, AT_FDCWD, RawPointer("/proc/self/stat"), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[1024];
  const long size = RawSyscall(SYS_read, fd, RawPointer(text), sizeof text);
  RawSyscall(SYS_close, fd);
  if (size <= 0) return 0;
  const char* const end = text + size;
  const char* at = end;
  while (at > text && at[-1] != ')') --at;  // the last one: the name may hold any
  for (int field_number = 2; field_number < 22; ++field_number) {
    while (at < end && *at != ' ') ++at;
    if (at < end) ++at;
  }
  uint64_t ticks = 0;
  for (; at < end && *at >= '0' && *at <= '9'; ++at) ticks = ticks * 10 + static_cast<uint64_t>(*at - '0');
  return ticks;
}

// Claims a process slot for a new image of this process; fills and publishes it. parent_image: of the fork; 0 at the
// start of a program, when `previous` is set to the image that this process executed this program from, or 0.
bool ClaimSlot(uint32_t parent_image, uint32_t& image, uint32_t& slot, uint32_t& previous) {
  abi::ProcessSlot self = {};
  self.pid = own_pid;
  self.start_ticks = StartTicks();
  self.pid_namespace = Inode("/proc/self/ns/pid");
  if (self.pid_namespace == 0 && parent_image != 0) self.pid_namespace = arena::slots[CurrentSlot()].pid_namespace;
  image = arena::header->next_image.fetch_add(1, std::memory_order_relaxed) + 1;
  // Slots are claimed lowest first, so those of older images lie below our number. A younger one may overtake us, and
  // take the slot that we are about to: so ours may lie behind that.
  abi::ProcessSlot* mine = nullptr;
  previous = 0;
  for (uint32_t i = 0; i < abi::kMaxProcesses && (i < image || mine == nullptr); ++i) {
    abi::ProcessSlot& candidate = arena::slots[i];
    uint32_t state = candidate.state.load(std::memory_order_acquire);
    if (state == abi::kSlotLive && parent_image == 0 && candidate.pid == self.pid && self.start_ticks != 0 &&
        candidate.start_ticks == self.start_ticks && candidate.pid_namespace == self.pid_namespace &&
        candidate.image > previous) {
      previous = candidate.image;
    }
    if (mine == nullptr && state == abi::kSlotFree &&
        candidate.state.compare_exchange_strong(state, abi::kSlotClaimed, std::memory_order_acquire)) {
      mine = &candidate;
      slot = i;
      if (parent_image != 0) break;
    }
  }
  if (mine == nullptr) return false;
  mine->image = image;
  mine->pid = self.pid;
  mine->parent_image = parent_image != 0 ? parent_image : previous;
  mine->start_ticks = self.start_ticks;
  mine->pid_namespace = self.pid_namespace;
  mine->drops.store(0, std::memory_order_relaxed);
  mine->state.store(abi::kSlotLive, std::memory_order_release);
  return true;
}

// ---- CALL_ATTACHED ---------------------------------------------------------------------------------------------

EventHead AttachedHead(uint64_t start_ns) {
  EventHead head;
  head.call = field::CALL_ATTACHED;
  head.start_ns = start_ns;
  head.end_ns = Now();
  return head;
}

// parent_pid: as the parent sees itself, for a child that cannot ask.
void WriteForked(uint64_t start_ns, uint32_t parent_pid, uint32_t parent_image, uint64_t pid_namespace) {
  const EventHead head = AttachedHead(start_ns);
  EventWriter event(head, 5 * wire::kMaxNumberField);
  if (!event.ok()) return;
  event.tail().Uint<field::event::kPid>(own_pid);
  event.tail().Uint<field::event::kReason>(field::ATTACH_REASON_FORK);
  const long parent = RawSyscall(SYS_getppid);
  event.tail().Uint<field::event::kParentPid>(parent >= 0 ? static_cast<uint64_t>(parent) : parent_pid);
  event.tail().Uint<field::event::kPidNamespace>(pid_namespace);  // the parent's call has its pid in another one
  event.tail().Uint<field::event::kParentProcess>(parent_image);
  event.Commit();
}

// argv: as the constructor got it: the kernel has copied it.
void WriteStarted(uint64_t start_ns, uint32_t previous, int argc, char** argv) {
  char path[1024];
  const long path_size =
      RawSyscall(SYS_readlinkat, AT_FDCWD, RawPointer("/proc/self/exe"), RawPointer(path), sizeof path);
  char cwd[1024];
  const long cwd_size = RawSyscall(SYS_getcwd, RawPointer(cwd), sizeof cwd);  // counts the NUL
  char name[16] = {};
  RawSyscall(SYS_prctl, PR_GET_NAME, RawPointer(name));
  rlimit limit = {};
  RawSyscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, RawPointer(&limit));

  size_t arguments = 0;
  size_t argument_bytes = 0;
  const size_t given = argc > 0 ? static_cast<size_t>(argc) : 0;
  for (; arguments < given && arguments < kMaxArguments && argv[arguments] != nullptr; ++arguments) {
    const size_t size = strlen(argv[arguments]) + wire::kMaxBytesOverhead;
    if (argument_bytes + size > kMaxArgvBytes) break;
    argument_bytes += size;
  }
  const EventHead head = AttachedHead(start_ns);
  EventWriter event(head, 8 * wire::kMaxNumberField + 3 * wire::kMaxBytesOverhead + sizeof path + sizeof cwd +
                              sizeof name + argument_bytes);
  if (!event.ok()) return;
  wire::Writer& tail = event.tail();
  tail.Bytes<field::event::kPath>(path, path_size > 0 ? static_cast<size_t>(path_size) : 0);
  tail.Uint<field::event::kPid>(own_pid);
  for (size_t i = 0; i < arguments; ++i) tail.Element<field::event::kArgv>(argv[i], strlen(argv[i]));
  tail.Uint<field::event::kReason>(previous != 0 ? field::ATTACH_REASON_EXEC : field::ATTACH_REASON_START);
  tail.Uint<field::event::kParentPid>(static_cast<uint64_t>(RawSyscall(SYS_getppid)));
  tail.Bytes<field::event::kCwd>(cwd, cwd_size > 1 ? static_cast<size_t>(cwd_size) - 1 : 0);
  tail.Uint<field::event::kNetworkNamespace>(Inode("/proc/self/ns/net"));
  tail.Uint<field::event::kPidNamespace>(Inode("/proc/self/ns/pid"));
  tail.Uint<field::event::kParentProcess>(previous);
  tail.Uint<field::event::kLimit>(limit.rlim_cur);
  tail.Uint<field::event::kUser>(static_cast<uint64_t>(RawSyscall(SYS_geteuid)));
  tail.Bytes<field::event::kName>(name, strlen(name));
  event.Commit();
}

void AttachAtStart(const Session& session, uint64_t start_ns, int argc, char** argv) {
  if (!MapByPath(session) && !MapBySocket(session)) {
    process_mode.store(kModeQuiet, std::memory_order_relaxed);  // nothing to count in
    return;
  }
  if (arena::header->collector_state.load(std::memory_order_relaxed) > abi::kCollectorRunning) {
    process_mode.store(kModeQuiet, std::memory_order_relaxed);
    return;
  }
  own_pid = static_cast<uint32_t>(RawSyscall(SYS_getpid));
  fds::Configure(arena::header->options, arena::header->payload_limit);
  uint32_t image = 0;
  uint32_t slot = 0;
  uint32_t previous = 0;
  if (!ClaimSlot(0, image, slot, previous)) return StopRecording(abi::kDropNoSlot);
  if (!BecomeWriter(image, slot)) return StopRecording(abi::kDropUnattached);
  const uint64_t missed = calls_before_attach.load(std::memory_order_relaxed);
  if (missed != 0) {
    arena::header->drops[abi::kDropUnattached].fetch_add(missed, std::memory_order_relaxed);
    arena::slots[slot].drops.fetch_add(missed, std::memory_order_relaxed);
  }
  process_mode.store(kModeRecording, std::memory_order_relaxed);
  WriteStarted(start_ns, previous, argc, argv);
  FindAll();
}

// Runs before the constructors of all other libraries (-z initfirst). The environment comes as an argument: environ
// itself is not set yet.
__attribute__((constructor)) void Start(int argc, char** argv, char** envp) {
  ResolveClock();
  const uint64_t start_ns = Now();
  ResolveAllReal();
  Session session;
  if (!ReadEnvironment(envp, session)) {
    process_mode.store(kModeQuiet, std::memory_order_relaxed);
    return;
  }
  AttachAtStart(session, start_ns, argc, argv);
}

}  // namespace

void StopRecording(uint32_t cause) {
  lost_cause.store(cause, std::memory_order_relaxed);
  process_mode.store(kModeCounting, std::memory_order_relaxed);
}

void ResumeRecording() {
  uint32_t counting = kModeCounting;
  process_mode.compare_exchange_strong(counting, kModeRecording, std::memory_order_relaxed);
}

void AttachAfterFork(uint64_t fork_start_ns) {
  if (!Recording() || !BeginAttachAfterFork()) return;
  confinement::ForgetVforkChild();
  const uint32_t parent_image = CurrentImage();
  const uint32_t parent_pid = own_pid;
  const long pid = RawSyscall(SYS_getpid);
  own_pid = pid > 0 ? static_cast<uint32_t>(pid) : confinement::ThreadNumber();  // it has but one thread
  living_vforks.store(0, std::memory_order_relaxed);  // other threads' children, which are not here
  if (ForkedAmidWriting()) {
    arena::CoverWithPrivateMemory();
    StopRecording(abi::kDropUnattached);
    GiveUpAttach();
    return;  // programs that this process executes attach again
  }
  if (own_pid == 0 || (pid < 0 && own_pid == parent_pid)) {  // as libc knows it, which was not told of this fork
    StopRecording(abi::kDropConfined);
    GiveUpAttach();
    return;
  }
  uint32_t image = 0;
  uint32_t slot = 0;
  uint32_t previous = 0;
  if (!ClaimSlot(parent_image, image, slot, previous)) {
    StopRecording(abi::kDropNoSlot);
    GiveUpAttach();
    return;
  }
  BecomeWriter(image, slot);
  WriteForked(fork_start_ns, parent_pid, parent_image, arena::slots[slot].pid_namespace);
}

void CountUnrecorded() {
  switch (process_mode.load(std::memory_order_relaxed)) {
    case kModeInert:
      calls_before_attach.fetch_add(1, std::memory_order_relaxed);
      return;
    case kModeRecording:  // a child of a fork in the midst of attaching, or a thread that cannot ask for its number
      arena::CountDrop(ThreadIsShared()        ? abi::kDropShared
                       : confinement::Active() ? abi::kDropConfined
                                               : abi::kDropUnattached,
                       0, CurrentSlot());
      return;
    case kModeCounting:
      arena::CountDrop(static_cast<abi::DropCause>(lost_cause.load(std::memory_order_relaxed)), 0, CurrentSlot());
      return;
    default:
      return;
  }
}

uint32_t VforkChildPid() {
  if (living_vforks.load(std::memory_order_relaxed) == 0) return 0;
  const long pid = RawSyscall(SYS_getpid);
  return pid > 0 && static_cast<uint32_t>(pid) != own_pid ? static_cast<uint32_t>(pid) : 0;
}

const char* AttachEntry() { return attach_entry; }
const char* ShimPreload() { return shim_preload; }

}  // namespace socktale
