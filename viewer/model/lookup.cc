// SPDX-License-Identifier: Apache-2.0
//
// Indexes over the tables.

#include "viewer/model/lookup.h"

#include <algorithm>
#include <string>

#include "collector/aggregate/address.h"
#include "collector/aggregate/socket_type.h"
#include "proto/call_families.h"

namespace socktale {
namespace {

// Where a call's descriptor is.
enum class Names { kNone, kFd, kResult };

Names WhatNamesItsDescriptor(Call call) {
  if (ReturnsNewDescriptor(call)) return Names::kResult;
  switch (call) {
    case CALL_UNKNOWN:
    case CALL_POLL:
    case CALL_PPOLL:
    case CALL_SELECT:
    case CALL_PSELECT:
    case CALL_FORK:
    case CALL_VFORK:
    case CALL_EXECVE:
    case CALL_POSIX_SPAWN:
    case CALL_CLONE:
    case CALL_SYSTEM:
    case CALL_DAEMON:
    case CALL_EXIT:
    case CALL_GETADDRINFO:
    case CALL_GETNAMEINFO:
    case CALL_GETHOSTBYNAME:
    case CALL_GETHOSTBYADDR:
    case CALL_DLOPEN:
    case CALL_DLMOPEN:
    case CALL_ATTACHED:
    case CALL_EXECUTING:
      return Names::kNone;
    default:
      return Names::kFd;
  }
}

// Whether the life of Event.fd begins within the call that tells of it.
bool MakesItsDescriptor(Call call) {
  switch (call) {
    case CALL_SOCKETPAIR:
    case CALL_PIPE:
    case CALL_PIPE2:
    case CALL_OPENPTY:
    case CALL_FORKPTY:
    case CALL_FOUND:
      return true;
    default:
      return false;
  }
}

bool IsDatagram(const Object& object) { return !IsStreamType(object.type()); }

// Whether a datagram's address may be that of `endpoint`: the same port, and one of both a wildcard.
bool MayMatch(const InternetAddress& address, const Endpoint& endpoint) {
  const auto other = ParseInternetAddress(endpoint.address());
  return other && address.port == other->port && SameHost(address, *other);
}

bool IsWildcard(absl::string_view address) {
  const auto internet = ParseInternetAddress(address);
  return internet && internet->IsWildcard();
}

}  // namespace

Call CallToldOf(const EventView& event) {
  return event.call == CALL_LEFT ? static_cast<Call>(event.option) : event.call;
}

bool HasDescriptor(Call call) { return WhatNamesItsDescriptor(call) != Names::kNone; }

bool WorksOnDescriptor(Call call) {
  switch (call) {
    case CALL_ACCEPT:
    case CALL_ACCEPT4:
    case CALL_OPENAT:
    case CALL_SIGNALFD:
    case CALL_OPEN_BY_HANDLE_AT:
    case CALL_OPEN_TREE:
    case CALL_FSMOUNT:
    case CALL_FSPICK:
      return true;
    default:
      return HasDescriptor(call) && !ReturnsNewDescriptor(call) && !MakesItsDescriptor(call);
  }
}

Lookup::Lookup(const Tables& tables) {
  for (const Process& process : tables.process()) {
    processes_.try_emplace(process.id(), &process);
    by_pid_[process.pid()].push_back(&process);
    for (const Image& image : process.image()) {
      if (image.number() != 0) images_.try_emplace(image.number(), &process);
    }
  }
  for (const DescriptorLife& life : tables.life()) {
    lives_.try_emplace(life.id(), &life);
    by_number_[{life.process(), life.fd()}].push_back(&life);
    lives_of_process_[life.process()].push_back(&life);
    if (life.object() != 0) lives_of_object_[life.object()].push_back(&life);
  }
  for (auto& [number, lives] : by_number_) {
    std::stable_sort(lives.begin(), lives.end(),
                     [](const DescriptorLife* a, const DescriptorLife* b) { return a->start_ns() < b->start_ns(); });
  }
  for (const Object& object : tables.object()) objects_.try_emplace(object.id(), &object);
  for (const Connection& connection : tables.connection()) {
    connections_.try_emplace(connection.id(), &connection);
    for (const bool client : {true, false}) {
      const Side side = {&connection, client};
      if (side.mine().object() != 0) by_object_[side.mine().object()].push_back(side);
    }
  }
  for (auto& [object, sides] : by_object_) {
    std::stable_sort(sides.begin(), sides.end(),
                     [](const Side& a, const Side& b) { return a.mine().start_ns() < b.mine().start_ns(); });
    const Object* socket = this->object(object);
    if (socket == nullptr || !IsDatagram(*socket)) continue;
    Peers& peers = peers_[object];
    for (const Side& side : sides) {
      peers.by_address.try_emplace(AddressKey(side.other().address(), ""), side);
      if (IsWildcard(side.other().address())) peers.wildcards.push_back(side);
    }
  }
}

Side Lookup::PeerAt(const Object& object, const std::vector<Side>& sides, absl::string_view address) const {
  const auto peers = peers_.find(object.id());
  if (peers == peers_.end()) return {};
  const auto peer = peers->second.by_address.find(AddressKey(address, ""));
  if (peer != peers->second.by_address.end()) return peer->second;
  const auto internet = ParseInternetAddress(address);
  if (!internet) return {};
  for (const Side& side : internet->IsWildcard() ? sides : peers->second.wildcards) {
    if (MayMatch(*internet, side.other())) return side;
  }
  return {};
}

const std::vector<const DescriptorLife*>& Lookup::LivesOfProcess(uint32_t process) const {
  static const std::vector<const DescriptorLife*> kNone;
  const auto lives = lives_of_process_.find(process);
  return lives == lives_of_process_.end() ? kNone : lives->second;
}

const Process* Lookup::ProcessOf(const RunView& run, const EventView& event) const {
  const Process* process = ProcessOfImage(run.image);
  if ((event.notes & EVENT_NOTE_VFORK_CHILD) == 0 || process == nullptr) return process;
  const auto uses = by_pid_.find(event.pid);
  if (uses == by_pid_.end()) return process;
  for (auto use = uses->second.rbegin(); use != uses->second.rend(); ++use) {
    if ((*use)->parent() == process->id() && (*use)->start_ns() <= event.end_ns()) return *use;
  }
  return process;
}

const std::vector<const DescriptorLife*>& Lookup::LivesOfObject(uint32_t object) const {
  static const std::vector<const DescriptorLife*> kNone;
  const auto lives = lives_of_object_.find(object);
  return lives == lives_of_object_.end() ? kNone : lives->second;
}

const DescriptorLife* Lookup::LifeAt(uint32_t process, int32_t fd, uint64_t time_ns) const {
  const auto found = by_number_.find({process, fd});
  if (found == by_number_.end()) return nullptr;
  const std::vector<const DescriptorLife*>& lives = found->second;
  auto after = std::upper_bound(lives.begin(), lives.end(), time_ns,
                                [](uint64_t time, const DescriptorLife* life) { return time < life->start_ns(); });
  if (after == lives.begin()) return nullptr;
  const DescriptorLife* life = *--after;
  return life->end() == LIFE_END_OPEN || life->end_ns() >= time_ns ? life : nullptr;
}

const DescriptorLife* Lookup::LifeOf(const Process* process, const EventView& event) const {
  if (process == nullptr) return nullptr;
  if (event.call == CALL_LEFT && !WorksOnDescriptor(CallToldOf(event))) return nullptr;
  switch (WhatNamesItsDescriptor(event.call)) {
    case Names::kNone:
      return nullptr;
    case Names::kResult:
      if (event.error == 0 && event.result >= 0) {
        return LifeAt(process->id(), static_cast<int32_t>(event.result), event.end_ns());
      }
      // A failed accept is still something the listener saw.
      return event.call == CALL_ACCEPT || event.call == CALL_ACCEPT4 ? LifeAt(process->id(), event.fd, event.start_ns)
                                                                     : nullptr;
    case Names::kFd:
      break;
  }
  return LifeAt(process->id(), event.fd, MakesItsDescriptor(event.call) ? event.end_ns() : event.start_ns);
}

const DescriptorLife* Lookup::LifeOfNumber(const Process* process, const EventView& event,
                                           const DescriptorLife* life) const {
  const bool of_result = event.error == 0 && event.result == event.fd;
  if (process == nullptr || of_result || !ReturnsNewDescriptor(event.call)) return life;
  return LifeAt(process->id(), event.fd, event.start_ns);
}

const DescriptorLife* Lookup::SourceOf(const Process* process, const EventView& event) const {
  if (process == nullptr || !IsCopy(event.call)) return nullptr;
  return LifeAt(process->id(), event.new_fd, event.start_ns);
}

Side Lookup::ConnectedAt(const Object& object, const std::vector<Side>& sides, uint64_t time_ns) const {
  const auto nameless = [&] { return PeerAt(object, sides, ""); };
  const auto& connected = object.connected();
  if (connected.empty()) {
    // Connected once, or a receive that did not ask who sent. What is neither belongs to all of its peers, and to none.
    if (object.connection() == 0) return nameless();
    const auto its = std::find_if(sides.begin(), sides.end(),
                                  [&](const Side& side) { return side.connection->id() == object.connection(); });
    return its == sides.end() ? Side() : *its;
  }
  const auto after = std::upper_bound(connected.begin(), connected.end(), time_ns,
                                      [](uint64_t time, const Object::Connected& next) { return time < next.at_ns(); });
  if (after == connected.begin()) {
    if (const Side side = nameless(); side.connection != nullptr) return side;
  }
  // What came before the first belongs to it.
  const uint32_t id = (after == connected.begin() ? *after : *(after - 1)).connection();
  const Connection* its = id == 0 ? nullptr : connection(id);
  if (its == nullptr) return nameless();
  return {its, its->client().object() == object.id()};
}

Side Lookup::SideAt(const std::vector<Side>& sides, const Object& object, absl::string_view address,
                    uint64_t time_ns) const {
  if (IsDatagram(object) && !address.empty()) return PeerAt(object, sides, address);
  if (IsDatagram(object) && sides.size() > 1) return ConnectedAt(object, sides, time_ns);
  // Several attempts on one socket: the last that had begun; what came before the first belongs to it.
  const auto after = std::upper_bound(sides.begin(), sides.end(), time_ns,
                                      [](uint64_t time, const Side& side) { return time < side.mine().start_ns(); });
  return after == sides.begin() ? sides.front() : *(after - 1);
}

std::vector<Side> Lookup::SidesOf(const Object& object, const EventView& event) const {
  const auto found = by_object_.find(object.id());
  if (found == by_object_.end()) return {};
  std::vector<Side> sides;
  const auto add = [&sides](const Side& side) {
    const bool there = std::any_of(sides.begin(), sides.end(), [&](const Side& other) {
      return other.connection == side.connection && other.client == side.client;
    });
    if (side.connection != nullptr && !there) sides.push_back(side);
  };
  for (const absl::string_view bytes : event.datagrams) {
    DatagramView datagram;
    if (!ParseDatagram(bytes, datagram).ok()) break;
    add(SideAt(found->second, object, datagram.address, event.end_ns()));
  }
  const bool names_itself = event.call == CALL_BIND || event.call == CALL_GETSOCKNAME;
  if (event.datagrams.empty()) {
    add(SideAt(found->second, object, names_itself ? "" : event.address, event.end_ns()));
  }
  return sides;
}

std::vector<std::pair<uint64_t, uint64_t>> Lookup::MessagesOf(const Side& side, const Object& object,
                                                              const EventView& event) const {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  const auto found = by_object_.find(object.id());
  if (found == by_object_.end()) return ranges;
  uint64_t offset = 0;
  for (const absl::string_view bytes : event.datagrams) {
    DatagramView datagram;
    if (!ParseDatagram(bytes, datagram).ok()) break;
    const Side theirs = SideAt(found->second, object, datagram.address, event.end_ns());
    if (theirs.connection == side.connection && theirs.client == side.client) {
      ranges.emplace_back(offset, datagram.size);
    }
    offset += datagram.size;
  }
  return ranges;
}

}  // namespace socktale
