// SPDX-License-Identifier: Apache-2.0
//
// One end of a connection at a time: begins, moves bytes, waits, ends.

#include "collector/aggregate/flows.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "collector/aggregate/address.h"
#include "collector/aggregate/socket_type.h"
#include "proto/call_families.h"

namespace socktale {
namespace {

// A receive that took longer than this was blocked; a shorter one found its bytes there.
constexpr uint64_t kBlockedNs = 20'000;

bool IsStream(const ObjectState& object) { return IsStreamType(object.type); }
bool IsDatagram(const ObjectState& object) { return !IsStreamType(object.type); }

// Errors that say the call was wrong, not that the connection is.
bool IsMisuse(uint32_t error) {
  switch (error) {
    case EBADF:
    case EFAULT:
    case EINVAL:
    case ENOTSOCK:
    case EAFNOSUPPORT:
    case EPROTOTYPE:
    case EALREADY:
    case ENOTCONN:
    case EDESTADDRREQ:
    case EMSGSIZE:
    case EOPNOTSUPP:
    case ENOMEM:
    case ENOBUFS:
    case EAGAIN:
    case EINTR:
    case ENOPROTOOPT:
      return true;
    default:
      return false;
  }
}

// Errors that a connect which seemed to come through (POLLOUT) is found to have ended with.
bool EndsAttempt(uint32_t error) {
  return error == ECONNREFUSED || error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH;
}

}  // namespace

bool Connects(uint32_t domain) {
  switch (domain) {
    case AF_NETLINK:
    case AF_PACKET:
    case AF_ALG:
    case AF_KEY:
      return false;
    default:
      return true;
  }
}

uint32_t Flows::Resolved(uint32_t process, absl::string_view address) const {
  const auto internet = ParseInternetAddress(address);
  if (!internet) return 0;
  // A child of fork knows what its parent resolved.
  for (int generation = 0; process != 0 && generation < 8; ++generation) {
    const ProcessState& owner = world_.processes[process];
    const auto known = owner.resolved.find(internet->ip);
    if (known != owner.resolved.end()) return known->second;
    process = owner.parent;
  }
  return 0;
}

uint32_t Flows::Make(uint32_t object_id, Role role, uint32_t process, int32_t fd, absl::string_view peer,
                     uint64_t now_ns) {
  if (!world_.Room()) return 0;
  const auto id = static_cast<uint32_t>(world_.flows.size());
  ObjectState& object = world_.objects[object_id];
  FlowState& flow = world_.flows.emplace_back();
  flow.object = object_id;
  flow.previous = object.last_flow;
  flow.role = role;
  flow.local = object.local;
  flow.peer = std::string(peer);
  flow.peer_key = AddressKey(peer, world_.processes[process].cwd);
  flow.peer_pid = object.peer_pid;
  flow.maker = process;
  flow.maker_fd = fd;
  flow.start_ns = flow.called_ns = flow.last_use_ns = now_ns;
  flow.name = Resolved(process, peer);
  if (flow.name != 0) flow.blocks.Add(world_.names[flow.name].block);
  object.last_flow = id;
  return id;
}

void Flows::Establish(FlowState& flow, uint64_t now_ns) {
  flow.pending = false;
  if (flow.established_ns == 0) flow.established_ns = std::max(now_ns, flow.start_ns);
}

void Flows::Fail(FlowState& flow, uint32_t error, uint64_t now_ns) {
  flow.pending = false;
  flow.failed = true;
  flow.error = error;
  flow.established_ns = 0;
  flow.end_ns = std::max(now_ns, flow.start_ns);
  ObjectState& object = world_.objects[flow.object];
  // The next attempt on this socket is another connection.
  if (object.flow != 0 && &world_.flows[object.flow] == &flow) object.flow = 0;
}

void Flows::Connect(uint32_t object_id, const Applied& call) {
  const Record& record = call.record;
  ObjectState& object = world_.objects[object_id];
  if (!Connects(object.domain)) return;
  const absl::string_view address = call.event.address;
  if (!call.event.local_address.empty()) object.local = std::string(call.event.local_address);
  if (object.domain == 0) object.domain = AddressFamily(address);

  if (IsDatagram(object)) {
    if (record.error != 0) {
      if (!IsMisuse(record.error)) {
        FlowState& attempt =
            world_.flows[Make(object_id, ROLE_CLIENT, call.process, record.fd, address, record.start_ns)];
        attempt.blocks.Add(record.block);
        ++attempt.events;
        Fail(attempt, record.error, record.end_ns);
      }
      return;
    }
    const uint32_t flow = AddressFamily(address) == AF_UNSPEC ? 0 : Datagram(object_id, address, true, call);
    SetPeer(object_id, flow, record.end_ns);
    if (object.flow == 0) {
      object.peer.clear();
      return;
    }
    object.peer = std::string(address);
    FlowState& talk = world_.flows[object.flow];
    ++talk.events;
    talk.blocks.Add(record.block);
    talk.local = object.local;
    Establish(talk, record.end_ns);
    return;
  }

  if (address.size() >= sizeof(sa_family_t) && AddressFamily(address) == AF_UNSPEC) return Disconnect(object_id, call);
  const bool in_progress = record.error == EINPROGRESS || record.error == EINTR;
  FlowState* flow = object.flow == 0 ? nullptr : &world_.flows[object.flow];
  // Asks again what became of an earlier connect: once more after poll has said so, as hiredis does.
  const bool goes_on = flow != nullptr && (flow->pending || flow->unanswered);
  if (record.error == EALREADY || (record.error == EISCONN && !goes_on)) return Touch(object_id, call);
  if (record.error != 0 && !in_progress && record.error != EISCONN && IsMisuse(record.error) &&
      !(record.error == EAGAIN && object.domain == AF_UNIX)) {
    return Touch(object_id, call);
  }
  if (!goes_on) {
    object.flow = Make(object_id, ROLE_CLIENT, call.process, record.fd, address, record.start_ns);
    flow = &world_.flows[object.flow];
    object.peer = flow->peer;
    flow->called_ns = record.end_ns;
  }
  ++flow->events;
  flow->blocks.Add(record.block);
  if (!object.local.empty()) flow->local = object.local;
  if (call.event.peer_pid != 0) flow->peer_pid = object.peer_pid = call.event.peer_pid;
  if (record.error == 0 || record.error == EISCONN) {
    Establish(*flow, record.end_ns);
    flow->unanswered = false;
  } else if (in_progress) {
    flow->pending = flow->unanswered = true;
  } else {
    Fail(*flow, record.error, record.end_ns);
  }
}

void Flows::SetPeer(uint32_t object_id, uint32_t flow, uint64_t now_ns) {
  ObjectState& object = world_.objects[object_id];
  if (flow != object.flow && world_.Room()) {
    object.connected.push_back({now_ns, flow});
    ++world_.connects;
  }
  object.flow = flow;
}

// connect to AF_UNSPEC: the kernel takes the connection down, and the socket is as new.
void Flows::Disconnect(uint32_t object_id, const Applied& call) {
  Touch(object_id, call);
  ObjectState& object = world_.objects[object_id];
  if (call.record.error != 0 || object.flow == 0) return;
  FlowState& flow = world_.flows[object.flow];
  flow.pending = flow.unanswered = false;
  flow.end_ns = std::max(call.record.end_ns, flow.start_ns);
  if (flow.first_end_ns == 0) flow.first_end_ns = flow.end_ns;
  object.flow = 0;
  object.peer.clear();
}

void Flows::Accepted(uint32_t object_id, uint32_t listener_id, int32_t fd, const Applied& call) {
  ObjectState& object = world_.objects[object_id];
  const ObjectState& listener = world_.objects[listener_id];
  const EventView& event = call.event;
  object.domain = listener.domain;
  if (object.domain == 0) object.domain = AddressFamily(event.address);
  object.type = listener.type;
  if (object.type == 0) object.type = SOCK_STREAM;
  object.protocol = listener.protocol;
  object.accepted_from = listener_id;
  object.local = event.local_address.empty() ? listener.local : std::string(event.local_address);
  object.maker_cwd = listener.maker_cwd;
  const absl::string_view peer = event.peer_address.empty() ? event.address : event.peer_address;
  object.peer = std::string(peer);
  object.peer_pid = event.peer_pid;
  if (!Connects(object.domain)) return;
  object.flow = Make(object_id, ROLE_SERVER, call.process, fd, peer, call.record.end_ns);
  FlowState& flow = world_.flows[object.flow];
  ++flow.events;
  flow.blocks.Add(call.record.block);
  Establish(flow, call.record.end_ns);
}

void Flows::Pair(uint32_t first, uint32_t second, const Applied& call) {
  if (!Connects(world_.objects[first].domain)) return;
  const int32_t fds[2] = {call.record.fd, call.record.new_fd};
  const uint32_t objects[2] = {first, second};
  for (int i = 0; i < 2; ++i) {
    ObjectState& object = world_.objects[objects[i]];
    object.flow = Make(objects[i], ROLE_PAIR, call.process, fds[i], "", call.record.end_ns);
    FlowState& flow = world_.flows[object.flow];
    ++flow.events;
    flow.blocks.Add(call.record.block);
    Establish(flow, call.record.end_ns);
  }
  world_.flows[world_.objects[first].flow].pair = world_.objects[second].flow;
  world_.flows[world_.objects[second].flow].pair = world_.objects[first].flow;
}

void Flows::FoundConnected(uint32_t object_id, uint32_t process, int32_t fd, absl::string_view peer, uint64_t now_ns) {
  ObjectState& object = world_.objects[object_id];
  object.peer = std::string(peer);
  if (object.flow != 0 || object.last_flow != 0 || !Connects(object.domain)) return;
  const uint32_t id = Make(object_id, ROLE_UNKNOWN, process, fd, peer, now_ns);
  FlowState& flow = world_.flows[id];
  if (IsDatagram(object)) {
    datagram_flows_.try_emplace({object_id, flow.peer_key}, id);
    SetPeer(object_id, id, now_ns);
  }
  object.flow = id;
  Establish(flow, now_ns);
}

void Flows::LocalName(uint32_t object_id, absl::string_view address) {
  ObjectState& object = world_.objects[object_id];
  object.local = std::string(address);
  if (object.domain == 0) object.domain = AddressFamily(address);
  if (object.flow != 0) world_.flows[object.flow].local = object.local;
}

uint32_t Flows::Datagram(uint32_t object_id, absl::string_view address, bool out, const Applied& call) {
  std::string key = AddressKey(address, world_.processes[call.process].cwd);
  ObjectState& object = world_.objects[object_id];
  if (object.peers >= world_.limits.peers && !key.empty() && !datagram_flows_.contains({object_id, key})) {
    // Who sends from ever new addresses gets one flow for all of them, the one of peers without a name.
    ++world_.folded_datagrams;
    key.clear();
    address = absl::string_view();
  }
  const auto [known, inserted] = datagram_flows_.try_emplace({object_id, std::move(key)}, 0);
  if (inserted) {
    known->second = Make(object_id, out ? ROLE_CLIENT : ROLE_SERVER, call.process, call.record.fd, address,
                         out ? call.record.start_ns : call.record.end_ns);
    ++object.peers;
  }
  return known->second;
}

void Flows::Talk(FlowState& flow, const Applied& call, uint64_t moved) {
  for (FlowState::Talker& talker : flow.talkers) {
    if (talker.process == call.process && talker.fd == call.record.fd) {
      talker.weight += moved + 1;
      return;
    }
  }
  if (flow.talkers.size() < kMaxTalkers) flow.talkers.push_back({call.process, call.record.fd, moved + 1});
}

// Time in which this end had asked and nothing came: blocked in this call, or in poll and its kin since it last did
// something on the flow. Polls before the end's own next send were not waits for an answer.
void Flows::Waited(FlowState& flow, bool came, const Applied& call) {
  const Record& record = call.record;
  const ThreadState& thread = world_.threads[call.thread];
  if (came) {
    uint64_t wait_ns = 0;
    if (flow.last_thread == call.thread && record.start_ns > flow.last_use_ns) {
      wait_ns = std::min(thread.waited_ns - flow.last_waited_ns, record.start_ns - flow.last_use_ns);
      // Who tells this wait later needs the poll as well, which may stand in the block before.
      if (wait_ns > 0) flow.blocks.Add(thread.wait_block);
    }
    const uint64_t took_ns = record.end_ns - record.start_ns;
    flow.wait_ns += wait_ns + (took_ns > kBlockedNs ? took_ns : 0);
  }
  flow.last_thread = call.thread;
  flow.last_waited_ns = thread.waited_ns;
  flow.last_use_ns = record.end_ns;
}

void Flows::Move(uint32_t flow_id, bool out, uint64_t moved, uint64_t kept, const Applied& call) {
  FlowState& flow = world_.flows[flow_id];
  ProcessState& process = world_.processes[call.process];
  kept = std::min(kept, moved);
  (out ? flow.sent : flow.received) += moved;
  (out ? flow.kept_sent : flow.kept_received) += kept;
  process.payload_moved += moved;
  process.payload_kept += kept;
  if ((call.record.notes & EVENT_NOTE_NOT_SEEN) != 0) process.payload_not_seen += moved - kept;
  ++flow.events;
  ++flow.datagrams;
  flow.blocks.Add(call.record.block);
  Talk(flow, call, moved);
  Waited(flow, !out, call);
  if (flow.pending || flow.established_ns == 0) Establish(flow, call.record.end_ns);
}

uint32_t Flows::Transfer(uint32_t object_id, const Applied& call) {
  const Record& record = call.record;
  ObjectState& object = world_.objects[object_id];
  if (!Connects(object.domain)) return 0;
  const bool out = IsSend(record.call);
  if (object.domain == 0) object.domain = AddressFamily(call.event.address);
  if (!call.event.local_address.empty()) LocalName(object_id, call.event.local_address);

  if (record.error != 0) {
    if (object.flow == 0) {
      object.blocks.Add(record.block);
      return 0;
    }
    FlowState& flow = world_.flows[object.flow];
    ++flow.events;
    flow.blocks.Add(record.block);
    if (!IsMisuse(record.error)) {
      if (flow.pending ||
          (flow.role == ROLE_CLIENT && flow.datagrams == 0 && IsStream(object) && EndsAttempt(record.error))) {
        Fail(flow, record.error, record.end_ns);
      } else if (flow.error == 0 && !(record.error == EPIPE && flow.first_end_ns != 0)) {
        flow.error = record.error;
      }
    }
    return 0;
  }

  if (!call.event.datagrams.empty()) {
    uint64_t kept = record.kept;
    uint32_t flow = 0;
    for (const absl::string_view bytes : call.event.datagrams) {
      DatagramView datagram;
      if (!ParseDatagram(bytes, datagram).ok()) break;
      flow = object.flow != 0 && (datagram.address.empty() || IsStream(object))
                 ? object.flow
                 : Datagram(object_id, datagram.address, out, call);
      const uint64_t mine = std::min(kept, datagram.size);
      kept -= mine;
      Move(flow, out, datagram.size, mine, call);
    }
    return flow;
  }

  if (IsDatagram(object)) {
    const absl::string_view address = call.event.address;
    // An unconnected receive that did not ask who sent, as in shutdown or with a null pointer: a peer without a name.
    const uint32_t flow = object.flow != 0 && (address.empty() || AddressFamily(address) == AF_UNSPEC)
                              ? object.flow
                              : Datagram(object_id, address, out, call);
    Move(flow, out, record.moved, record.kept, call);
    return flow;
  }

  if (object.flow == 0) {
    if (object.listening) return 0;
    // MSG_FASTOPEN connects with the first send; any other was connected where we could not see it.
    const bool opens = out && !call.event.address.empty();
    object.flow = Make(object_id, opens ? ROLE_CLIENT : ROLE_UNKNOWN, call.process, record.fd,
                       opens ? call.event.address : absl::string_view(object.peer), record.start_ns);
  }
  Move(object.flow, out, record.moved, record.kept, call);
  FlowState& flow = world_.flows[object.flow];
  const bool peeked = (record.notes & EVENT_NOTE_PEEK) != 0;
  const bool at_end = !out && record.result == 0 && record.size > 0 && !peeked && object.type != SOCK_SEQPACKET;
  if (at_end && flow.eof_ns == 0 && !flow.reads_no_more) flow.eof_ns = record.end_ns;
  return object.flow;
}

void Flows::Continue(uint32_t flow_id, const Applied& call) {
  FlowState& flow = world_.flows[flow_id];
  ProcessState& process = world_.processes[call.process];
  (IsSend(call.record.call) ? flow.kept_sent : flow.kept_received) += call.record.kept;
  process.payload_kept += call.record.kept;
  ++flow.events;
  flow.blocks.Add(call.record.block);
}

void Flows::Shutdown(uint32_t object_id, const Applied& call) {
  Touch(object_id, call);
  const ObjectState& object = world_.objects[object_id];
  if (call.record.error != 0 || object.flow == 0) return;
  FlowState& flow = world_.flows[object.flow];
  if (call.record.flags != SHUT_WR) flow.reads_no_more = true;
  if (call.record.flags != SHUT_RD && flow.first_end_ns == 0) flow.first_end_ns = call.record.end_ns;
}

void Flows::SocketError(uint32_t object_id, uint32_t error, uint64_t now_ns) {
  const ObjectState& object = world_.objects[object_id];
  if (object.flow == 0) return;
  FlowState& flow = world_.flows[object.flow];
  const bool connecting = flow.pending || (flow.role == ROLE_CLIENT && flow.datagrams == 0);
  if (error == 0) {
    if (flow.pending) Establish(flow, now_ns);
  } else if (connecting && IsStream(object)) {
    Fail(flow, error, now_ns);
  } else if (flow.error == 0) {
    flow.error = error;
  }
}

void Flows::Writable(uint32_t object_id, uint64_t now_ns) {
  const ObjectState& object = world_.objects[object_id];
  // SO_ERROR has the last word: a connection that is refused is writable too.
  if (object.flow != 0 && world_.flows[object.flow].pending) Establish(world_.flows[object.flow], now_ns);
}

void Flows::Touch(uint32_t object_id, const Applied& call) {
  ObjectState& object = world_.objects[object_id];
  if (object.flow == 0) {
    object.blocks.Add(call.record.block);
    return;
  }
  FlowState& flow = world_.flows[object.flow];
  ++flow.events;
  flow.blocks.Add(call.record.block);
}

void Flows::Note(uint32_t object_id, uint32_t block) {
  ObjectState& object = world_.objects[object_id];
  (object.flow == 0 ? object.blocks : world_.flows[object.flow].blocks).Add(block);
}

}  // namespace socktale
