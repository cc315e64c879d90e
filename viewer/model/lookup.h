// SPDX-License-Identifier: Apache-2.0
//
// Finds things in a trace's tables: by id, by image, by descriptor and time.

#ifndef SOCKTALE_VIEWER_MODEL_LOOKUP_H_
#define SOCKTALE_VIEWER_MODEL_LOOKUP_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "proto/event_view.h"
#include "proto/trace.pb.h"

namespace socktale {

// One end of a connection, seen from the object it is of.
struct Side {
  const Connection* connection = nullptr;
  bool client = false;

  const Endpoint& mine() const { return client ? connection->client() : connection->server(); }
  const Endpoint& other() const { return client ? connection->server() : connection->client(); }
};

// The call that an event tells of, which of CALL_LEFT is the one that was left.
Call CallToldOf(const EventView& event);

// Whether Event.fd of a call is a descriptor's number where it is not negative: of the one worked on, or the one made.
bool HasDescriptor(Call call);

// Whether a call works on a descriptor that was there before it, which is what its Event.fd and Thread.in_fd name.
bool WorksOnDescriptor(Call call);

// The tables must outlive it. Ids that hostile tables repeat or leave out find the first one or nothing.
class Lookup {
 public:
  explicit Lookup(const Tables& tables);

  const Process* process(uint32_t id) const { return Find(processes_, id); }
  const DescriptorLife* life(uint32_t id) const { return Find(lives_, id); }
  const Object* object(uint32_t id) const { return Find(objects_, id); }
  const Connection* connection(uint32_t id) const { return Find(connections_, id); }
  const Process* ProcessOfImage(uint32_t image) const { return Find(images_, image); }

  // The process an event was made in: of its run's image, or the vfork child that it names.
  const Process* ProcessOf(const RunView& run, const EventView& event) const;

  // Every life of every descriptor that named an object; empty for none.
  const std::vector<const DescriptorLife*>& LivesOfObject(uint32_t object) const;
  // … of a process's numbers.
  const std::vector<const DescriptorLife*>& LivesOfProcess(uint32_t process) const;

  // See Trace::LifeAt.
  const DescriptorLife* LifeAt(uint32_t process, int32_t fd, uint64_t time_ns) const;

  // The life an event works on; what it makes for calls that make one. Null for calls without a descriptor.
  const DescriptorLife* LifeOf(const Process* process, const EventView& event) const;

  // The life of Event.fd itself: of calls that work on one descriptor and return another (accept, openat) that of the
  // one worked on. life: LifeOf.
  const DescriptorLife* LifeOfNumber(const Process* process, const EventView& event, const DescriptorLife* life) const;

  // The life that sendfile or splice took its bytes from (Event.new_fd). Null for other calls.
  const DescriptorLife* SourceOf(const Process* process, const EventView& event) const;

  // The ends of connections that an event on `object` belongs to: one, or with the messages of sendmmsg and recvmmsg
  // one for each peer. Empty when it belongs to none.
  std::vector<Side> SidesOf(const Object& object, const EventView& event) const;

  // Which of a call's messages belong to `side`: ranges of the call's whole payload, in order. Only for calls that
  // carry datagrams.
  std::vector<std::pair<uint64_t, uint64_t>> MessagesOf(const Side& side, const Object& object,
                                                        const EventView& event) const;

 private:
  template <typename T>
  using ById = absl::flat_hash_map<uint32_t, const T*>;
  template <typename T>
  static const T* Find(const ById<T>& table, uint32_t id) {
    const auto found = table.find(id);
    return found == table.end() ? nullptr : found->second;
  }
  Side SideAt(const std::vector<Side>& sides, const Object& object, absl::string_view address, uint64_t time_ns) const;

  // The end of a datagram socket that calls without an address belong to. sides: of it, several.
  Side ConnectedAt(const Object& object, const std::vector<Side>& sides, uint64_t time_ns) const;

  // The end whose peer has this address, among `sides` of a datagram socket.
  Side PeerAt(const Object& object, const std::vector<Side>& sides, absl::string_view address) const;

  // The ends of one datagram socket by their peers: there may be as many as it has datagrams.
  struct Peers {
    absl::flat_hash_map<std::string, Side> by_address;  // AddressKey
    std::vector<Side> wildcards;                        // whose peer's address is one, by start
  };

  ById<Process> processes_;
  ById<Process> images_;
  ById<DescriptorLife> lives_;
  ById<Object> objects_;
  ById<Connection> connections_;
  absl::flat_hash_map<std::pair<uint32_t, int32_t>, std::vector<const DescriptorLife*>> by_number_;  // by start
  absl::flat_hash_map<uint32_t, std::vector<Side>> by_object_;                                       // by start
  absl::flat_hash_map<uint32_t, Peers> peers_;                                                       // by object
  absl::flat_hash_map<uint32_t, std::vector<const DescriptorLife*>> lives_of_object_;
  absl::flat_hash_map<uint32_t, std::vector<const DescriptorLife*>> lives_of_process_;
  absl::flat_hash_map<uint32_t, std::vector<const Process*>> by_pid_;
};

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_MODEL_LOOKUP_H_
