// SPDX-License-Identifier: Apache-2.0
//
// What each call means for the state.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>

#include "collector/aggregate/address.h"
#include "collector/aggregate/machine.h"
#include "proto/call_families.h"

namespace socktale {
namespace {

constexpr size_t kMaxResolved = 1 << 16;  // names kept per process
constexpr size_t kMaxWatches = 1 << 16;   // descriptors kept per epoll
static_assert(SOCK_CLOEXEC == O_CLOEXEC && EPOLL_CLOEXEC == O_CLOEXEC && EFD_CLOEXEC == O_CLOEXEC &&
              TFD_CLOEXEC == O_CLOEXEC && SFD_CLOEXEC == O_CLOEXEC);

bool IsNumericHost(const std::string& host) {
  in_addr v4;
  in6_addr v6;
  return inet_pton(AF_INET, host.c_str(), &v4) == 1 || inet_pton(AF_INET6, host.c_str(), &v6) == 1;
}

// An option's value of type int; 0 when it is cut.
uint32_t IntValue(absl::string_view payload) {
  uint32_t value = 0;
  if (payload.size() >= sizeof(value)) std::memcpy(&value, payload.data(), sizeof(value));
  return value;
}

}  // namespace

void Machine::Ended(const ProcessEnd& end) {
  ends_.insert(std::upper_bound(ends_.begin(), ends_.end(), end,
                                [](const ProcessEnd& a, const ProcessEnd& b) { return a.end_ns < b.end_ns; }),
               end);
}

bool Machine::Apply(Pending& pending, uint64_t horizon_ns, size_t most) {
  EventView event;
  const EventView nothing;
  size_t ended = 0;
  bool more = false;
  for (size_t applied = 0;; ++applied) {
    const Record* const record = pending.First();
    if (record == nullptr || record->key_ns >= horizon_ns) break;
    more = applied >= most;
    if (more) break;
    if (streams_.size() < pending.streams().size()) streams_.resize(pending.streams().size());
    while (ended < ends_.size() && ends_[ended].end_ns < record->key_ns) Apply(ends_[ended++]);
    const bool has_rest = Pending::Rest(*record, event);
    Apply(*record, has_rest ? event : nothing, pending.streams()[record->stream], streams_[record->stream]);
    pending.DropFirst();
  }
  while (!more && ended < ends_.size() && (ends_[ended].end_ns < horizon_ns || horizon_ns == UINT64_MAX)) {
    Apply(ends_[ended++]);
  }
  ends_.erase(ends_.begin(), ends_.begin() + static_cast<ptrdiff_t>(ended));
  return more;
}

void Machine::Apply(const ProcessEnd& end) {
  if (end.vfork_child != 0) {
    processes_.EndOrExec(end.vfork_child, end.end_ns);
    return;
  }
  const uint32_t id = end.image != 0 ? processes_.Known(end.image) : processes_.Latest(end.pid, end.pid_namespace);
  if (id == 0) return;
  ProcessState& owner = world_.processes[id];
  if (end.wait_status.has_value()) {
    const int status = *end.wait_status;
    owner.status_known = WIFEXITED(status);
    if (WIFEXITED(status)) owner.exit_status = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) owner.exit_signal = static_cast<uint32_t>(WTERMSIG(status));
  } else if (end.image != 0) {
    // An image that was left by exec is gone while its process lives on.
    const auto last = std::find_if(owner.images.rbegin(), owner.images.rend(),
                                   [](const Image& image) { return image.number() != 0; });
    if (last != owner.images.rend() && last->number() != end.image) return;
  }
  processes_.End(id, end.end_ns);
}

void Machine::Count(const Record& record) {
  const auto call = static_cast<size_t>(record.call);
  if (call >= world_.calls.size()) return;  // a newer recorder's
  CallState& count = world_.calls[call];
  const bool moves = IsTransfer(record.call) || IsCopy(record.call);
  if (moves) count.kept += record.kept;
  if (record.continuation) return;
  ++count.calls;
  count.failed += record.error != 0;
  if (moves) count.bytes += record.moved;
}

void Machine::Apply(const Record& record, const EventView& event, const Stream& stream, StreamState& state) {
  ++world_.event_count;
  Count(record);
  if (record.call == CALL_ATTACHED) {
    state.process = processes_.Attached(stream.image, event, record.start_ns);
  } else if (state.process == 0) {
    state.process = processes_.OfImage(stream.image, record.start_ns);
  }
  uint32_t process = state.process;
  if ((record.notes & EVENT_NOTE_VFORK_CHILD) != 0 && event.pid != 0) {
    process = processes_.VforkChild(process, event.pid, record.start_ns);
  }
  if (process == 0) return;  // one too many
  if (state.thread == 0) state.thread = processes_.ThreadOf(stream, state.process, record.start_ns);
  ThreadState& thread = world_.threads[state.thread];
  ++thread.event_count;
  thread.start_ns = std::min(thread.start_ns, record.start_ns);
  thread.end_ns = std::max(thread.end_ns, record.end_ns);
  ProcessState& owner = world_.processes[process];
  ++owner.event_count;
  if ((record.notes & EVENT_NOTE_CAME_BACK) != 0 && owner.left_calls > 0) --owner.left_calls;
  if (owner.settling && record.call != CALL_FOUND && record.call != CALL_ATTACHED &&
      owner.settling_image == stream.image) {
    descriptors_.Settle(process);
  }
  const Applied call = {record, event, process, state.thread};
  if (IsTransfer(record.call)) {
    Transfer(call, state);
  } else {
    Dispatch(call, stream.image);
  }
}

uint32_t Machine::Use(const Applied& call, bool sure_of_socket) {
  const Record& record = call.record;
  const uint32_t id = record.error == 0 ? descriptors_.AtOrFound(call.process, record.fd, record.start_ns, record.call)
                                        : descriptors_.At(call.process, record.fd, record.start_ns);
  if (id == 0) return 0;
  LifeState& life = world_.lives[id];
  ++life.event_count;
  life.last_use_ns = std::max(life.last_use_ns, record.end_ns);
  ObjectState& object = world_.objects[life.object];
  if (sure_of_socket && record.error == 0 && object.kind == DESCRIPTOR_KIND_UNKNOWN) {
    object.kind = life.kind = DESCRIPTOR_KIND_SOCKET;
  }
  return life.object;
}

void Machine::Transfer(const Applied& call, StreamState& state) {
  const Record& record = call.record;
  if (record.continuation) {
    if (state.flow == 0) return;
    flows_.Continue(state.flow, call);
    const bool goes_on = (record.notes & EVENT_NOTE_MORE) != 0;
    return Await(call, goes_on ? state.awaited - std::min(state.awaited, record.kept) : 0, state);
  }
  state.flow = 0;
  state.awaited = 0;  // what has not come until now will not
  if (record.call == CALL_SENDFILE) TakenFrom(call);
  const bool sure = record.call != CALL_READ && record.call != CALL_READV && record.call != CALL_WRITE &&
                    record.call != CALL_WRITEV && record.call != CALL_SENDFILE && !IsAtOffset(record.call);
  const uint32_t object = Use(call, sure);
  if (object == 0) return;
  if (world_.objects[object].kind == DESCRIPTOR_KIND_SOCKET) {
    state.flow = flows_.Transfer(object, call);
    const bool goes_on = state.flow != 0 && (record.notes & EVENT_NOTE_MORE) != 0;
    if (goes_on) Await(call, record.moved - std::min(record.moved, record.kept), state);
  } else {
    world_.objects[object].blocks.Add(record.block);
  }
  if (!call.event.passed.empty() && IsReceive(record.call) && record.error == 0) {
    for (const int32_t fd : call.event.passed) {
      descriptors_.Received(call.process, fd, (record.flags & MSG_CMSG_CLOEXEC) != 0, record.start_ns, record.end_ns);
    }
  }
}

// bytes: that may still come for the stream's last transfer.
void Machine::Await(const Applied& call, uint64_t bytes, StreamState& state) {
  uint64_t& awaited = world_.processes[call.process].payload_awaited;
  awaited += bytes;
  awaited -= std::min(awaited, state.awaited);
  state.awaited = bytes;
}

uint32_t Machine::Made(const Applied& call, int32_t fd, DescriptorKind kind, bool close_on_exec) {
  if (call.record.error != 0 || fd < 0 || !world_.Room()) return 0;
  const uint32_t object = descriptors_.MakeObject(kind, call.process);
  world_.objects[object].status_flags = call.record.flags & ~static_cast<uint32_t>(O_CLOEXEC);
  descriptors_.Learn(object, call.event, call.record.end_ns);
  world_.objects[object].blocks.Add(call.record.block);
  descriptors_.Begin(call.process, fd, {.object = object, .call = call.record.call, .close_on_exec = close_on_exec},
                     call.record.end_ns);
  return object;
}

void Machine::Socket(const Applied& call) {
  const uint32_t type = call.event.type;
  const uint32_t object =
      Made(call, static_cast<int32_t>(call.record.result), DESCRIPTOR_KIND_SOCKET, (type & SOCK_CLOEXEC) != 0);
  if (object != 0) world_.objects[object].status_flags = O_RDWR | (type & SOCK_NONBLOCK);
}

void Machine::SocketPair(const Applied& call) {
  const Record& record = call.record;
  if (record.error != 0 || !world_.Room()) return;
  const bool close_on_exec = (call.event.type & SOCK_CLOEXEC) != 0;
  uint32_t objects[2];
  const int32_t fds[2] = {record.fd, record.new_fd};
  for (int i = 0; i < 2; ++i) {
    objects[i] = descriptors_.MakeObject(DESCRIPTOR_KIND_SOCKET, call.process);
    ObjectState& object = world_.objects[objects[i]];
    object.domain = call.event.domain;
    object.type = call.event.type & kSocketTypeMask;
    object.protocol = call.event.protocol;
    object.status_flags = O_RDWR | (call.event.type & SOCK_NONBLOCK);
    descriptors_.LearnCookie(objects[i], i == 0 ? call.event.socket_id : call.event.new_socket_id);
    descriptors_.Begin(call.process, fds[i],
                       {.object = objects[i], .call = record.call, .close_on_exec = close_on_exec}, record.end_ns);
  }
  world_.objects[objects[0]].pair = objects[1];
  world_.objects[objects[1]].pair = objects[0];
  flows_.Pair(objects[0], objects[1], call);
}

void Machine::Accept(const Applied& call) {
  const Record& record = call.record;
  const uint32_t listener = Use(call, true);
  if (listener != 0) world_.objects[listener].blocks.Add(record.block);
  if (record.error != 0 || record.result < 0 || listener == 0) return;
  const auto fd = static_cast<int32_t>(record.result);
  if (!world_.objects[listener].listening) {  // it must have been
    world_.objects[listener].listening = true;
  }
  ++world_.objects[listener].accepted;
  if (!world_.Room()) return;
  const uint32_t object = descriptors_.MakeObject(DESCRIPTOR_KIND_SOCKET, call.process);
  descriptors_.Begin(call.process, fd,
                     {.object = object,
                      .how = LIFE_BEGIN_ACCEPTED,
                      .call = record.call,
                      .close_on_exec = (record.flags & SOCK_CLOEXEC) != 0},
                     record.end_ns);
  world_.objects[object].status_flags = O_RDWR | (record.flags & SOCK_NONBLOCK);
  flows_.Accepted(object, listener, fd, call);
  descriptors_.Learn(object, call.event, record.end_ns);
}

void Machine::Duplicate(const Applied& call, int32_t to, bool close_on_exec) {
  const Record& record = call.record;
  const uint32_t object = Use(call, false);
  if (record.error != 0 || object == 0) return;
  flows_.Touch(object, call);
  if (to == record.fd) return;  // dup2 onto itself does nothing
  // The others are given a number that is free: one that seems open was closed unseen, as Begin says.
  if (EndsDescriptors(record.call)) {
    descriptors_.End(call.process, to, LIFE_END_REPLACED, record.start_ns);
  }
  const uint32_t from = descriptors_.At(call.process, record.fd, record.start_ns);
  descriptors_.Begin(call.process, to,
                     {.object = object,
                      .how = LIFE_BEGIN_DUPLICATED,
                      .call = record.call,
                      .from = from,
                      .close_on_exec = close_on_exec},
                     record.end_ns);
}

void Machine::Pipe(const Applied& call) {
  const Record& record = call.record;
  if (record.error != 0 || !world_.Room()) return;
  const int32_t fds[2] = {record.fd, record.new_fd};
  uint32_t objects[2];
  for (int i = 0; i < 2; ++i) {
    objects[i] = descriptors_.MakeObject(DESCRIPTOR_KIND_PIPE, call.process);
    ObjectState& object = world_.objects[objects[i]];
    object.status_flags = (i == 0 ? O_RDONLY : O_WRONLY) | (record.flags & O_NONBLOCK);
    descriptors_.Learn(objects[i], call.event, record.end_ns);
    object.blocks.Add(record.block);
    descriptors_.Begin(call.process, fds[i],
                       {.object = objects[i], .call = record.call, .close_on_exec = (record.flags & O_CLOEXEC) != 0},
                       record.end_ns);
  }
  world_.objects[objects[0]].pair = objects[1];
  world_.objects[objects[1]].pair = objects[0];
}

void Machine::EpollControl(const Applied& call) {
  const uint32_t object = Use(call, false);
  if (call.record.error != 0 || object == 0) return;
  ObjectState& epoll = world_.objects[object];
  if (epoll.kind == DESCRIPTOR_KIND_UNKNOWN) epoll.kind = DESCRIPTOR_KIND_EPOLL;
  if (call.record.flags == EPOLL_CTL_DEL) {
    epoll.watches.erase(call.record.new_fd);
  } else if (epoll.watches.size() < kMaxWatches || epoll.watches.contains(call.record.new_fd)) {
    const uint32_t life = descriptors_.At(call.process, call.record.new_fd, call.record.start_ns);
    epoll.watches[call.record.new_fd] = world_.lives[life].object;
  }
}

void Machine::Control(const Applied& call) {
  const Record& record = call.record;
  switch (record.flags) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      return Duplicate(call, static_cast<int32_t>(record.result), record.flags == F_DUPFD_CLOEXEC);
    default:
      break;
  }
  const uint32_t object = Use(call, false);
  if (record.error != 0 || object == 0) return;
  flows_.Touch(object, call);
  const uint32_t life = descriptors_.At(call.process, record.fd, record.start_ns);
  if (record.flags == F_SETFD) world_.lives[life].close_on_exec = (call.event.option & FD_CLOEXEC) != 0;
  if (record.flags == F_SETFL) {
    uint32_t& flags = world_.objects[object].status_flags;
    flags = (flags & O_ACCMODE) | (call.event.option & ~static_cast<uint32_t>(O_ACCMODE));
  }
}

void Machine::Wait(const Applied& call) {
  const Record& record = call.record;
  ThreadState& thread = world_.threads[call.thread];
  thread.waited_ns += record.end_ns - record.start_ns;
  thread.wait_block = record.block;
  if (IsEpollWait(record.call)) {
    const uint32_t object = Use(call, false);
    if (object != 0 && world_.objects[object].kind == DESCRIPTOR_KIND_UNKNOWN) {
      world_.objects[object].kind = DESCRIPTOR_KIND_EPOLL;
    }
  }
  if (record.error != 0) return;
  for (const absl::string_view bytes : call.event.polled) {
    PolledView polled;
    if (!ParsePolled(bytes, polled).ok()) return;
    if ((polled.revents & EPOLLOUT) == 0 || (polled.revents & (EPOLLERR | EPOLLHUP)) != 0) continue;
    // epoll's user data need not be a descriptor; where it is none, or another one, nothing is pending there.
    const uint32_t life = descriptors_.At(call.process, polled.fd, record.start_ns);
    if (life != 0) flows_.Writable(world_.lives[life].object, record.end_ns);
  }
}

void Machine::Resolve(const Applied& call) {
  if (call.record.result != 0 || call.event.host.empty()) return;
  const std::string host(call.event.host);
  if (IsNumericHost(host)) return;
  ProcessState& owner = world_.processes[call.process];
  for (const absl::string_view answer : call.event.answers) {
    const auto internet = ParseInternetAddress(answer);
    if (!internet) continue;
    std::string address(answer);
    std::memset(&address[2], 0, 2);  // the port, in both families
    const auto [known, inserted] = names_.try_emplace({host, address}, static_cast<uint32_t>(world_.names.size()));
    if (inserted) world_.names.push_back({host, address, 0});
    world_.names[known->second].block = call.record.block;
    if (owner.resolved.size() < kMaxResolved || owner.resolved.contains(internet->ip)) {
      owner.resolved[internet->ip] = known->second;
    }
  }
}

void Machine::Executing(const Applied& call) {
  ProcessState& owner = world_.processes[call.process];
  owner.executing = true;
  owner.executing_ns = call.record.start_ns;
  owner.next_image.Clear();
  owner.next_image.set_path(std::string(call.event.path));
  owner.next_image.set_start_ns(call.record.start_ns);
  for (const absl::string_view argument : call.event.argv) owner.next_image.add_argv(std::string(argument));
}

void Machine::Spawn(const Applied& call) {
  if (call.record.error != 0 || call.record.result != 0 || call.event.pid == 0) return;
  const uint32_t id = processes_.Child(call.process, call.event.pid, call.record.start_ns);
  ProcessState& child = world_.processes[id];
  if (child.origin != Origin::kChild || child.executing) return;
  Executing({call.record, call.event, id, call.thread});
}

void Machine::Dispatch(const Applied& call, uint32_t image) {
  const Record& record = call.record;
  const EventView& event = call.event;
  const auto result = static_cast<int32_t>(record.result);
  const bool close_on_exec = (record.flags & O_CLOEXEC) != 0;
  if (OnlyEndsDescriptors(record.call)) {
    return record.call == CALL_CLOSE_RANGE ? CloseRange(call) : Closed(call, record.fd);
  }
  if (OtherDescriptorCall(call)) return;
  switch (record.call) {
    case CALL_ATTACHED:
      return;
    case CALL_FOUND:
      return descriptors_.Found(call.process, image, event, record.end_ns);
    case CALL_SOCKET:
      return Socket(call);
    case CALL_SOCKETPAIR:
      return SocketPair(call);
    case CALL_ACCEPT:
    case CALL_ACCEPT4:
      return Accept(call);
    case CALL_OPEN:
    case CALL_OPENAT:
    case CALL_CREAT:
      Made(call, result, event.kind != DESCRIPTOR_KIND_UNKNOWN ? event.kind : DESCRIPTOR_KIND_FILE, close_on_exec);
      return;
    case CALL_EPOLL_CREATE:
    case CALL_EPOLL_CREATE1:
      Made(call, result, DESCRIPTOR_KIND_EPOLL, close_on_exec);
      return;
    case CALL_EVENTFD:
      Made(call, result, DESCRIPTOR_KIND_EVENTFD, close_on_exec);
      return;
    case CALL_TIMERFD_CREATE:
      Made(call, result, DESCRIPTOR_KIND_TIMERFD, close_on_exec);
      return;
    case CALL_SIGNALFD:
      if (record.fd >= 0 && record.fd == result) {  // changes the mask of one that is there
        Use(call, false);
        return;
      }
      Made(call, result, DESCRIPTOR_KIND_SIGNALFD, close_on_exec);
      return;
    case CALL_MEMFD_CREATE:
      Made(call, result, DESCRIPTOR_KIND_MEMFD, (record.flags & MFD_CLOEXEC) != 0);
      return;
    case CALL_PIPE:
    case CALL_PIPE2:
      return Pipe(call);
    case CALL_DUP:
      return Duplicate(call, result, false);
    case CALL_DUP2:
    case CALL_DUP3:
      return Duplicate(call, record.new_fd, close_on_exec);
    case CALL_FCNTL:
      return Control(call);
    case CALL_SOCKET_SUMMARY: {  // the shim's own question, not a use by the program
      const uint32_t life = descriptors_.At(call.process, record.fd, record.start_ns);
      if (life != 0) flows_.Note(world_.lives[life].object, record.block);
      return;
    }
    case CALL_LEFT:
      ++world_.processes[call.process].left_calls;
      return;
    case CALL_EPOLL_CTL:
      return EpollControl(call);
    case CALL_POLL:
    case CALL_PPOLL:
    case CALL_SELECT:
    case CALL_PSELECT:
    case CALL_EPOLL_WAIT:
    case CALL_EPOLL_PWAIT:
    case CALL_EPOLL_PWAIT2:
      return Wait(call);
    case CALL_FORK:
    case CALL_VFORK:
    case CALL_CLONE:
    case CALL_FORKPTY:
      if (record.error == 0 && record.result > 0) {
        const uint32_t child = processes_.Child(
            call.process, event.pid != 0 ? event.pid : static_cast<uint32_t>(record.result), record.start_ns);
        const bool waited = record.call == CALL_VFORK ||
                            (record.call == CALL_CLONE && (record.flags & static_cast<uint32_t>(CLONE_VFORK)) != 0);
        if (waited && child != 0) Ended({.end_ns = record.end_ns, .vfork_child = child});
      }
      return;
    case CALL_POSIX_SPAWN:
      return Spawn(call);
    case CALL_EXECUTING:
      return Executing(call);
    case CALL_EXECVE:  // came back: it failed
      world_.processes[call.process].executing = false;
      world_.processes[call.process].next_image.Clear();
      return;
    case CALL_EXIT: {
      ProcessState& owner = world_.processes[call.process];
      if (!owner.status_known) {
        owner.status_known = true;
        owner.exit_status = result & 0xff;
      }
      return processes_.End(call.process, record.start_ns);
    }
    case CALL_GETADDRINFO:
    case CALL_GETHOSTBYNAME:
      return Resolve(call);
    default:
      break;
  }
  // Newer ones: the shim says of what kind it is.
  if (ReturnsNewDescriptor(record.call)) {
    Made(call, result, event.kind, event.close_on_exec);
    if (record.call == CALL_SYSCALL && event.option == SYS_io_uring_setup && record.error == 0) {
      ProcessState& owner = world_.processes[call.process];
      owner.made_io_uring = owner.maps_io_uring = true;
    }
    return;
  }
  const uint32_t object = Use(call, record.call != CALL_UNKNOWN);
  if (object == 0) return;
  if (record.call == CALL_SHUTDOWN) return flows_.Shutdown(object, call);
  if (record.call == CALL_CONNECT) return flows_.Connect(object, call);
  flows_.Touch(object, call);
  if (record.error != 0) return;
  ObjectState& socket = world_.objects[object];
  if (socket.maker_cwd.empty()) socket.maker_cwd = world_.processes[call.process].cwd;
  switch (record.call) {
    case CALL_BIND:
      flows_.LocalName(object, event.local_address.empty() ? event.address : event.local_address);
      break;
    case CALL_LISTEN:
      socket.listening = true;
      if (socket.listen_ns == 0) socket.listen_ns = record.start_ns;
      if (!event.local_address.empty()) flows_.LocalName(object, event.local_address);
      break;
    case CALL_GETSOCKNAME:
      flows_.LocalName(object, event.address.empty() ? event.local_address : event.address);
      break;
    case CALL_GETPEERNAME:
      if (socket.peer.empty()) socket.peer = std::string(event.address);
      break;
    case CALL_GETSOCKOPT:
      if (event.level == SOL_SOCKET && event.option == SO_ERROR && event.payload.size() >= 4) {
        flows_.SocketError(object, IntValue(event.payload), record.end_ns);
      }
      break;
    default:
      break;
  }
}

}  // namespace socktale
