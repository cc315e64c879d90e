// SPDX-License-Identifier: Apache-2.0
//
// Makes traces for tests out of verbs: processes that connect, send, fork and close at times that the test names. The
// result is fed to an Aggregator, or written as a .tale file.
//
//   TraceBuilder trace;
//   Image& curl = trace.Start("curl", 4242);
//   trace.At(1'300'000);
//   curl.Socket(5, AF_INET, SOCK_STREAM);
//   curl.Connect(5, Inet("127.0.0.1", 8080), {.local = Inet("127.0.0.1", 51544), .took_ns = 300'000});
//   curl.Send(5, "GET / HTTP/1.1\r\n\r\n");
//   ASSERT_TRUE(trace.WriteTale(path).ok());
//
// Each verb takes its call's time from the builder's clock: entered now, and the clock stands at its return
// afterwards, a microsecond further on. A call that another thread makes while this one blocks: set the clock with
// At().

#ifndef SOCKTALE_TESTS_SUPPORT_TRACE_BUILDER_H_
#define SOCKTALE_TESTS_SUPPORT_TRACE_BUILDER_H_

#include <sys/socket.h>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "collector/aggregate/aggregator.h"
#include "proto/event.pb.h"
#include "proto/trace.pb.h"

namespace socktale::testing {

// struct sockaddr as bytes, as the shim records it.
std::string Inet(const std::string& ip, uint16_t port);
std::string Inet6(const std::string& ip, uint16_t port);
std::string Unix(const std::string& path);  // "@name": abstract; "": unnamed

class TraceBuilder;

// What a verb says beyond its main arguments. Zero and empty: not said.
struct Extra {
  std::string local = {};  // local_address
  std::string peer = {};   // address got by accept and recvfrom, given to sendto
  uint64_t cookie = 0;     // socket_id
  uint64_t inode = 0;
  uint32_t peer_pid = 0;
  uint32_t flags = 0;
  int error = 0;  // errno: the call returns -1
  uint64_t took_ns = 1000;
  uint32_t notes = 0;
  std::vector<int> passed = {};
};

// One process image, i.e. what records under one Run.image. `thread` changes who calls.
class Image {
 public:
  // Adds a call at the builder's clock and moves the clock behind it. The event may be changed until the trace is used.
  Event& Call(enum Call call, int fd, int64_t result, const Extra& extra = {});

  void Socket(int fd, int domain, int type, const Extra& extra = {});
  void SocketPair(int first, int second, int domain, int type, const Extra& extra = {});
  void Bind(int fd, const std::string& address, const Extra& extra = {});
  void Listen(int fd, const Extra& extra = {});
  void Connect(int fd, const std::string& address, const Extra& extra = {});
  void Accept(int listener, int fd, const Extra& extra = {});
  void Send(int fd, const std::string& bytes, const Extra& extra = {});
  void Recv(int fd, const std::string& bytes, const Extra& extra = {});  // "": end of stream
  void RecvFails(int fd, int error, const Extra& extra = {});
  void SendFails(int fd, int error, const Extra& extra = {});
  void Shutdown(int fd, int how, const Extra& extra = {});
  void Close(int fd, const Extra& extra = {});
  void Dup(int fd, int result, const Extra& extra = {});
  void Dup2(int fd, int target, const Extra& extra = {});
  void Open(int fd, const std::string& path, const Extra& extra = {});
  void Pipe(int read_end, int write_end, const Extra& extra = {});
  void Poll(const std::vector<Polled>& polled, const Extra& extra = {});
  void EpollCreate(int fd);
  void EpollAdd(int epoll, int fd, uint32_t events);
  void EpollWait(int epoll, const std::vector<Polled>& ready, const Extra& extra = {});
  void GetSockError(int fd, int error);  // getsockopt(SO_ERROR) gave `error`
  void Resolve(const std::string& host, const std::vector<std::string>& answers, const Extra& extra = {});
  void Found(int fd, DescriptorKind kind, const Extra& extra = {});
  Event& FoundSocket(int fd, int domain, int type, const Extra& extra = {});
  void Executing(const std::string& path, const std::vector<std::string>& argv);
  void Exit(int status);

  // fork(): the parent's event now, the child's attachment right after.
  Image& Fork(uint32_t child_pid);
  // A successful exec: EXECUTING here, and the new image's attachment. Its Found() calls are the test's to make.
  Image& Exec(const std::string& path, const std::vector<std::string>& argv);

  uint32_t number = 0;  // Run.image
  uint32_t pid = 0;
  uint32_t tid = 0;          // thread that makes the following calls
  uint32_t level = 0;        // its signal nesting level
  uint32_t vfork_child = 0;  // > 0: the following calls are made by this vfork child

 private:
  friend class TraceBuilder;
  TraceBuilder* builder_ = nullptr;
};

class TraceBuilder {
 public:
  TraceBuilder();

  // A program that nothing recorded started: attached, with nothing found.
  Image& Start(const std::string& name, uint32_t pid, const std::vector<std::string>& argv = {});
  // The same with the attachment spelled out.
  Image& Attach(const std::string& name, uint32_t pid, AttachReason reason, uint32_t parent_pid, uint32_t parent_image);
  // An image that never says it attached.
  Image& Unattached(uint32_t number);

  void At(uint64_t ns) { now_ns_ = ns; }  // sets the clock, ns since the trace began
  void After(uint64_t ns) { now_ns_ += ns; }
  uint64_t now() const { return now_ns_; }

  // What is added from here on goes to another block of the file.
  void NextBlock() { ++block_; }

  // Adds the runs of a text proto of message Events, as blocks of their own: golden tests.
  absl::Status AddText(const std::string& textproto);

  // Encoded Runs, block by block, each run in its thread's order.
  std::vector<std::vector<std::string>> Blocks() const;

  // Hands all to an aggregator, block by block (numbered from 1, as in a file whose header block is 0).
  // advance: apply each block before the next is added.
  absl::Status Feed(Aggregator& aggregator, bool advance = false) const;
  // Feeds an aggregator of its own and returns its tables.
  Tables Aggregate() const;

  // Writes `path`, sealed, or with seal = false `path`.part as a recorder leaves it that was killed.
  absl::Status WriteTale(const std::string& path, bool seal = true, bool compress = false) const;

  TraceHeader header;
  std::vector<Drop> drops;  // as a recorder tells them in the tables of a sealed file

 private:
  friend class Image;
  struct Entry {
    uint32_t image, tid, level;
    uint64_t block;
    Event event;
  };

  std::deque<Image> images_;
  std::deque<Entry> entries_;
  std::map<uint64_t, std::vector<std::string>> text_runs_;
  uint64_t now_ns_ = 1000;
  uint64_t block_ = 1;
  uint64_t next_cookie_ = 1;
};

}  // namespace socktale::testing

#endif  // SOCKTALE_TESTS_SUPPORT_TRACE_BUILDER_H_
