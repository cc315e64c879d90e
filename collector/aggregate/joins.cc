// SPDX-License-Identifier: Apache-2.0
//
// Pairs the ends of connections: socketpairs by their call, internet sockets by mirrored addresses, UNIX sockets by
// names, credentials and the order of the listener's queue.

#include "collector/aggregate/joins.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "collector/aggregate/address.h"
#include "collector/aggregate/client_queue.h"
#include "collector/aggregate/socket_type.h"

namespace socktale {
namespace {

// How many candidates are weighed for one flow, on each side of it in time. More of them share two addresses, and one
// another's time, in hostile traces only.
constexpr size_t kMaxCandidates = 256;

class Joiner {
 public:
  Joiner(const World& world, Meanwhile& meanwhile)
      : world_(world), meanwhile_(meanwhile), partner_(world.flows.size(), 0) {}

  std::vector<Joined> Run();

 private:
  struct Candidate {
    uint32_t flow = 0;
    InternetAddress local;
    InternetAddress peer;
  };

  const ObjectState& Object(const FlowState& flow) const { return world_.objects[flow.object]; }
  const std::string& Cwd(const FlowState& flow) const {
    const std::string& bound = Object(flow).maker_cwd;
    return bound.empty() ? world_.processes[flow.maker].cwd : bound;
  }
  bool Worth(const FlowState& flow) const;
  void Pairs();
  void Internet();
  void UnixStreams();
  void UnixDatagrams();
  void Join(uint32_t a, uint32_t b, JoinKind kind);
  bool FirstIsClient(uint32_t a, uint32_t b) const;
  bool SameNetwork(const FlowState& a, const FlowState& b) const;

  const World& world_;
  Meanwhile& meanwhile_;
  std::vector<uint32_t> partner_;
  std::vector<Joined> joined_;
};

bool Joiner::Worth(const FlowState& flow) const {
  if (flow.role == ROLE_PAIR) {
    // A pair that one process keeps to wake itself up is plumbing until something comes across.
    const FlowState& other = world_.flows[flow.pair];
    if (flow.received + other.received > 0) return true;
    return flow.datagrams + other.datagrams > 0 && (Object(flow).shared || Object(other).shared);
  }
  return IsStreamType(Object(flow).type) || flow.datagrams > 0 || flow.failed || flow.error != 0;
}

bool Joiner::SameNetwork(const FlowState& a, const FlowState& b) const {
  const uint64_t ns_a = Object(a).network_namespace;
  const uint64_t ns_b = Object(b).network_namespace;
  return ns_a == ns_b || ns_a == 0 || ns_b == 0;
}

bool Joiner::FirstIsClient(uint32_t a, uint32_t b) const {
  const FlowState& first = world_.flows[a];
  const FlowState& second = world_.flows[b];
  if (first.role != second.role) {
    if (first.role == ROLE_CLIENT || second.role == ROLE_SERVER) return true;
    if (first.role == ROLE_SERVER || second.role == ROLE_CLIENT) return false;
  }
  return std::make_pair(first.start_ns, a) < std::make_pair(second.start_ns, b);
}

void Joiner::Join(uint32_t a, uint32_t b, JoinKind kind) {
  partner_[a] = b;
  partner_[b] = a;
  if (!FirstIsClient(a, b)) std::swap(a, b);
  joined_.push_back({a, b, kind});
}

void Joiner::Pairs() {
  for (uint32_t id = 1; id < world_.flows.size(); ++id) {
    meanwhile_.Step();
    const FlowState& flow = world_.flows[id];
    if (flow.role != ROLE_PAIR || flow.pair <= id || !Worth(flow)) continue;
    partner_[id] = flow.pair;
    partner_[flow.pair] = id;
    joined_.push_back({id, flow.pair, JOIN_KIND_PAIR});
  }
}

// Both ends name the same two addresses, each from its side. Where a port pair was used again, the nearest in time that
// fits: an accept never returns before its connect was entered.
void Joiner::Internet() {
  absl::flat_hash_map<std::tuple<bool, uint16_t, uint16_t>, std::vector<Candidate>> by_ports;
  std::vector<Candidate> all;
  for (uint32_t id = 1; id < world_.flows.size(); ++id) {
    meanwhile_.Step();
    const FlowState& flow = world_.flows[id];
    // An attempt that was reset may have been accepted: the other side closed before this one asked how it went.
    if ((flow.failed && flow.error != ECONNRESET) || partner_[id] != 0 || !Worth(flow)) continue;
    const auto local = ParseInternetAddress(LocalAddress(world_, flow));
    const auto peer = ParseInternetAddress(flow.peer);
    if (!local || !peer || local->port == 0 || peer->port == 0) continue;
    const Candidate candidate = {id, *local, *peer};
    by_ports[{IsStreamType(Object(flow).type), local->port, peer->port}].push_back(candidate);
    all.push_back(candidate);
  }
  const auto start = [this](const Candidate& c) { return world_.flows[c.flow].start_ns; };
  const auto earlier = [&](const Candidate& a, const Candidate& b) {
    return std::make_pair(start(a), a.flow) < std::make_pair(start(b), b.flow);
  };
  for (auto& [ports, candidates] : by_ports) std::sort(candidates.begin(), candidates.end(), earlier);
  meanwhile_.Work();
  // Clients look for servers; what is left (inherited sockets, datagrams) looks for anything. Attempts that failed come
  // between: a server that fits one that was established is that one's.
  const auto turn = [this](const Candidate& c) {
    const FlowState& flow = world_.flows[c.flow];
    return flow.role != ROLE_CLIENT ? 2 : flow.failed ? 1 : 0;
  };
  std::sort(all.begin(), all.end(), [&](const Candidate& a, const Candidate& b) {
    const int a_turn = turn(a), b_turn = turn(b);
    return a_turn != b_turn ? a_turn < b_turn : earlier(a, b);
  });
  for (const Candidate& mine : all) {
    meanwhile_.Step();
    const FlowState& flow = world_.flows[mine.flow];
    if (partner_[mine.flow] != 0) continue;
    const bool stream = IsStreamType(Object(flow).type);
    const auto mirrored = by_ports.find({stream, mine.peer.port, mine.local.port});
    if (mirrored == by_ports.end()) continue;
    uint32_t best = 0;
    uint64_t best_distance = UINT64_MAX;
    const auto weigh = [&](const Candidate& other) {
      const FlowState& theirs = world_.flows[other.flow];
      if (partner_[other.flow] != 0 || theirs.object == flow.object) return;
      if (!SameHost(mine.local, other.peer) || !SameHost(mine.peer, other.local) || !SameNetwork(flow, theirs)) return;
      if (stream && theirs.role == flow.role && flow.role != ROLE_UNKNOWN) return;
      // One that was over before the other began is another use of the ports. Datagrams may wait in a queue.
      if (stream && flow.role == ROLE_CLIENT && theirs.role == ROLE_SERVER && theirs.called_ns < flow.start_ns) return;
      const uint64_t their_end_ns = EndOf(world_, theirs).end_ns;
      if (stream && their_end_ns != 0 && their_end_ns < flow.start_ns) return;
      const uint64_t distance = std::max(theirs.start_ns, flow.start_ns) - std::min(theirs.start_ns, flow.start_ns);
      if (distance < best_distance) {
        best_distance = distance;
        best = other.flow;
      }
    };
    const std::vector<Candidate>& others = mirrored->second;
    const auto near = std::lower_bound(others.begin(), others.end(), mine, earlier);
    const auto behind = static_cast<size_t>(others.end() - near);
    const auto before = static_cast<size_t>(near - others.begin());
    for (size_t i = 0; i < std::min(behind, kMaxCandidates); ++i) weigh(near[static_cast<ptrdiff_t>(i)]);
    for (size_t i = 1; i <= std::min(before, kMaxCandidates); ++i) weigh(near[-static_cast<ptrdiff_t>(i)]);
    if (best != 0) Join(mine.flow, best, JOIN_KIND_ADDRESSES);
  }
}

// A listener hands connections out in the order in which they were made; SO_PEERCRED on the accepted socket tells whose
// each is.
void Joiner::UnixStreams() {
  // By the listener's path; with it the client's pid, as anyone may see it, or the name that the client is bound to.
  using Key = std::tuple<std::string, uint32_t, std::string>;
  absl::flat_hash_map<Key, ClientQueue> queues;
  constexpr uint32_t kAnyPid = 0, kUnknownPid = UINT32_MAX;
  std::vector<uint32_t> accepted;
  for (uint32_t id = 1; id < world_.flows.size(); ++id) {
    meanwhile_.Step();
    const FlowState& flow = world_.flows[id];
    if (Object(flow).domain != AF_UNIX || !IsStreamType(Object(flow).type) || flow.failed || partner_[id] != 0)
      continue;
    if (flow.role == ROLE_SERVER) accepted.push_back(id);
    if (flow.role != ROLE_CLIENT || flow.established_ns == 0 || flow.peer_key.empty()) continue;
    const ProcessState& process = world_.processes[flow.maker];
    queues[{flow.peer_key, kAnyPid, ""}].Add(id);
    queues[{flow.peer_key, process.pid == 0 ? kUnknownPid : process.pid, ""}].Add(id);
    if (process.own_pid != process.pid) queues[{flow.peer_key, process.own_pid, ""}].Add(id);
    const std::string bound = UnixName(LocalAddress(world_, flow), Cwd(flow));
    if (!bound.empty()) queues[{flow.peer_key, kAnyPid, bound}].Add(id);
  }
  const auto earlier = [this](uint32_t a, uint32_t b) {
    return std::make_pair(world_.flows[a].start_ns, a) < std::make_pair(world_.flows[b].start_ns, b);
  };
  for (auto& [key, queue] : queues) queue.Sort(earlier);
  std::sort(accepted.begin(), accepted.end(), earlier);
  for (const uint32_t id : accepted) {
    meanwhile_.Step();
    const FlowState& flow = world_.flows[id];
    const ObjectState& listener = world_.objects[Object(flow).accepted_from];
    const std::string path = UnixName(listener.local, listener.maker_cwd);
    if (path.empty()) continue;
    const std::string bound_peer = UnixName(flow.peer, world_.processes[flow.maker].cwd);
    // The first two that may be in the listener's queue when this one was taken from it.
    const auto look = [&](const Key& key) {
      std::pair<uint32_t, uint32_t> found = {0, 0};
      const auto entry = queues.find(key);
      if (entry == queues.end()) return found;
      ClientQueue& queue = entry->second;
      const auto fits = [&](size_t at) {
        return at < queue.size() && world_.flows[queue[at]].start_ns <= flow.called_ns;
      };
      const size_t first = queue.Free(queue.From(world_, listener.listen_ns), partner_);
      if (!fits(first)) return found;
      found.first = queue[first];
      const size_t second = queue.Free(first + 1, partner_);
      if (fits(second)) found.second = queue[second];
      return found;
    };
    std::pair<uint32_t, uint32_t> candidates;
    if (!bound_peer.empty()) {
      candidates = look({path, kAnyPid, bound_peer});
    } else if (flow.peer_pid != 0) {
      candidates = look({path, flow.peer_pid, ""});
      if (candidates.first == 0) candidates = look({path, kUnknownPid, ""});
    } else {
      candidates = look({path, kAnyPid, ""});
    }
    const auto [chosen, rival] = candidates;
    if (chosen == 0) continue;
    // Without credentials anybody may be in the queue; with them, two connects of one process at the same time.
    const bool sure = !bound_peer.empty() || rival == 0 ||
                      (flow.peer_pid != 0 && world_.flows[rival].start_ns >= world_.flows[chosen].established_ns);
    Join(chosen, id, sure ? JOIN_KIND_ORDER : JOIN_KIND_GUESSED);
  }
}

void Joiner::UnixDatagrams() {
  // Flows with the same two names.
  struct Alike {
    std::vector<uint32_t> flows;
    size_t alone = 0;  // of them, those without a partner
    size_t first = 0;  // those before have a partner
  };
  std::map<std::pair<std::string, std::string>, Alike> by_names;
  const auto local_name = [this](const FlowState& flow) { return UnixName(LocalAddress(world_, flow), Cwd(flow)); };
  std::vector<std::pair<uint32_t, std::string>> flows;  // and the name of this end
  for (uint32_t id = 1; id < world_.flows.size(); ++id) {
    meanwhile_.Step();
    const FlowState& flow = world_.flows[id];
    if (Object(flow).domain != AF_UNIX || IsStreamType(Object(flow).type) || flow.failed || partner_[id] != 0 ||
        flow.datagrams == 0) {
      continue;
    }
    const std::string& local = flows.emplace_back(id, local_name(flow)).second;
    Alike& alike = by_names[{local, flow.peer_key}];
    alike.flows.push_back(id);
    ++alike.alone;
  }
  for (const auto& [id, local] : flows) {
    meanwhile_.Step();
    if (partner_[id] != 0) continue;
    const FlowState& flow = world_.flows[id];
    if (local.empty() && flow.peer_key.empty()) continue;
    const auto others = by_names.find({flow.peer_key, local});
    if (others == by_names.end()) continue;
    Alike& mirrored = others->second;
    while (mirrored.first < mirrored.flows.size() && partner_[mirrored.flows[mirrored.first]] != 0) ++mirrored.first;
    uint32_t only = 0;
    size_t open = 0;
    const size_t end = std::min(mirrored.flows.size(), mirrored.first + kMaxCandidates);
    for (size_t i = mirrored.first; i < end && open < 2; ++i) {
      const uint32_t other = mirrored.flows[i];
      if (partner_[other] != 0 || world_.flows[other].object == flow.object) continue;
      only = only == 0 ? other : only;
      ++open;
    }
    // Senders without a name look alike to the receiver: it has one flow for all of them.
    const bool named = !local.empty() && !flow.peer_key.empty();
    Alike& rivals = by_names[{local, flow.peer_key}];
    if (only == 0 || (!named && (open > 1 || rivals.alone > 1))) continue;
    --rivals.alone;
    --mirrored.alone;
    Join(id, only, named && open == 1 ? JOIN_KIND_ADDRESSES : JOIN_KIND_GUESSED);
  }
}

std::vector<Joined> Joiner::Run() {
  Pairs();
  Internet();
  UnixStreams();
  UnixDatagrams();

  meanwhile_.Work();
  // What listens tells which end of a socket found connected is the server's.
  absl::flat_hash_map<uint16_t, bool> listening;
  for (const ObjectState& object : world_.objects) {
    if (!object.listening) continue;
    if (const auto local = ParseInternetAddress(object.local)) listening[local->port] = true;
  }
  const auto is_server = [&](const FlowState& flow) {
    if (flow.role != ROLE_UNKNOWN) return flow.role == ROLE_SERVER;
    const auto local = ParseInternetAddress(LocalAddress(world_, flow));
    const auto peer = ParseInternetAddress(flow.peer);
    if (local && peer) {
      return listening.contains(local->port) || (!listening.contains(peer->port) && local->port < peer->port);
    }
    return !UnixName(LocalAddress(world_, flow), "").empty() && flow.peer_key.empty();
  };
  for (Joined& pair : joined_) {
    const FlowState& client = world_.flows[pair.client];
    const FlowState& server = world_.flows[pair.server];
    if (client.role == ROLE_UNKNOWN && server.role == ROLE_UNKNOWN && is_server(client))
      std::swap(pair.client, pair.server);
  }
  for (uint32_t id = 1; id < world_.flows.size(); ++id) {
    meanwhile_.Step();
    const FlowState& flow = world_.flows[id];
    if (partner_[id] != 0 || !Worth(flow)) continue;
    Joined alone;
    (is_server(flow) ? alone.server : alone.client) = id;
    joined_.push_back(alone);
  }
  const auto start = [this](const Joined& pair) {
    uint64_t earliest = UINT64_MAX;
    for (const uint32_t id : {pair.client, pair.server}) {
      if (id != 0) earliest = std::min(earliest, world_.flows[id].start_ns);
    }
    return std::make_tuple(earliest, pair.client, pair.server);
  };
  std::sort(joined_.begin(), joined_.end(), [&](const Joined& a, const Joined& b) { return start(a) < start(b); });
  return std::move(joined_);
}

}  // namespace

const std::string& LocalAddress(const World& world, const FlowState& flow) {
  const std::string& learnt_later = world.objects[flow.object].local;
  return flow.local.empty() ? learnt_later : flow.local;
}

std::vector<Joined> JoinFlows(const World& world, Meanwhile& meanwhile) { return Joiner(world, meanwhile).Run(); }

}  // namespace socktale
