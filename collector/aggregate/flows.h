// SPDX-License-Identifier: Apache-2.0
//
// Ends of connections: attempts to connect, accepted sockets, halves of socketpairs, datagram sockets' talks with one
// peer each; what moved over them, how they began and ended. joins.h makes connections of them.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_FLOWS_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_FLOWS_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "collector/aggregate/pending.h"
#include "collector/aggregate/state.h"
#include "proto/event_view.h"

namespace socktale {

// A call being applied. event: fields beyond the record's, empty where the record had none.
struct Applied {
  const Record& record;
  const EventView& event;
  uint32_t process = 0;
  uint32_t thread = 0;
};

// Whether sockets of a domain make connections. Netlink, packet and crypto sockets talk to the kernel.
bool Connects(uint32_t domain);

class Flows {
 public:
  explicit Flows(World& world) : world_(world) {}

  void Connect(uint32_t object, const Applied& call);
  void Accepted(uint32_t object, uint32_t listener, int32_t fd, const Applied& call);
  void Pair(uint32_t first, uint32_t second, const Applied& call);
  void FoundConnected(uint32_t object, uint32_t process, int32_t fd, absl::string_view peer, uint64_t now_ns);
  void LocalName(uint32_t object, absl::string_view address);

  // A call that moves bytes, or failed to. Returns the flow that a continuation of it belongs to, 0: none.
  uint32_t Transfer(uint32_t object, const Applied& call);
  void Continue(uint32_t flow, const Applied& call);

  void Shutdown(uint32_t object, const Applied& call);
  void SocketError(uint32_t object, uint32_t error, uint64_t now_ns);  // SO_ERROR was asked
  void Writable(uint32_t object, uint64_t now_ns);

  // Any other call on the object.
  void Touch(uint32_t object, const Applied& call);
  // A record that the shim made of the object, not the program: it stands in `block`.
  void Note(uint32_t object, uint32_t block);

 private:
  // Returns 0 when there are too many: flow 0 belongs to nobody, takes what it is given and is never told.
  uint32_t Make(uint32_t object, Role role, uint32_t process, int32_t fd, absl::string_view peer, uint64_t now_ns);
  void Disconnect(uint32_t object, const Applied& call);
  void SetPeer(uint32_t object, uint32_t flow, uint64_t now_ns);  // of a datagram socket, 0: none
  uint32_t Datagram(uint32_t object, absl::string_view address, bool out, const Applied& call);
  void Move(uint32_t flow, bool out, uint64_t moved, uint64_t kept, const Applied& call);
  void Waited(FlowState& flow, bool came, const Applied& call);
  void Talk(FlowState& flow, const Applied& call, uint64_t moved);
  void Establish(FlowState& flow, uint64_t now_ns);
  void Fail(FlowState& flow, uint32_t error, uint64_t now_ns);
  uint32_t Resolved(uint32_t process, absl::string_view address) const;

  World& world_;
  absl::flat_hash_map<std::pair<uint32_t, std::string>, uint32_t> datagram_flows_;  // object, peer → flow
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_FLOWS_H_
