// SPDX-License-Identifier: Apache-2.0
//
// Writes the seeds that the fuzzers begin with: make_corpus FOLDER fills FOLDER/trace_file, FOLDER/event_view and
// FOLDER/aggregate.

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cstdio>
#include <filesystem>

#include "proto/event_view.h"
#include "tests/proto/sample_trace.h"
#include "tests/support/trace_builder.h"

namespace {

using namespace socktale;

void Make(const std::string& folder) {
  const std::string files = folder + "/trace_file/", events = folder + "/event_view/";
  std::filesystem::create_directories(files);
  std::filesystem::create_directories(events);
  const std::string sealed = ReadFile(WriteSample(files + "sealed", 2, true));
  std::filesystem::rename(WriteSample(files + "unsealed", 2, false), files + "unsealed");
  WriteFile(files + "cut", sealed.substr(0, sealed.size() - 100));
  WriteFile(files + "two", sealed + ReadFile(files + "unsealed"));
  std::string damaged = sealed;
  damaged[sealed.size() / 3] = '\xff';
  damaged[2] = '\0';
  WriteFile(files + "damaged", damaged);

  Event call;
  call.set_call(CALL_ACCEPT4);
  call.set_fd(3);
  call.set_start_ns(123456);
  call.set_result(7);
  call.set_address(std::string("\x02\x00\x1f\x90\x7f\x00\x00\x01", 8));
  call.set_socket_id(1ull << 40);
  WriteFile(events + "accept", call.SerializeAsString());
  Event wait;
  wait.set_call(CALL_POLL);
  wait.set_timeout_ns(-1);
  wait.add_polled()->set_fd(5);
  wait.add_polled()->set_events(1);
  wait.add_passed(4);
  wait.add_passed(-1);
  wait.add_datagram()->set_size(12);
  wait.add_argv("curl");
  wait.add_answer("x");
  WriteFile(events + "wait", wait.SerializeAsString());
}

// A little of everything that the aggregator knows, as one message Events each.
void MakeTales(const std::string& folder) {
  using testing::Inet;
  using testing::Unix;
  std::filesystem::create_directories(folder);
  const auto write = [&folder](const char* name, const testing::TraceBuilder& trace) {
    Events events;
    for (const std::vector<std::string>& block : trace.Blocks()) {
      for (const std::string& run : block) events.add_run()->ParseFromString(run);
    }
    WriteFile(folder + "/" + name, events.SerializeAsString());
  };
  {
    testing::TraceBuilder trace;
    testing::Image& server = trace.Start("httpd", 10);
    server.Socket(3, AF_INET, SOCK_STREAM);
    server.Bind(3, Inet("0.0.0.0", 80));
    server.Listen(3);
    testing::Image& client = trace.Start("curl", 20);
    client.Resolve("localhost", {Inet("127.0.0.1", 0)});
    client.Socket(5, AF_INET, SOCK_STREAM);
    client.Connect(5, Inet("127.0.0.1", 80), {.local = Inet("127.0.0.1", 4000)});
    server.Accept(3, 4, {.local = Inet("127.0.0.1", 80), .peer = Inet("127.0.0.1", 4000)});
    trace.NextBlock();
    testing::Image& worker = server.Fork(11);
    server.Close(4);
    client.Send(5, "hello");
    worker.Recv(4, "hello");
    worker.Dup2(4, 1);
    worker.Exec("/bin/cat", {"cat"}).FoundSocket(1, AF_INET, SOCK_STREAM, {.peer = Inet("127.0.0.1", 4000)});
    client.Shutdown(5, SHUT_WR);
    client.Close(5);
    client.Exit(0);
    write("tcp", trace);
  }
  {
    testing::TraceBuilder trace;
    testing::Image& a = trace.Start("a", 10);
    a.SocketPair(3, 4, AF_UNIX, SOCK_DGRAM);
    a.Socket(5, AF_UNIX, SOCK_STREAM);
    a.Bind(5, Unix("x.sock"));
    a.Listen(5);
    testing::Image& b = a.Fork(11);
    b.Socket(7, AF_UNIX, SOCK_STREAM);
    b.Connect(7, Unix("@x"), {.peer_pid = 10});
    a.Accept(5, 8, {.peer_pid = 11});
    a.Send(3, "x", {.passed = {8}});
    a.Close(8);
    b.Recv(4, "x", {.passed = {9}});
    b.Found(9, DESCRIPTOR_KIND_SOCKET, {.cookie = 3});
    a.EpollCreate(20);
    a.EpollAdd(20, 3, EPOLLIN);
    a.Pipe(30, 31, {.inode = 900});
    a.Socket(40, AF_INET, SOCK_DGRAM);
    for (uint16_t port = 1; port < 9; ++port) a.Recv(40, "q", {.peer = Inet("127.0.0.1", port)});
    write("local", trace);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus FOLDER\n");
    return 2;
  }
  Make(argv[1]);
  MakeTales(std::string(argv[1]) + "/aggregate");
  return 0;
}
