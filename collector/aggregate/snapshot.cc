// SPDX-License-Identifier: Apache-2.0
//
// State → tables.

#include "collector/aggregate/snapshot.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "collector/aggregate/address.h"
#include "collector/aggregate/socket_type.h"

namespace socktale {
namespace {

// Blocks in which the first calls on a socket (socket, bind) are looked for.
constexpr size_t kBlocksOfAMaking = 4;
// A datagram socket with more peers than these serves strangers.
constexpr uint32_t kFewPeers = 16;

// How an error ended a connection; OPEN for one that did not end it.
ConnectionEnd EndOfError(uint32_t error) {
  switch (error) {
    case 0:
      return CONNECTION_END_OPEN;
    case ECONNREFUSED:
      return CONNECTION_END_REFUSED;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
      return CONNECTION_END_RESET;
    case ETIMEDOUT:
      return CONNECTION_END_TIMED_OUT;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
      return CONNECTION_END_UNREACHABLE;
    default:
      return CONNECTION_END_FAILED;
  }
}

// When this end began to end the connection: 0 if it never did. The end of its last process counts only where the other
// side has seen it, for nobody closed anything. That end may be noticed late; what the other side read says when it was
// at the latest, unless that side had ended before.
uint64_t FirstEnd(const FlowEnd& end, const FlowState* other, const FlowEnd& others) {
  const uint64_t read_ns = other == nullptr ? 0 : other->eof_ns;
  const bool was_read = read_ns != 0 && (others.first_end_ns == 0 || read_ns <= others.first_end_ns);
  if (end.first_end_ns != 0) return was_read ? std::min(end.first_end_ns, read_ns) : end.first_end_ns;
  if (was_read) return end.by_process ? std::min(end.end_ns, read_ns) : read_ns;
  return end.by_process && others.first_end_ns >= end.end_ns ? end.end_ns : 0;
}

void SetEnd(const World& world, const Joined& pair, Connection& connection) {
  const FlowState* client = pair.client == 0 ? nullptr : &world.flows[pair.client];
  const FlowState* server = pair.server == 0 ? nullptr : &world.flows[pair.server];
  const FlowEnd clients = client == nullptr ? FlowEnd() : EndOf(world, *client);
  const FlowEnd servers = server == nullptr ? FlowEnd() : EndOf(world, *server);
  const bool ended = (client == nullptr || clients.end_ns != 0) && (server == nullptr || servers.end_ns != 0);
  const uint64_t end_ns = std::max(clients.end_ns, servers.end_ns);
  uint32_t error = client == nullptr ? 0 : client->error;
  if (error == 0 && server != nullptr) error = server->error;
  // OPEN with an end: its processes ended, and nobody had closed it.
  if (ended) connection.set_end_ns(end_ns);
  const bool failed = client != nullptr && client->failed;
  if (error != 0 && (failed || EndOfError(error) != CONNECTION_END_FAILED)) {
    connection.set_error(error);
    connection.set_end(EndOfError(error));
    return;
  }
  uint64_t client_end_ns = client == nullptr ? 0 : FirstEnd(clients, server, servers);
  uint64_t server_end_ns = server == nullptr ? 0 : FirstEnd(servers, client, clients);
  // Of an end that was not recorded we know what the other one read.
  if (client == nullptr) client_end_ns = server->eof_ns;
  if (server == nullptr) server_end_ns = client->eof_ns;
  if (client_end_ns == 0 && server_end_ns == 0) {
    connection.set_end(CONNECTION_END_OPEN);
  } else if (server_end_ns == 0 || (client_end_ns != 0 && client_end_ns <= server_end_ns)) {
    connection.set_end(CONNECTION_END_CLOSED_BY_CLIENT);
  } else {
    connection.set_end(CONNECTION_END_CLOSED_BY_SERVER);
  }
  if (client != nullptr)
    connection.mutable_client()->set_ended_first(connection.end() == CONNECTION_END_CLOSED_BY_CLIENT);
  if (server != nullptr)
    connection.mutable_server()->set_ended_first(connection.end() == CONNECTION_END_CLOSED_BY_SERVER);
}

void FillEndpoint(const World& world, const FlowState& flow, Endpoint& endpoint) {
  endpoint.set_object(flow.object);
  uint32_t process = flow.maker;
  int32_t fd = flow.maker_fd;
  uint64_t most = 0;
  for (const FlowState::Talker& talker : flow.talkers) {
    if (talker.weight <= most) continue;
    most = talker.weight;
    process = talker.process;
    fd = talker.fd;
  }
  endpoint.set_process(process);
  endpoint.set_fd(fd);
  endpoint.set_address(LocalAddress(world, flow));
  endpoint.set_sent(flow.sent);
  endpoint.set_received(flow.received);
  endpoint.set_kept_sent(flow.kept_sent);
  endpoint.set_kept_received(flow.kept_received);
  endpoint.set_start_ns(flow.start_ns);
  endpoint.set_established_ns(flow.established_ns);
  endpoint.set_end_ns(EndOf(world, flow).end_ns);
  endpoint.set_wait_ns(flow.wait_ns);
  endpoint.set_error(flow.error);
}

// Each end may know both addresses; each is believed about the other where that one kept quiet.
void FillAddresses(const FlowState* client, const FlowState* server, Connection& connection) {
  const auto known = [](const std::string& address) {
    const auto internet = ParseInternetAddress(address);
    return internet ? internet->port != 0 && !internet->IsWildcard() : !address.empty();
  };
  if (client != nullptr && (server == nullptr || !known(connection.server().address())) && !client->peer.empty()) {
    connection.mutable_server()->set_address(client->peer);
  }
  if (server != nullptr && (client == nullptr || !known(connection.client().address())) && !server->peer.empty()) {
    connection.mutable_client()->set_address(server->peer);
  }
}

std::string UnixPath(const World& world, const FlowState* client, const FlowState* server) {
  std::string name;
  if (client != nullptr) name = client->peer_key;
  if (name.empty() && server != nullptr) {
    const ObjectState& object = world.objects[server->object];
    name = UnixName(LocalAddress(world, *server),
                    object.maker_cwd.empty() ? world.processes[server->maker].cwd : object.maker_cwd);
  }
  return UnixLabel(name);
}

void FillConnection(const World& world, const Joined& pair, Connection& connection) {
  const FlowState* client = pair.client == 0 ? nullptr : &world.flows[pair.client];
  const FlowState* server = pair.server == 0 ? nullptr : &world.flows[pair.server];
  const ObjectState& object = world.objects[(client != nullptr ? client : server)->object];
  connection.set_domain(object.domain);
  connection.set_type(object.type);
  connection.set_protocol(object.protocol);
  connection.set_join(pair.kind);
  uint64_t start_ns = UINT64_MAX;
  uint64_t events = 0;
  for (const FlowState* flow : {client, server}) {
    if (flow == nullptr) continue;
    FillEndpoint(world, *flow, flow == client ? *connection.mutable_client() : *connection.mutable_server());
    start_ns = std::min(start_ns, flow->start_ns);
    events += flow->events;
  }
  connection.set_start_ns(start_ns);
  connection.set_event_count(events);
  FillAddresses(client, server, connection);
  SetEnd(world, pair, connection);
  if (client != nullptr && client->name != 0) connection.set_host(world.names[client->name].host);
  if (object.domain == AF_UNIX && pair.kind != JOIN_KIND_PAIR)
    connection.set_unix_path(UnixPath(world, client, server));
}

void FillProcess(const ProcessState& state, uint32_t id, Process& process) {
  process.set_id(id);
  process.set_pid(state.pid);
  process.set_pid_use(state.pid_use);
  process.set_parent(state.parent);
  process.set_name(state.name);
  for (const Image& image : state.images) *process.add_image() = image;
  if (state.executing) {
    Image& image = *process.add_image();
    image = state.next_image;
    image.set_not_recorded("not attached");
    const std::string& path = image.path();
    if (!path.empty()) process.set_name(path.substr(path.rfind('/') + 1).substr(0, 15));  // as the kernel cuts comm
  }
  process.set_start_ns(state.start_ns);
  process.set_end_ns(state.end_ns);
  if (state.status_known) process.set_exit_status(state.exit_status);
  process.set_exit_signal(state.exit_signal);
  process.set_peak_descriptors(state.peak_count);
  process.set_peak_ns(state.peak_ns);
  process.set_descriptor_limit(state.limit);
  process.set_event_count(state.event_count);
  process.set_user(state.user);
  process.set_network_namespace(state.network_namespace);
  process.set_drops(state.drops);
  process.set_bare_images(state.bare_images);
}

// The descriptors that an epoll watched when it was last seen. The kernel forgets a watch with the last descriptor of
// what it watches.
std::vector<int32_t> Watches(const World& world, const ObjectState& epoll) {
  std::vector<int32_t> watches;
  for (const auto& [fd, object] : epoll.watches) {
    const uint64_t gone_ns = world.objects[object].gone_ns;
    if (gone_ns == 0 || (epoll.gone_ns != 0 && gone_ns >= epoll.gone_ns)) watches.push_back(fd);
  }
  std::sort(watches.begin(), watches.end());
  return watches;
}

void FillObject(const World& world, uint32_t id, Object& object) {
  const ObjectState& state = world.objects[id];
  object.set_id(id);
  object.set_kind(state.kind);
  object.set_socket_id(state.cookie);
  object.set_inode(state.inode);
  object.set_path(state.path);
  object.set_domain(state.domain);
  object.set_type(state.type);
  object.set_protocol(state.protocol);
  object.set_local_address(state.local);
  object.set_peer_address(state.peer);
  object.set_listening(state.listening);
  object.set_accepted(state.accepted);
  object.set_accepted_from(state.accepted_from);
  object.set_pair(state.pair);
  object.set_status_flags(state.status_flags);
  object.set_peer_pid(state.peer_pid);
  object.set_network_namespace(state.network_namespace);
  for (const int32_t fd : Watches(world, state)) object.add_watches(fd);
}

void FillLives(const World& world, Tables& tables, Meanwhile& meanwhile) {
  // Generations count in order of time, which is not always the order in which lives came to be known.
  std::vector<uint32_t> order;
  for (uint32_t id = 1; id < world.lives.size(); ++id) order.push_back(id);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    const LifeState& x = world.lives[a];
    const LifeState& y = world.lives[b];
    return std::tie(x.process, x.fd, x.start_ns, a) < std::tie(y.process, y.fd, y.start_ns, b);
  });
  meanwhile.Work();
  std::vector<uint32_t> generation(world.lives.size(), 1);
  for (size_t i = 1; i < order.size(); ++i) {
    const LifeState& before = world.lives[order[i - 1]];
    const LifeState& life = world.lives[order[i]];
    if (before.process == life.process && before.fd == life.fd) generation[order[i]] = generation[order[i - 1]] + 1;
  }
  tables.mutable_life()->Reserve(static_cast<int>(world.lives.size()));
  for (uint32_t id = 1; id < world.lives.size(); ++id) {
    meanwhile.Step();
    const LifeState& state = world.lives[id];
    const ProcessState& owner = world.processes[state.process];
    DescriptorLife& life = *tables.add_life();
    life.set_id(id);
    life.set_process(state.process);
    life.set_fd(state.fd);
    life.set_generation(generation[id]);
    life.set_kind(world.objects[state.object].kind);
    life.set_object(state.object);
    life.set_begin(state.begin);
    life.set_end(state.end);
    life.set_start_ns(state.start_ns);
    life.set_end_ns(state.end_ns);
    // The program that took over was not recorded, but close-on-exec needs no witness.
    if (state.end == LIFE_END_OPEN && owner.executing && state.close_on_exec && state.start_ns <= owner.executing_ns) {
      life.set_end(LIFE_END_EXEC);
      life.set_end_ns(owner.executing_ns);
    }
    life.set_from_life(state.from);
    life.set_close_on_exec(state.close_on_exec);
    life.set_last_use_ns(state.last_use_ns);
    life.set_made_by(state.made_by);
    life.set_event_count(state.event_count);
  }
}

}  // namespace

Tables MakeTables(const World& world, const std::vector<Joined>& joined, uint64_t end_ns, Meanwhile& meanwhile) {
  Tables tables;
  for (uint32_t id = 1; id < world.processes.size(); ++id) {
    meanwhile.Step();
    FillProcess(world.processes[id], id, *tables.add_process());
  }
  for (uint32_t id = 1; id < world.threads.size(); ++id) {
    meanwhile.Step();
    const ThreadState& state = world.threads[id];
    Thread& thread = *tables.add_thread();
    thread.set_process(state.process);
    thread.set_tid(state.tid);
    thread.set_start_ns(state.start_ns);
    thread.set_end_ns(state.end_ns);
    thread.set_event_count(state.event_count);
    thread.set_in_call(state.in_call);
    thread.set_in_since_ns(state.in_since_ns);
    thread.set_in_fd(state.in_fd);
  }
  FillLives(world, tables, meanwhile);
  tables.mutable_object()->Reserve(static_cast<int>(world.objects.size()));
  for (uint32_t id = 1; id < world.objects.size(); ++id) {
    meanwhile.Step();
    FillObject(world, id, *tables.add_object());
  }
  std::vector<uint32_t> connection_of(world.flows.size(), 0);
  tables.mutable_connection()->Reserve(static_cast<int>(joined.size()));
  for (const Joined& pair : joined) {
    meanwhile.Step();
    Connection& connection = *tables.add_connection();
    connection.set_id(static_cast<uint32_t>(tables.connection_size()));
    FillConnection(world, pair, connection);
    for (const uint32_t flow : {pair.client, pair.server}) {
      if (flow == 0) continue;
      const uint32_t object = world.flows[flow].object;
      connection_of[flow] = connection.id();
      const ObjectState& socket = world.objects[object];
      if ((socket.flow == 0 ? socket.last_flow : socket.flow) != flow) continue;
      // An unconnected datagram socket serves them all and belongs to none.
      const bool several = socket.flow == 0 && world.flows[flow].previous != 0 && !IsStreamType(socket.type);
      if (!several) tables.mutable_object(static_cast<int>(object) - 1)->set_connection(connection.id());
    }
  }
  for (uint32_t id = 1; id < world.objects.size(); ++id) {
    meanwhile.Step();
    if (world.objects[id].connected.size() < 2) continue;
    for (const ObjectState::Connected& change : world.objects[id].connected) {
      Object::Connected& told = *tables.mutable_object(static_cast<int>(id) - 1)->add_connected();
      told.set_at_ns(change.at_ns);
      told.set_connection(connection_of[change.flow]);
    }
  }
  for (size_t i = 1; i < world.names.size(); ++i) {
    ResolvedName& name = *tables.add_name();
    name.set_host(world.names[i].host);
    name.set_address(world.names[i].address);
  }
  tables.set_event_count(world.event_count);
  for (size_t call = 0; call < world.calls.size(); ++call) {
    const CallState& count = world.calls[call];
    if (count.calls == 0) continue;
    CallTotals& totals = *tables.add_call();
    totals.set_call(static_cast<Call>(call));
    totals.set_calls(count.calls);
    totals.set_failed(count.failed);
    totals.set_bytes(count.bytes);
    totals.set_kept(count.kept);
  }
  tables.set_end_ns(end_ns);
  return tables;
}

std::vector<ConnectionBlocks> MakeConnectionBlocks(const World& world, const std::vector<Joined>& joined) {
  std::vector<ConnectionBlocks> result;
  result.reserve(joined.size());
  std::vector<uint32_t> blocks;
  for (const Joined& pair : joined) {
    blocks.clear();
    for (const uint32_t id : {pair.client, pair.server}) {
      if (id == 0) continue;
      const FlowState& flow = world.flows[id];
      const ObjectState& object = world.objects[flow.object];
      const std::vector<uint32_t>& made = object.blocks.blocks();
      // What was called on a socket that serves many peers concerns each of them little; how it was made stands first.
      const size_t own = object.peers > kFewPeers ? std::min(made.size(), kBlocksOfAMaking) : made.size();
      blocks.insert(blocks.end(), flow.blocks.blocks().begin(), flow.blocks.blocks().end());
      blocks.insert(blocks.end(), made.begin(), made.begin() + static_cast<ptrdiff_t>(own));
    }
    std::sort(blocks.begin(), blocks.end());
    blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
    ConnectionBlocks& entry = result.emplace_back();
    entry.set_connection(static_cast<uint32_t>(result.size()));
    for (const uint32_t block : blocks) entry.add_block(block);
  }
  return result;
}

}  // namespace socktale
