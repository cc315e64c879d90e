// SPDX-License-Identifier: Apache-2.0
//
// Verbs to Events, Events to Runs, Runs to blocks.

#include "tests/support/trace_builder.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <google/protobuf/text_format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <tuple>

#include "base/status_macros.h"
#include "proto/event_view.h"
#include "proto/trace_file_writer.h"

namespace socktale::testing {
namespace {

template <typename T>
std::string Bytes(const T& value, size_t size = sizeof(T)) {
  return std::string(reinterpret_cast<const char*>(&value), size);
}

}  // namespace

std::string Inet(const std::string& ip, uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
  return Bytes(address);
}

std::string Inet6(const std::string& ip, uint16_t port) {
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  inet_pton(AF_INET6, ip.c_str(), &address.sin6_addr);
  return Bytes(address);
}

std::string Unix(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty()) return Bytes(address, sizeof(sa_family_t));
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof(address.sun_path) - 1));
  if (path[0] == '@') address.sun_path[0] = '\0';
  return Bytes(address, offsetof(sockaddr_un, sun_path) + path.size() + (path[0] == '@' ? 0 : 1));
}

Event& Image::Call(enum Call call, int fd, int64_t result, const Extra& extra) {
  TraceBuilder& b = *builder_;
  b.entries_.push_back({number, tid, level, b.block_, {}});
  Event& event = b.entries_.back().event;
  event.set_call(call);
  event.set_fd(fd);
  event.set_start_ns(b.now_ns_);
  event.set_duration_ns(extra.took_ns);
  event.set_result(extra.error == 0 ? result : -1);
  event.set_error(static_cast<uint32_t>(extra.error));
  event.set_flags(extra.flags);
  event.set_local_address(extra.local);
  event.set_address(extra.peer);
  event.set_socket_id(extra.cookie);
  event.set_inode(extra.inode);
  event.set_peer_pid(extra.peer_pid);
  event.set_notes(extra.notes | (vfork_child != 0 ? EVENT_NOTE_VFORK_CHILD : 0));
  event.set_pid(vfork_child);
  for (const int passed : extra.passed) event.add_passed(passed);
  b.now_ns_ += extra.took_ns + 1000;
  return event;
}

void Image::Socket(int fd, int domain, int type, const Extra& extra) {
  Event& event = Call(CALL_SOCKET, 0, fd, extra);
  event.set_domain(static_cast<uint32_t>(domain));
  event.set_type(static_cast<uint32_t>(type));
  if (extra.cookie == 0) event.set_socket_id(builder_->next_cookie_++);
}

void Image::SocketPair(int first, int second, int domain, int type, const Extra& extra) {
  Event& event = Call(CALL_SOCKETPAIR, first, 0, extra);
  event.set_new_fd(second);
  event.set_domain(static_cast<uint32_t>(domain));
  event.set_type(static_cast<uint32_t>(type));
}

void Image::Bind(int fd, const std::string& address, const Extra& extra) {
  Call(CALL_BIND, fd, 0, extra).set_address(address);
}

void Image::Listen(int fd, const Extra& extra) { Call(CALL_LISTEN, fd, 0, extra).set_option(128); }

void Image::Connect(int fd, const std::string& address, const Extra& extra) {
  Call(CALL_CONNECT, fd, 0, extra).set_address(address);
}

void Image::Accept(int listener, int fd, const Extra& extra) {
  Event& event = Call(CALL_ACCEPT, listener, fd, extra);
  if (extra.cookie == 0) event.set_socket_id(builder_->next_cookie_++);
}

void Image::Send(int fd, const std::string& bytes, const Extra& extra) {
  Event& event = Call(CALL_SENDTO, fd, static_cast<int64_t>(bytes.size()), extra);
  event.set_payload(bytes);
  event.set_size(bytes.size());
}

void Image::Recv(int fd, const std::string& bytes, const Extra& extra) {
  Event& event = Call(CALL_RECVFROM, fd, static_cast<int64_t>(bytes.size()), extra);
  event.set_payload(bytes);
  event.set_size(65536);
}

void Image::RecvFails(int fd, int error, const Extra& extra) {
  Extra failed = extra;
  failed.error = error;
  Call(CALL_RECV, fd, -1, failed);
}

void Image::SendFails(int fd, int error, const Extra& extra) {
  Extra failed = extra;
  failed.error = error;
  Call(CALL_SEND, fd, -1, failed);
}

void Image::Shutdown(int fd, int how, const Extra& extra) {
  Call(CALL_SHUTDOWN, fd, 0, extra).set_flags(static_cast<uint32_t>(how));
}

void Image::Close(int fd, const Extra& extra) { Call(CALL_CLOSE, fd, 0, extra); }
void Image::Dup(int fd, int result, const Extra& extra) { Call(CALL_DUP, fd, result, extra); }
void Image::Dup2(int fd, int target, const Extra& extra) { Call(CALL_DUP2, fd, target, extra).set_new_fd(target); }
void Image::Open(int fd, const std::string& path, const Extra& extra) { Call(CALL_OPEN, 0, fd, extra).set_path(path); }

void Image::Pipe(int read_end, int write_end, const Extra& extra) {
  Call(CALL_PIPE, read_end, 0, extra).set_new_fd(write_end);
}

void Image::Poll(const std::vector<Polled>& polled, const Extra& extra) {
  const auto ready = std::count_if(polled.begin(), polled.end(), [](const Polled& p) { return p.revents() != 0; });
  Event& event = Call(CALL_POLL, 0, ready, extra);
  for (const Polled& p : polled) *event.add_polled() = p;
}

void Image::EpollCreate(int fd) { Call(CALL_EPOLL_CREATE1, 0, fd); }

void Image::EpollAdd(int epoll, int fd, uint32_t events) {
  Event& event = Call(CALL_EPOLL_CTL, epoll, 0);
  event.set_flags(EPOLL_CTL_ADD);
  event.set_new_fd(fd);
  event.add_polled()->set_events(events);
}

void Image::EpollWait(int epoll, const std::vector<Polled>& ready, const Extra& extra) {
  Event& event = Call(CALL_EPOLL_WAIT, epoll, static_cast<int64_t>(ready.size()), extra);
  for (const Polled& p : ready) *event.add_polled() = p;
}

void Image::GetSockError(int fd, int error) {
  Event& event = Call(CALL_GETSOCKOPT, fd, 0);
  event.set_level(SOL_SOCKET);
  event.set_option(SO_ERROR);
  event.set_payload(Bytes(error));
}

void Image::Resolve(const std::string& host, const std::vector<std::string>& answers, const Extra& extra) {
  Event& event = Call(CALL_GETADDRINFO, 0, 0, extra);
  event.set_host(host);
  for (const std::string& answer : answers) event.add_answer(answer);
}

void Image::Found(int fd, DescriptorKind kind, const Extra& extra) {
  Event& event = Call(CALL_FOUND, fd, 0, extra);
  event.set_kind(kind);
  event.set_peer_address(extra.peer);
  event.clear_address();
}

Event& Image::FoundSocket(int fd, int domain, int type, const Extra& extra) {
  Found(fd, DESCRIPTOR_KIND_SOCKET, extra);
  Event& event = builder_->entries_.back().event;
  event.set_domain(static_cast<uint32_t>(domain));
  event.set_type(static_cast<uint32_t>(type));
  return event;
}

void Image::Executing(const std::string& path, const std::vector<std::string>& argv) {
  Event& event = Call(CALL_EXECUTING, 0, 0);
  event.set_path(path);
  for (const std::string& argument : argv) event.add_argv(argument);
}

void Image::Exit(int status) { Call(CALL_EXIT, 0, status); }

Image& Image::Fork(uint32_t child_pid) {
  Event& event = Call(CALL_FORK, 0, child_pid);
  event.set_pid(child_pid);
  return builder_->Attach("", child_pid, ATTACH_REASON_FORK, pid, number);
}

Image& Image::Exec(const std::string& path, const std::vector<std::string>& argv) {
  Executing(path, argv);
  const std::string name = path.substr(path.rfind('/') + 1);
  const uint32_t who = vfork_child != 0 ? vfork_child : pid;
  Image& image = builder_->Attach(name, who, ATTACH_REASON_EXEC, 0, number);
  Event& attached = builder_->entries_.back().event;
  attached.set_path(path);
  for (const std::string& argument : argv) attached.add_argv(argument);
  return image;
}

TraceBuilder::TraceBuilder() {
  header.set_format(kTraceFormat);
  header.set_version("test");
  header.set_start_wall_ns(1'772'359'200'123'456'789);
  header.set_base_ns(5'000'000'000);
  header.set_io("sockets");
  header.set_name("test-1");
}

Image& TraceBuilder::Unattached(uint32_t number) {
  Image& image = images_.emplace_back();
  image.builder_ = this;
  image.number = number;
  image.tid = 1;
  return image;
}

Image& TraceBuilder::Attach(const std::string& name, uint32_t pid, AttachReason reason, uint32_t parent_pid,
                            uint32_t parent_image) {
  Image& image = Unattached(static_cast<uint32_t>(images_.size() + 1));
  image.pid = image.tid = pid;
  Event& event = image.Call(CALL_ATTACHED, 0, 0);
  event.set_pid(pid);
  event.set_reason(reason);
  event.set_parent_pid(parent_pid);
  event.set_parent_process(parent_image);
  event.set_name(name);
  event.set_cwd("/home/user");
  event.set_network_namespace(4026531840);
  event.set_pid_namespace(4026531836);
  event.set_limit(1024);
  return image;
}

Image& TraceBuilder::Start(const std::string& name, uint32_t pid, const std::vector<std::string>& argv) {
  Image& image = Attach(name, pid, ATTACH_REASON_START, 1, 0);
  Event& event = entries_.back().event;
  event.set_path("/usr/bin/" + name);
  for (const std::string& argument : argv) event.add_argv(argument);
  if (argv.empty()) event.add_argv(name);
  return image;
}

absl::Status TraceBuilder::AddText(const std::string& textproto) {
  Events events;
  if (!google::protobuf::TextFormat::ParseFromString(textproto, &events)) {
    return absl::InvalidArgumentError("no text proto of message Events");
  }
  for (const Run& run : events.run()) text_runs_[block_].push_back(run.SerializeAsString());
  NextBlock();
  return absl::OkStatus();
}

std::vector<std::vector<std::string>> TraceBuilder::Blocks() const {
  std::map<uint64_t, std::vector<std::string>> blocks = text_runs_;
  for (uint64_t block = 1; block <= block_; ++block) {
    std::map<std::tuple<uint32_t, uint32_t, uint32_t>, Run> runs;
    for (const Entry& entry : entries_) {
      if (entry.block != block) continue;
      Run& run = runs[{entry.image, entry.tid, entry.level}];
      if (run.event_size() == 0) {
        run.set_image(entry.image);
        run.set_tid(entry.tid);
        run.set_level(entry.level);
        run.set_base_ns(entry.event.start_ns());
        run.set_chunk_sequence(block);
        run.set_thread_start_ns(1);
      }
      Event& event = *run.add_event();
      event = entry.event;
      event.set_start_ns(event.start_ns() - run.base_ns());
    }
    for (const auto& [key, run] : runs) blocks[block].push_back(run.SerializeAsString());
  }
  std::vector<std::vector<std::string>> result;
  for (auto& [number, runs] : blocks) result.push_back(std::move(runs));
  return result;
}

absl::Status TraceBuilder::Feed(Aggregator& aggregator, bool advance) const {
  uint64_t number = 1;
  uint64_t horizon = 0;
  for (const std::vector<std::string>& runs : Blocks()) {
    for (const std::string& bytes : runs) {
      const std::string framed = [&] {
        Events events;
        events.add_run()->ParseFromString(bytes);
        return events.SerializeAsString();
      }();
      absl::string_view rest = framed;
      RunView run;
      bool found = false;
      RETURN_IF_ERROR(NextRun(rest, run, found));
      RETURN_IF_ERROR(aggregator.Add(run, number));
      horizon = std::max(horizon, run.base_ns);
    }
    if (advance) aggregator.Advance(horizon);
    ++number;
  }
  aggregator.Advance(UINT64_MAX);
  return absl::OkStatus();
}

Tables TraceBuilder::Aggregate() const {
  Aggregator aggregator;
  if (const absl::Status fed = Feed(aggregator); !fed.ok()) return {};
  return aggregator.Snapshot(now_ns_);
}

absl::Status TraceBuilder::WriteTale(const std::string& path, bool seal, bool compress) const {
  ASSIGN_OR_RETURN(TraceFileWriter writer, TraceFileWriter::Create(path, header, /*overwrite=*/true));
  Aggregator aggregator;
  uint64_t last_ns = 0;
  for (const std::vector<std::string>& runs : Blocks()) {
    Events events;
    EventBlockInfo info;
    info.first_ns = UINT64_MAX;
    for (const std::string& bytes : runs) {
      Run& run = *events.add_run();
      if (!run.ParseFromString(bytes)) return absl::InternalError("a run does not parse");
      for (const Event& event : run.event()) {
        info.first_ns = std::min(info.first_ns, run.base_ns() + event.start_ns());
        info.last_ns = std::max(info.last_ns, run.base_ns() + event.start_ns() + event.duration_ns());
        ++info.event_count;
      }
      info.images.push_back(run.image());
    }
    if (info.event_count == 0) continue;
    last_ns = std::max(last_ns, info.last_ns);
    std::sort(info.images.begin(), info.images.end());
    info.images.erase(std::unique(info.images.begin(), info.images.end()), info.images.end());
    const std::string encoded = events.SerializeAsString();
    const uint64_t sequence = writer.next_sequence();
    ASSIGN_OR_RETURN(const uint64_t first_event, writer.AppendEvents(encoded, info, compress));
    (void)first_event;
    absl::string_view rest = encoded;
    RunView run;
    bool found = true;
    while (true) {
      RETURN_IF_ERROR(NextRun(rest, run, found));
      if (!found) break;
      RETURN_IF_ERROR(aggregator.Add(run, sequence));
    }
  }
  if (!seal) return absl::OkStatus();
  aggregator.Advance(UINT64_MAX);
  Tables tables = aggregator.Snapshot(last_ns);
  tables.set_sealed(true);
  for (const Drop& drop : drops) *tables.add_drop() = drop;
  return writer.Seal(tables, aggregator.BlocksOfConnections());
}

}  // namespace socktale::testing
