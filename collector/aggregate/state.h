// SPDX-License-Identifier: Apache-2.0
//
// What the state machine knows: plain records in vectors, named by their index. Index 0 stands for "none" everywhere.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_STATE_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_STATE_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "proto/trace.pb.h"

namespace socktale {

// Sequence numbers of blocks, in the order first seen; mostly rising, so that a look at the last few keeps out nearly
// all repetitions.
class BlockList {
 public:
  void Add(uint32_t block) {
    for (size_t i = blocks_.size(), n = 0; i > 0 && n < 4; --i, ++n) {
      if (blocks_[i - 1] == block) return;
    }
    blocks_.push_back(block);
  }
  const std::vector<uint32_t>& blocks() const { return blocks_; }

 private:
  std::vector<uint32_t> blocks_;
};

// How a process came to be known.
enum class Origin {
  kAttached,  // by its own CALL_ATTACHED, or by events without one
  kChild,     // its parent forked or spawned it; its first image has not attached yet
};

struct ProcessState {
  uint32_t pid = 0;
  uint64_t pid_namespace = 0;
  uint32_t pid_use = 1;
  uint32_t parent = 0;
  Origin origin = Origin::kAttached;
  std::string name;
  std::string cwd;
  std::vector<Image> images;
  uint64_t start_ns = 0;
  uint64_t end_ns = 0;
  bool ended = false;
  bool status_known = false;
  int32_t exit_status = 0;
  uint32_t exit_signal = 0;
  uint32_t open_count = 0;
  uint32_t peak_count = 0;
  uint64_t peak_ns = 0;
  uint64_t limit = 0;
  uint64_t event_count = 0;
  uint32_t user = 0;
  uint64_t network_namespace = 0;
  uint64_t drops = 0;

  // After an exec or a start CALL_FOUND events tell what descriptors there are; the image's first other event ends
  // them.
  bool settling = false;
  uint32_t settling_image = 0;
  uint64_t attached_ns = 0;
  uint32_t found = 0;

  // Between CALL_EXECUTING and what comes of it.
  bool executing = false;
  uint64_t executing_ns = 0;
  Image next_image;

  uint64_t implicit_closes = 0;
  uint64_t payload_moved = 0;  // over connections, bytes
  uint64_t payload_kept = 0;
  uint64_t payload_not_seen = 0;

  absl::flat_hash_map<int32_t, uint32_t> table;                     // number → its latest life
  absl::flat_hash_map<std::array<uint8_t, 16>, uint32_t> resolved;  // address → index of names
};

struct ThreadState {
  uint32_t process = 0;
  uint32_t tid = 0;
  uint32_t image = 0;
  uint64_t thread_start_ns = 0;
  uint64_t start_ns = 0;
  uint64_t end_ns = 0;
  uint64_t event_count = 0;
  Call in_call = CALL_UNKNOWN;
  uint64_t in_since_ns = 0;
  int32_t in_fd = 0;
  uint64_t waited_ns = 0;   // time in poll, select and epoll_wait so far
  uint32_t wait_block = 0;  // where its last one stands
};

struct LifeState {
  uint32_t process = 0;
  int32_t fd = 0;
  uint32_t object = 0;
  uint32_t from = 0;          // life it was copied from
  uint32_t previous = 0;      // the life of this number before
  uint32_t confirmed_by = 0;  // image that found it open at its start
  DescriptorKind kind = DESCRIPTOR_KIND_UNKNOWN;
  LifeBegin begin = LIFE_BEGIN_UNKNOWN;
  LifeEnd end = LIFE_END_OPEN;
  Call made_by = CALL_UNKNOWN;
  bool close_on_exec = false;
  uint64_t start_ns = 0;
  uint64_t end_ns = 0;
  uint64_t last_use_ns = 0;
  uint64_t event_count = 0;
};

struct ObjectState {
  DescriptorKind kind = DESCRIPTOR_KIND_UNKNOWN;
  uint64_t cookie = 0;
  uint64_t inode = 0;
  std::string path;
  uint32_t domain = 0;
  uint32_t type = 0;  // without flags
  uint32_t protocol = 0;
  std::string local;
  std::string peer;
  bool listening = false;
  uint64_t listen_ns = 0;
  uint32_t accepted = 0;
  uint32_t accepted_from = 0;
  uint32_t pair = 0;
  uint32_t status_flags = 0;
  uint32_t peer_pid = 0;
  uint64_t network_namespace = 0;
  uint32_t process = 0;  // that it was made in, or first seen in
  bool shared = false;   // other processes had it, too
  uint32_t open_lives = 0;
  uint32_t last_life = 0;
  uint64_t gone_ns = 0;    // when its last descriptor was closed
  uint32_t flow = 0;       // the flow that calls without an address belong to
  uint32_t last_flow = 0;  // chain of all its flows, by FlowState::previous
  std::string maker_cwd;   // of the process that bound it: what its relative path begins at
  absl::flat_hash_set<int32_t> watches;
  BlockList blocks;  // of calls that belong to the object but to no flow of it
};

// One end of a possible connection: an attempt to connect, an accepted socket, one half of a socketpair, or a datagram
// socket's talk with one peer.
struct FlowState {
  uint32_t object = 0;
  uint32_t previous = 0;  // the object's flow before this one
  Role role = ROLE_UNKNOWN;
  uint32_t pair = 0;  // socketpair: the other half
  std::string local;  // struct sockaddr; empty: see the object
  std::string peer;
  std::string peer_key;  // AddressKey of peer
  uint32_t peer_pid = 0;
  uint32_t maker = 0;  // process, and its descriptor
  int32_t maker_fd = 0;
  uint32_t name = 0;        // index of names: what the peer's address was resolved from
  bool pending = false;     // a connect without blocking has not come through yet
  bool unanswered = false;  // … and no later connect has said how it went: one more of them is about this connection
  bool failed = false;      // the attempt came to nothing; `error` says why
  bool inherited = false;   // was connected when recording began
  uint32_t error = 0;       // errno that ended it
  uint64_t start_ns = 0;
  uint64_t established_ns = 0;
  uint64_t called_ns = 0;      // return of the connect or accept call
  uint64_t end_ns = 0;         // last descriptor closed, or the attempt failed
  bool process_ended = false;  // end_ns is the end of its last process, nobody closed it
  uint64_t first_end_ns = 0;   // shut down for writing, or closed
  uint64_t eof_ns = 0;         // the other end's end was read
  uint64_t sent = 0, received = 0, kept_sent = 0, kept_received = 0;
  uint64_t events = 0;
  uint64_t datagrams = 0;
  // Waiting: what the last thread that used it had waited until then, so that the time since can be told.
  uint32_t last_thread = 0;
  uint64_t last_waited_ns = 0;
  uint64_t last_use_ns = 0;
  uint64_t wait_ns = 0;
  struct Talker {
    uint32_t process = 0;
    int32_t fd = 0;
    uint64_t weight = 0;  // bytes, plus one per call
  };
  std::vector<Talker> talkers;  // at most kMaxTalkers
  BlockList blocks;
};
inline constexpr size_t kMaxTalkers = 16;

// Hostile input must not eat memory: fork copies tables, so a small file could ask for any number of lives.
inline constexpr size_t kMaxLives = 1 << 22;

struct NameState {
  std::string host;
  std::string address;  // struct sockaddr, port 0
  uint32_t block = 0;   // where the last getaddrinfo that said so stands
};

struct World {
  World() : processes(1), threads(1), lives(1), objects(1), flows(1), names(1) {}

  std::vector<ProcessState> processes;
  std::vector<ThreadState> threads;
  std::vector<LifeState> lives;
  std::vector<ObjectState> objects;
  std::vector<FlowState> flows;
  std::vector<NameState> names;
  std::vector<Missing> not_recorded;  // programs that the collector knows it could not enter
  uint64_t event_count = 0;
  uint64_t last_ns = 0;  // latest time of an event
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_STATE_H_
