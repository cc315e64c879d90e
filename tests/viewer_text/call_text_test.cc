// SPDX-License-Identifier: Apache-2.0
//
// Calls in words: each kind of call with its arguments decoded, its outcome, and the remark on it.

#include "viewer/cli/call_text.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/trace_builder.h"

namespace socktale {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// "recv(5, <payload>, PEEK) = 151 | waited 249 ms": the parts of a call in the order of their printing.
std::string Describe(const Event& event) {
  const std::string bytes = event.SerializeAsString();
  EventView view;
  EXPECT_TRUE(ParseEvent(bytes, 0, view).ok());
  const CallText text = DescribeCall(view);
  std::string line = text.before;
  if (text.has_payload) absl::StrAppend(&line, text.direction == Direction::kLeaves ? "→" : "←", text.payload_size);
  line += text.after;
  if (!text.outcome.empty()) absl::StrAppend(&line, text.failed ? " ✗ " : " = ", text.outcome);
  if (!text.remark.empty()) absl::StrAppend(&line, " | ", text.remark);
  return line;
}

Event Make(Call call, int fd, int64_t result, int error = 0) {
  Event event;
  event.set_call(call);
  event.set_fd(fd);
  event.set_result(error != 0 ? -1 : result);
  event.set_error(static_cast<uint32_t>(error));
  return event;
}

TEST(CallTextTest, SocketsAndTheirAddresses) {
  Event event = Make(CALL_SOCKET, 0, 5);
  event.set_domain(AF_INET);
  event.set_type(SOCK_STREAM | SOCK_CLOEXEC);
  EXPECT_EQ(Describe(event), "socket(INET, STREAM|CLOEXEC) = 5");
  event.set_protocol(IPPROTO_TCP);
  EXPECT_EQ(Describe(event), "socket(INET, STREAM|CLOEXEC, TCP) = 5");

  event = Make(CALL_CONNECT, 5, 0, EINPROGRESS);
  event.set_address(testing::Inet("127.0.0.1", 8080));
  EXPECT_EQ(Describe(event), "connect(5, localhost:8080) = EINPROGRESS");
  event.set_error(ECONNREFUSED);
  EXPECT_EQ(Describe(event), "connect(5, localhost:8080) ✗ ECONNREFUSED | nothing listens there");

  event = Make(CALL_ACCEPT4, 3, 9);
  event.set_address(testing::Inet("127.0.0.1", 51544));
  event.set_flags(SOCK_CLOEXEC);
  event.set_duration_ns(2'500'000'000);
  EXPECT_EQ(Describe(event), "accept4(3, localhost:51544, CLOEXEC) = 9 | waited 2.5 s");

  event = Make(CALL_LISTEN, 3, 0);
  event.set_option(128);
  EXPECT_EQ(Describe(event), "listen(3, 128) = 0");
  event = Make(CALL_SHUTDOWN, 3, 0);
  event.set_flags(SHUT_WR);
  EXPECT_EQ(Describe(event), "shutdown(3, WR) = 0");
}

TEST(CallTextTest, BothDescriptorsOfAPairAreItsOutcome) {
  Event event = Make(CALL_SOCKETPAIR, 5, 0);
  event.set_new_fd(6);
  event.set_domain(AF_UNIX);
  event.set_type(SOCK_STREAM);
  EXPECT_EQ(Describe(event), "socketpair(UNIX, STREAM) = 5, 6");
  event = Make(CALL_PIPE2, 7, 0);
  event.set_new_fd(8);
  event.set_flags(O_CLOEXEC);
  EXPECT_EQ(Describe(event), "pipe2(CLOEXEC) = 7, 8");
}

TEST(CallTextTest, TransfersHoldTheirPayload) {
  Event event = Make(CALL_RECV, 5, 151);
  event.set_payload(std::string(151, 'x'));
  event.set_size(4096);
  event.set_duration_ns(249'000'000);
  EXPECT_EQ(Describe(event), "recv(5, ←151) = 151 | waited 249 ms");
  event.set_flags(MSG_PEEK);
  event.set_notes(EVENT_NOTE_PEEK);
  event.set_duration_ns(10);
  EXPECT_EQ(Describe(event), "recv(5, ←151, PEEK) = 151 | only a look: the bytes stay");

  event = Make(CALL_SENDTO, 5, 3);
  event.set_payload("abc");
  event.set_address(testing::Inet("10.0.0.1", 53));
  EXPECT_EQ(Describe(event), "sendto(5, →3, 10.0.0.1:53) = 3");

  event = Make(CALL_SENDMSG, 5, 1);
  event.set_payload("x");
  event.add_passed(7);
  event.add_passed(9);
  EXPECT_EQ(Describe(event), "sendmsg(5, →1, descriptors 7 9) = 1");
}

TEST(CallTextTest, ATransferThatMovedNothingSaysWhatWasAskedFor) {
  Event event = Make(CALL_RECV, 5, 0, EAGAIN);
  event.set_size(4096);
  EXPECT_EQ(Describe(event), "recv(5, 4096) = EAGAIN | nothing there yet");
  event = Make(CALL_RECV, 5, 0);
  event.set_size(4096);
  EXPECT_EQ(Describe(event), "recv(5, 4096) = 0 | the end: nothing more will come");
  event = Make(CALL_SEND, 5, 0, EPIPE);
  event.set_size(10);
  EXPECT_EQ(Describe(event), "send(5, 10) ✗ EPIPE | nobody reads any more");
}

TEST(CallTextTest, MessagesOfOneCallAreCounted) {
  Event event = Make(CALL_RECVMMSG, 5, 2);
  event.set_payload("abcde");
  event.add_datagram()->set_size(2);
  event.add_datagram()->set_size(3);
  EXPECT_EQ(Describe(event), "recvmmsg(5, [2 B, 3 B], ←5) = 2");
}

TEST(CallTextTest, SendfileNamesItsSource) {
  Event event = Make(CALL_SENDFILE, 5, 4);
  event.set_new_fd(7);
  event.set_offset(100);
  event.set_payload("abcd");
  event.set_notes(EVENT_NOTE_READ_BACK);
  EXPECT_EQ(Describe(event), "sendfile(5, 7 at 100, →4) = 4");
  event.clear_payload();
  event.set_payload_size(4);
  event.set_notes(EVENT_NOTE_NOT_SEEN);
  EXPECT_EQ(Describe(event), "sendfile(5, 7 at 100, →4) = 4 | moved inside the kernel, not seen");
}

TEST(CallTextTest, OptionsAndFcntl) {
  Event event = Make(CALL_SETSOCKOPT, 5, 0);
  event.set_level(IPPROTO_TCP);
  event.set_option(TCP_NODELAY);
  event.set_payload(std::string("\1\0\0\0", 4));
  EXPECT_EQ(Describe(event), "setsockopt(5, TCP_NODELAY, 1) = 0");
  event.set_level(777);
  event.set_option(3);
  EXPECT_EQ(Describe(event), "setsockopt(5, 777, 3, 1) = 0");
  event = Make(CALL_GETSOCKOPT, 5, 0);
  event.set_level(SOL_SOCKET);
  event.set_option(SO_ERROR);
  event.set_payload(std::string("\x6f\0\0\0", 4));
  EXPECT_EQ(Describe(event), "getsockopt(5, SO_ERROR) = ECONNREFUSED | nothing listens there");
  event = Make(CALL_FCNTL, 5, 0);
  event.set_flags(F_SETFL);
  event.set_option(O_NONBLOCK);
  EXPECT_EQ(Describe(event), "fcntl(5, F_SETFL, NONBLOCK) = 0");
  event.set_option(O_RDWR | O_NONBLOCK);
  EXPECT_EQ(Describe(event), "fcntl(5, F_SETFL, RDWR|NONBLOCK) = 0");
  event = Make(CALL_FCNTL, 5, O_RDWR | O_NONBLOCK);
  event.set_flags(F_GETFL);
  EXPECT_EQ(Describe(event), "fcntl(5, F_GETFL) = RDWR|NONBLOCK");
}

TEST(CallTextTest, WaitsSayWhoIsReady) {
  Event event = Make(CALL_POLL, 0, 1);
  event.set_timeout_ns(1'000'000'000);
  Polled* polled = event.add_polled();
  polled->set_fd(3);
  polled->set_events(POLLIN);
  polled = event.add_polled();
  polled->set_fd(5);
  polled->set_events(POLLIN | POLLOUT);
  polled->set_revents(POLLOUT);
  EXPECT_EQ(Describe(event), "poll([3 IN, 5 IN|OUT], 1 s) = 1 | ready: 5 OUT");

  event = Make(CALL_EPOLL_WAIT, 4, 0);
  event.set_timeout_ns(-1);
  EXPECT_EQ(Describe(event), "epoll_wait(4, for ever) = 0 | nothing was ready");
  event.set_result(1);
  polled = event.add_polled();
  polled->set_fd(9);
  polled->set_revents(EPOLLIN | EPOLLRDHUP);
  EXPECT_EQ(Describe(event), "epoll_wait(4, for ever) = 1 | ready: 9 IN|RDHUP");
  event = Make(CALL_EPOLL_CTL, 4, 0);
  event.set_flags(EPOLL_CTL_DEL);
  event.set_new_fd(9);
  EXPECT_EQ(Describe(event), "epoll_ctl(4, DEL, 9) = 0");
}

TEST(CallTextTest, LongListsAreCutAndCounted) {
  Event event = Make(CALL_POLL, 0, 0);
  for (int fd = 0; fd < 100; ++fd) {
    Polled* polled = event.add_polled();
    polled->set_fd(fd);
    polled->set_events(POLLIN);
  }
  EXPECT_THAT(Describe(event), HasSubstr("5 IN, +94], 0)"));
}

TEST(CallTextTest, FilesAndPrograms) {
  Event event = Make(CALL_OPENAT, 0, 0, ENOENT);
  event.set_path("/etc/none");
  event.set_flags(O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(Describe(event), "openat(\"/etc/none\", RDONLY|CLOEXEC) ✗ ENOENT | No such file or directory");
  event = Make(CALL_EXECUTING, 0, 0);
  event.set_path("/bin/sh");
  event.add_argv("sh");
  event.add_argv("-c");
  event.add_argv("echo $HOME");
  EXPECT_EQ(Describe(event), "execve(\"/bin/sh\", sh -c 'echo $HOME')");
  event = Make(CALL_EXIT, 0, 3);
  EXPECT_EQ(Describe(event), "_exit(3)");
  event = Make(CALL_FORK, 0, 4243);
  EXPECT_EQ(Describe(event), "fork() = 4243");
}

TEST(CallTextTest, NamesResolvedAndNotResolved) {
  Event event = Make(CALL_GETADDRINFO, 0, 0);
  event.set_host("db.internal");
  event.set_service("5432");
  event.add_answer(testing::Inet("10.0.0.7", 5432));
  event.set_duration_ns(12'000'000);
  EXPECT_EQ(Describe(event), "getaddrinfo(\"db.internal\", \"5432\") = 0 | 10.0.0.7:5432, took 12 ms");
  event = Make(CALL_GETADDRINFO, 0, EAI_NONAME);
  event.set_host("nowhere");
  EXPECT_EQ(Describe(event), "getaddrinfo(\"nowhere\", NULL) ✗ Name or service not known");
}

TEST(CallTextTest, TheShimsNotesAreSentences) {
  Event event = Make(CALL_ATTACHED, 0, 0);
  event.set_reason(ATTACH_REASON_EXEC);
  event.add_argv("curl");
  event.add_argv("-s");
  EXPECT_EQ(Describe(event), "executes: curl -s");
  event.set_reason(ATTACH_REASON_FORK);
  event.set_parent_pid(41);
  EXPECT_EQ(Describe(event), "forked by process 41");
  event = Make(CALL_FOUND, 3, 0);
  event.set_kind(DESCRIPTOR_KIND_SOCKET);
  event.set_domain(AF_INET);
  event.set_type(SOCK_STREAM);
  event.set_local_address(testing::Inet("0.0.0.0", 80));
  event.set_listening(true);
  EXPECT_EQ(Describe(event), "descriptor 3 is there: socket INET STREAM *:80 listening");
  event = Make(CALL_SOCKET_SUMMARY, 3, 0);
  event.set_rtt_us(83);
  event.set_retransmits(2);
  EXPECT_EQ(Describe(event), "descriptor 3: round trip 83 µs, 2 segments sent again");
}

TEST(CallTextTest, NothingInACallReachesTheTerminalAsACommand) {
  Event event = Make(CALL_OPEN, 0, 3);
  event.set_path("/tmp/\x1b]0;gotcha\x07");
  EXPECT_THAT(Describe(event), Not(HasSubstr("\x1b")));
  event = Make(CALL_EXECUTING, 0, 0);
  event.set_path("/bin/x");
  event.add_argv("\x1b[2J");
  EXPECT_THAT(Describe(event), Not(HasSubstr("\x1b")));
}

TEST(CallTextTest, CallsThatOnlySayNotYetHaveNotFailed) {
  for (int error : {EAGAIN, EINPROGRESS, EALREADY, EINTR}) EXPECT_TRUE(IsNotYet(static_cast<uint32_t>(error)));
  for (int error : {ECONNREFUSED, EPIPE, EBADF}) EXPECT_FALSE(IsNotYet(static_cast<uint32_t>(error)));
}

}  // namespace
}  // namespace socktale
