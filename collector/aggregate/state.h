// SPDX-License-Identifier: Apache-2.0
//
// What the state machine knows: plain records in vectors, named by their index. Index 0 stands for "none" everywhere.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_STATE_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_STATE_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "collector/aggregate/limits.h"
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

// A plugin opened past the shim, in a process.
struct Plugin {
  std::string path;
  bool opened = false;  // by the process itself
  bool mapped = false;  // in the memory that the process has now: exec takes it away
};

// How a process came to be known.
enum class Origin {
  kAttached,  // by its own CALL_ATTACHED, or by events without one
  kChild,     // its parent forked or spawned it; its first image has not attached yet
};

struct ProcessState {
  uint32_t pid = 0;            // as its parent saw it where that was recorded, else as it saw itself
  uint64_t pid_namespace = 0;  // that `pid` counts in; 0: not known
  uint32_t own_pid = 0;        // as it saw itself: 1 for the first process of a container
  uint64_t own_namespace = 0;  // that own_pid counts in; 0: not known
  uint32_t pid_use = 1;
  uint32_t parent = 0;
  Origin origin = Origin::kAttached;
  std::string name;
  std::string cwd;
  std::vector<Image> images;
  uint32_t bare_images = 0;  // of them, those in the middle that only have their number and start left
  uint64_t start_ns = 0;
  uint64_t end_ns = 0;
  bool ended = false;
  bool end_inferred = false;  // nobody saw it end: its parent, which had waited as after vfork, went on
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

  bool made_io_uring = false;   // by syscall(2)
  bool maps_io_uring = false;   // has such a ring in its memory, made by itself or, before a fork, by its parent
  std::vector<Plugin> plugins;  // the first of them
  uint64_t more_plugins = 0;    // opened by the process itself
  uint64_t left_calls = 0;      // that did not come back
  uint64_t implicit_closes = 0;
  uint64_t payload_moved = 0;  // over connections, bytes
  uint64_t payload_kept = 0;
  uint64_t payload_not_seen = 0;
  uint64_t payload_awaited = 0;  // of transfers that go on in continuations which have not come yet

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

// How often a call was made.
struct CallState {
  uint64_t calls = 0;
  uint64_t failed = 0;
  uint64_t bytes = 0;  // moved
  uint64_t kept = 0;   // of these, with their payload
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
  // When its last descriptor was closed, 0: some are open. Its connections end then, too, unless they have an end of
  // their own; one that comes back, by SCM_RIGHTS, was on its way and had no end.
  uint64_t gone_ns = 0;
  bool gone_by_process = false;  // nobody closed it: its last process ended
  uint32_t flow = 0;             // the flow that calls without an address belong to
  struct Connected {
    uint64_t at_ns = 0;
    uint32_t flow = 0;  // 0: connected to nobody
  };
  std::vector<Connected> connected;                // datagram sockets: each change of `flow` by connect, in order
  uint32_t last_flow = 0;                          // chain of all its flows, by FlowState::previous
  std::string maker_cwd;                           // of the process that bound it: what its relative path begins at
  absl::flat_hash_map<int32_t, uint32_t> watches;  // epoll: descriptor as given → object, 0: not known
  uint32_t peers = 0;                              // flows that a datagram socket has with peers
  BlockList blocks;                                // of calls that belong to the object but to no flow of it
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
  uint32_t error = 0;       // errno that ended it
  uint64_t start_ns = 0;
  uint64_t established_ns = 0;
  uint64_t called_ns = 0;      // return of the connect or accept call
  uint64_t end_ns = 0;         // the attempt failed, or another connect took its place; EndOf() has the whole truth
  uint64_t first_end_ns = 0;   // shut down for writing, or ended by another connect
  uint64_t eof_ns = 0;         // the other end's end was read
  bool reads_no_more = false;  // shut down for reading: an end that is read then is its own
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

// Of a type as given to socket(): SOCK_* without SOCK_CLOEXEC and SOCK_NONBLOCK.
inline constexpr uint32_t kSocketTypeMask = 0xf;

struct NameState {
  std::string host;
  std::string address;  // struct sockaddr, port 0
  uint32_t block = 0;   // where the last getaddrinfo that said so stands
};

struct World {
  explicit World(const Limits& most)
      : limits(most), processes(1), threads(1), lives(1), objects(1), flows(1), names(1) {}

  // Whether one more of anything may be made. If not, that it was left out is counted.
  bool Room() {
    const size_t things = processes.size() + threads.size() + lives.size() + objects.size() + flows.size() + connects;
    if (things < limits.things) return true;
    ++left_out;
    return false;
  }

  const Limits limits;
  std::vector<ProcessState> processes;
  std::vector<ThreadState> threads;
  std::vector<LifeState> lives;
  std::vector<ObjectState> objects;
  std::vector<FlowState> flows;
  std::vector<NameState> names;
  std::vector<Missing> not_recorded;  // programs that the collector knows it could not enter
  uint64_t event_count = 0;
  std::array<CallState, Call_ARRAYSIZE> calls;
  size_t copied_lives = 0;
  size_t connects = 0;            // entries of all ObjectState::connected
  uint64_t left_out = 0;          // what a limit kept out of the tables
  uint64_t folded_datagrams = 0;  // that went to a socket's flow for all further peers
};

// How a flow ended: by itself, or with the last descriptor of its socket.
struct FlowEnd {
  uint64_t end_ns = 0;        // 0: it did not
  uint64_t first_end_ns = 0;  // when this end began to end it: shut down for writing, or closed; 0: it never did
  bool by_process = false;    // end_ns is the end of its last process, nobody closed it
};
inline FlowEnd EndOf(const World& world, const FlowState& flow) {
  FlowEnd end = {flow.end_ns, flow.first_end_ns, false};
  const ObjectState& object = world.objects[flow.object];
  if (end.end_ns != 0 || object.gone_ns == 0) return end;
  end.end_ns = std::max(object.gone_ns, flow.start_ns);
  end.by_process = object.gone_by_process;
  if (!end.by_process && end.first_end_ns == 0) end.first_end_ns = end.end_ns;
  return end;
}

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_STATE_H_
