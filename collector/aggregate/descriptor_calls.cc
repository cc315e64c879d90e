// SPDX-License-Identifier: Apache-2.0
//
// Calls that make, end and change descriptors under other names than socket, open, dup and close: streams, directories,
// terminals, watches; ranges closed at once; bytes that the kernel moves between two descriptors.

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "collector/aggregate/machine.h"

namespace socktale {

void Machine::Closed(const Applied& call, int32_t fd) {
  const Record& record = call.record;
  const uint32_t life = descriptors_.At(call.process, fd, record.start_ns);
  if (life != 0) {
    ++world_.lives[life].event_count;
    flows_.Touch(world_.lives[life].object, call);
  }
  // Linux frees the number whatever the call returns, but for EBADF.
  if (record.error != EBADF) descriptors_.End(call.process, fd, LIFE_END_CLOSED, record.start_ns);
}

// close_range and closefrom: fd is the first number, new_fd the last one.
void Machine::CloseRange(const Applied& call) {
  const Record& record = call.record;
  if (record.error != 0) return;
  std::vector<int32_t> open;
  for (const auto& [fd, life] : world_.processes[call.process].table) {
    if (fd >= record.fd && fd <= record.new_fd && descriptors_.At(call.process, fd, record.start_ns) != 0) {
      open.push_back(fd);
    }
  }
  std::sort(open.begin(), open.end());
  for (const int32_t fd : open) {
    if ((record.flags & CLOSE_RANGE_CLOEXEC) != 0) {
      world_.lives[descriptors_.At(call.process, fd, record.start_ns)].close_on_exec = true;
    } else {
      Closed(call, fd);
    }
  }
}

// Sent on fd, received on new_fd, whichever of them are sockets.
void Machine::Splice(const Applied& call) {
  if (call.record.continuation) return;
  Record half = call.record;
  const Applied sent = {half, call.event, call.process, call.thread};
  half.call = CALL_SENDFILE;
  const uint32_t to = Use(sent, false);
  if (to != 0 && world_.objects[to].kind == DESCRIPTOR_KIND_SOCKET) flows_.Transfer(to, sent);
  TakenFrom(call);
}

// The half of splice, or of sendfile, that took the bytes: received on new_fd, if that is a socket.
void Machine::TakenFrom(const Applied& call) {
  Record half = call.record;
  half.call = CALL_READ;
  half.fd = call.record.new_fd;
  const Applied received = {half, call.event, call.process, call.thread};
  const uint32_t from = Use(received, false);
  if (from != 0 && world_.objects[from].kind == DESCRIPTOR_KIND_SOCKET) flows_.Transfer(from, received);
}

void Machine::IoControl(const Applied& call) {
  const Record& record = call.record;
  const uint32_t object = Use(call, false);
  if (record.error != 0 || object == 0) return;
  flows_.Touch(object, call);
  const uint32_t request = call.event.option;
  if (request == FIOCLEX || request == FIONCLEX) {
    world_.lives[descriptors_.At(call.process, record.fd, record.start_ns)].close_on_exec = request == FIOCLEX;
  }
  if ((request == FIONBIO || request == FIOASYNC) && call.event.payload.size() >= sizeof(int)) {
    int on;
    std::memcpy(&on, call.event.payload.data(), sizeof on);
    const uint32_t flag = request == FIONBIO ? O_NONBLOCK : O_ASYNC;
    uint32_t& flags = world_.objects[object].status_flags;
    flags = on != 0 ? flags | flag : flags & ~flag;
  }
}

bool Machine::OtherDescriptorCall(const Applied& call) {
  const Record& record = call.record;
  const EventView& event = call.event;
  switch (record.call) {
    case CALL_OPENPTY:
      if (record.error != 0) return true;
      Made(call, record.fd, event.kind, false);
      Made(call, record.new_fd, event.kind, false);
      return true;
    case CALL_FREOPEN:
      // Closed, and mostly given the same number again.
      if (record.fd >= 0) descriptors_.End(call.process, record.fd, LIFE_END_REPLACED, record.start_ns);
      Made(call, static_cast<int32_t>(record.result), event.kind, event.close_on_exec);
      return true;
    case CALL_LOGIN_TTY:
      for (int32_t fd = 0; fd <= 2; ++fd) Duplicate(call, fd, false);
      if (record.error == 0 && record.fd > 2) {
        descriptors_.End(call.process, record.fd, LIFE_END_CLOSED, record.end_ns);
      }
      return true;
    case CALL_SPLICE:
      Splice(call);
      return true;
    case CALL_IOCTL:
      IoControl(call);
      return true;
    case CALL_FORKPTY:
      if (record.error == 0) Made(call, record.fd, DESCRIPTOR_KIND_CHARACTER_DEVICE, false);
      return false;  // a fork, too
    case CALL_TEE:
    case CALL_VMSPLICE:
    case CALL_COPY_FILE_RANGE:
    case CALL_FDOPEN:
    case CALL_ISFDTYPE:
    case CALL_PIDFD_GETFD:  // CALL_FOUND follows
    case CALL_PIDFD_SEND_SIGNAL:
    case CALL_TIMERFD_SETTIME:
    case CALL_TIMERFD_GETTIME:
    case CALL_EVENTFD_READ:
    case CALL_EVENTFD_WRITE:
    case CALL_INOTIFY_ADD_WATCH:
    case CALL_INOTIFY_RM_WATCH:
    case CALL_FANOTIFY_MARK:
      if (const uint32_t object = Use(call, false)) flows_.Touch(object, call);
      return true;
    case CALL_FDOPENDIR:  // sets FD_CLOEXEC
      if (const uint32_t object = Use(call, false)) {
        flows_.Touch(object, call);
        if (record.error == 0) {
          world_.lives[descriptors_.At(call.process, record.fd, record.start_ns)].close_on_exec = true;
        }
      }
      return true;
    case CALL_DLOPEN:
    case CALL_DLMOPEN: {
      ProcessState& owner = world_.processes[call.process];
      std::vector<Plugin>& plugins = owner.plugins;
      auto plugin = std::find_if(plugins.begin(), plugins.end(),
                                 [&call](const Plugin& known) { return known.path == call.event.path; });
      if (plugin == plugins.end()) {
        if (plugins.size() >= world_.limits.plugins) {
          ++owner.more_plugins;
          return true;
        }
        plugin = plugins.insert(plugins.end(), {.path = std::string(call.event.path)});
      }
      plugin->opened = plugin->mapped = true;
      return true;
    }
    case CALL_SYSTEM:
    case CALL_DAEMON:
    case CALL_GETNAMEINFO:
    case CALL_GETHOSTBYADDR:
      return true;
    default:
      return false;
  }
}

}  // namespace socktale
