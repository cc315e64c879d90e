// SPDX-License-Identifier: Apache-2.0
//
// big_trace FILE [EVENTS [CONNECTIONS [BYTES]]]: writes a sealed trace as a collector would that has recorded
// kServers servers and as many clients for long: TCP connections with both ends recorded, kAlive of them at a time, of
// very different lengths, all mixed in each block. BYTES: about what the file has (an integer). Prints
//   TRACE events=N connections=N bytes=N

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "base/status_macros.h"
#include "collector/aggregate/aggregator.h"
#include "proto/event.pb.h"
#include "proto/event_view.h"
#include "proto/trace_file_writer.h"
#include "proto/wire_append.h"

namespace socktale {
namespace {

constexpr uint32_t kServers = 50;  // processes; and as many clients
constexpr size_t kAlive = 200;     // connections at one time
constexpr uint64_t kStepNs = 2000;
constexpr uint16_t kServerPort = 8000;
constexpr uint16_t kFirstClientPort = 10000;
constexpr uint64_t kBytesBesidePayload = 45;  // of an event

std::string Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return std::string(reinterpret_cast<const char*>(&address), sizeof address);
}

// One recorded process, with one thread.
struct Process {
  uint32_t image = 0;
  std::string run;       // its events since the last block, as fields of a Run
  uint64_t base_ns = 0;  // of that Run
  uint64_t chunk = 0;
  int next_fd = 3;
  std::vector<int> free_fds;
};

struct Link {
  uint32_t client = 0;
  uint32_t server = 0;
  int client_fd = 0;
  int server_fd = 0;
  uint64_t exchanges = 0;  // to come
};

class Generator {
 public:
  Generator(TraceFileWriter writer, uint64_t events, uint64_t connections, uint64_t bytes)
      : writer_(std::move(writer)), events_(events), connections_(connections) {
    const uint64_t each = bytes / std::max<uint64_t>(events, 1);
    payload_bytes_ = each > kBytesBesidePayload ? each - kBytesBesidePayload : 1;
    for (size_t i = 0; i < 1 << 16; ++i)
      text_.push_back(static_cast<char>("GET /index.html etaoin0123456789"[random_() % 32]));
  }

  absl::Status Run();
  uint64_t written() const { return writer_.next_event() - 1; }

 private:
  Event& Begin(enum Call call, int fd, int64_t result);
  void Commit(Process& process, uint64_t start_ns);
  void Start(uint32_t number);
  Link Open(uint64_t id);
  void Close(const Link& link);
  void Send(const Link& link, bool from_client);
  int FdOf(Process& process);
  int Socket(Process& process);
  absl::Status WriteBlock();

  TraceFileWriter writer_;
  const uint64_t events_;
  const uint64_t connections_;
  uint64_t payload_bytes_ = 0;
  std::mt19937_64 random_{1};
  std::string text_;
  std::vector<Process> processes_;  // servers, then clients
  Aggregator aggregator_;
  Event event_;
  uint64_t now_ns_ = 1000;
  uint64_t waiting_ = 0;  // bytes of runs
  uint64_t in_block_ = 0;
  uint64_t block_begin_ns_ = 0;
  uint64_t next_cookie_ = 1;
};

Event& Generator::Begin(enum Call call, int fd, int64_t result) {
  event_.Clear();
  event_.set_call(call);
  event_.set_fd(fd);
  event_.set_duration_ns(kStepNs / 2);
  event_.set_result(result);
  return event_;
}

void Generator::Commit(Process& process, uint64_t start_ns) {
  if (process.run.empty()) process.base_ns = start_ns;
  if (in_block_++ == 0) block_begin_ns_ = start_ns;
  event_.set_start_ns(start_ns - process.base_ns);
  const size_t before = process.run.size();
  AppendBytesHead(process.run, socktale::Run::kEventFieldNumber, event_.ByteSizeLong());
  event_.AppendToString(&process.run);
  waiting_ += process.run.size() - before;
}

void Generator::Start(uint32_t number) {
  Process& process = processes_.emplace_back();
  process.image = number + 1;
  const bool server = number < kServers;
  Event& event = Begin(CALL_ATTACHED, 0, 0);
  event.set_pid(1000 + number);
  event.set_reason(ATTACH_REASON_START);
  event.set_parent_pid(1);
  event.set_name(server ? "server" : "client");
  event.set_path(server ? "/usr/bin/server" : "/usr/bin/client");
  event.add_argv(server ? "server" : "client");
  event.set_network_namespace(4026531840);
  event.set_pid_namespace(4026531836);
  event.set_limit(65536);
  Commit(process, now_ns_);
  now_ns_ += kStepNs;
  if (!server) return;
  const int fd = Socket(process);
  Begin(CALL_BIND, fd, 0).set_address(Loopback(static_cast<uint16_t>(kServerPort + number)));
  Commit(process, now_ns_ += kStepNs);
  Begin(CALL_LISTEN, fd, 0).set_option(128);
  Commit(process, now_ns_ += kStepNs);
  now_ns_ += kStepNs;
}

int Generator::FdOf(Process& process) {
  if (process.free_fds.empty()) return process.next_fd++;
  const int fd = process.free_fds.back();
  process.free_fds.pop_back();
  return fd;
}

int Generator::Socket(Process& process) {
  const int fd = FdOf(process);
  Event& socket = Begin(CALL_SOCKET, 0, fd);
  socket.set_domain(AF_INET);
  socket.set_type(SOCK_STREAM);
  socket.set_socket_id(next_cookie_++);
  Commit(process, now_ns_ += kStepNs);
  return fd;
}

Link Generator::Open(uint64_t id) {
  Link link;
  link.server = static_cast<uint32_t>(random_() % kServers);
  link.client = kServers + static_cast<uint32_t>(random_() % kServers);
  Process& client = processes_[link.client];
  Process& server = processes_[link.server];
  link.client_fd = Socket(client);
  link.server_fd = FdOf(server);
  const std::string to = Loopback(static_cast<uint16_t>(kServerPort + link.server));
  const std::string from = Loopback(static_cast<uint16_t>(kFirstClientPort + id % 50'000));
  Event& connect = Begin(CALL_CONNECT, link.client_fd, 0);
  connect.set_address(to);
  connect.set_local_address(from);
  Commit(client, now_ns_ += kStepNs);
  Event& accept = Begin(CALL_ACCEPT, 3, link.server_fd);
  accept.set_address(from);
  accept.set_local_address(to);
  accept.set_socket_id(next_cookie_++);
  Commit(server, now_ns_ += kStepNs);
  return link;
}

void Generator::Close(const Link& link) {
  Begin(CALL_CLOSE, link.client_fd, 0);
  Commit(processes_[link.client], now_ns_ += kStepNs);
  Begin(CALL_CLOSE, link.server_fd, 0);
  Commit(processes_[link.server], now_ns_ += kStepNs);
  processes_[link.client].free_fds.push_back(link.client_fd);
  processes_[link.server].free_fds.push_back(link.server_fd);
}

void Generator::Send(const Link& link, bool from_client) {
  const uint64_t size = 1 + random_() % (2 * payload_bytes_);
  const absl::string_view payload(text_.data() + random_() % (text_.size() / 2), std::min(size, text_.size() / 2));
  for (const bool sends : {true, false}) {
    const bool client = sends == from_client;
    Event& event = Begin(sends ? CALL_SEND : CALL_RECV, client ? link.client_fd : link.server_fd,
                         static_cast<int64_t>(payload.size()));
    event.set_payload(payload.data(), payload.size());
    event.set_size(sends ? payload.size() : 65536);
    Commit(processes_[client ? link.client : link.server], now_ns_ += kStepNs);
  }
}

// A block as a pass of the collector makes it: a run of each process that did anything.
absl::Status Generator::WriteBlock() {
  std::string block;
  EventBlockInfo info;
  for (Process& process : processes_) {
    if (process.run.empty()) continue;
    socktale::Run head;
    head.set_image(process.image);
    head.set_base_ns(process.base_ns);
    head.set_tid(999 + process.image);
    head.set_chunk_sequence(++process.chunk);
    head.set_thread_start_ns(1);
    const std::string fields = head.SerializeAsString();
    AppendBytesHead(block, Events::kRunFieldNumber, fields.size() + process.run.size());
    block += fields;
    block += process.run;
    info.images.push_back(process.image);
    process.run.clear();
  }
  info.first_ns = block_begin_ns_;
  info.last_ns = now_ns_ + kStepNs;
  info.event_count = in_block_;
  const uint64_t sequence = writer_.next_sequence();
  RETURN_IF_ERROR(writer_.AppendEvents(block, info, false).status());
  absl::string_view rest = block;
  RunView run;
  for (bool found = true; found;) {
    RETURN_IF_ERROR(NextRun(rest, run, found));
    if (found) RETURN_IF_ERROR(aggregator_.Add(run, sequence));
  }
  aggregator_.Advance(now_ns_);
  waiting_ = in_block_ = 0;
  return absl::OkStatus();
}

absl::Status Generator::Run() {
  for (uint32_t i = 0; i < 2 * kServers; ++i) Start(i);
  // The n-th connection has as many exchanges as 1/n of what all have: one in a hundred is long.
  double sum = 0;
  for (uint64_t n = 1; n <= connections_; ++n) sum += 1.0 / static_cast<double>(n + 20);
  std::vector<uint64_t> lengths(connections_);
  const double exchanges = static_cast<double>(events_) / 4 - static_cast<double>(connections_) * 5 / 4;
  for (uint64_t n = 0; n < connections_; ++n) {
    lengths[n] =
        std::max<uint64_t>(1, static_cast<uint64_t>(std::max(exchanges, 0.0) / sum / static_cast<double>(n + 21)));
  }
  std::shuffle(lengths.begin(), lengths.end(), random_);
  std::vector<Link> alive;
  for (uint64_t opened = 0; opened < connections_ || !alive.empty();) {
    if (alive.size() < kAlive && opened < connections_) {
      alive.push_back(Open(opened));
      alive.back().exchanges = lengths[opened++];
    }
    const size_t which = random_() % alive.size();
    Send(alive[which], true);
    Send(alive[which], false);
    if (--alive[which].exchanges == 0) {
      Close(alive[which]);
      alive[which] = alive.back();
      alive.pop_back();
    }
    if (waiting_ >= kBlockTargetBytes) RETURN_IF_ERROR(WriteBlock());
  }
  RETURN_IF_ERROR(WriteBlock());
  aggregator_.Advance(UINT64_MAX);
  Tables tables = aggregator_.Snapshot(now_ns_);
  tables.set_sealed(true);
  return writer_.Seal(tables, aggregator_.BlocksOfConnections());
}

int Main(int argc, char** argv) {
  uint64_t numbers[] = {50'000'000, 10'000, 10'000'000'000};
  for (int i = 2; i < argc && i < 5; ++i) numbers[i - 2] = std::strtoull(argv[i], nullptr, 10);
  if (argc < 2 || argc > 5 || numbers[0] == 0 || numbers[1] == 0) {
    std::fprintf(stderr, "big_trace FILE [EVENTS [CONNECTIONS [BYTES]]]\n");
    return 2;
  }
  TraceHeader header;
  header.set_version("generated");
  header.set_start_wall_ns(1'772'359'200'000'000'000);
  header.set_io("sockets");
  header.set_name("big");
  absl::StatusOr<TraceFileWriter> writer = TraceFileWriter::Create(argv[1], header, true);
  absl::Status status = writer.status();
  uint64_t events = 0;
  if (writer.ok()) {
    Generator generator(*std::move(writer), numbers[0], numbers[1], numbers[2]);
    status = generator.Run();
    events = generator.written();
  }
  struct stat file {};
  if (status.ok() && stat(argv[1], &file) != 0) status = absl::NotFoundError(argv[1]);
  if (!status.ok()) {
    std::fprintf(stderr, "big_trace: %s\n", status.ToString().c_str());
    return 1;
  }
  std::printf("TRACE events=%llu connections=%llu bytes=%llu\n", static_cast<unsigned long long>(events),
              static_cast<unsigned long long>(numbers[1]), static_cast<unsigned long long>(file.st_size));
  return 0;
}

}  // namespace
}  // namespace socktale

int main(int argc, char** argv) { return socktale::Main(argc, argv); }
