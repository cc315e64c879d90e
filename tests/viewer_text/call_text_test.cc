// SPDX-License-Identifier: Apache-2.0
//
// Calls in words: each kind of call with its arguments decoded, its outcome, and the remark on it.

#include "viewer/cli/call_text.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/close_range.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include <cerrno>
#include <climits>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/trace_builder.h"
#include "viewer/model/lookup.h"

namespace socktale {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

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
  event.clear_offset();
  event.set_payload_size(4);
  event.set_size(4096);
  event.set_notes(EVENT_NOTE_NOT_SEEN);
  EXPECT_EQ(Describe(event), "sendfile(5, 7, 4096) = 4 | moved inside the kernel, not seen");
  event = Make(CALL_SENDFILE, 5, -1, EAGAIN);
  event.set_new_fd(7);
  event.set_size(4096);
  EXPECT_EQ(Describe(event), "sendfile(5, 7, 4096) = EAGAIN | no room yet");
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
  event = Make(CALL_LEFT, 3, 0);
  event.set_option(CALL_RECV);
  EXPECT_EQ(Describe(event), "recv(3) did not come back: a jump or a cancellation ended it");
  event = Make(CALL_LEFT, 0, 0);
  event.set_option(CALL_SOCKET);
  EXPECT_EQ(Describe(event), "socket() did not come back: a jump or a cancellation ended it");
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

std::string Bytes(const std::string& text, size_t size) { return text + std::string(size - text.size(), '\0'); }

TEST(CallTextTest, StreamsDirectoriesAndTemporaryFiles) {
  Event event = Make(CALL_FOPEN, 3, 3);
  event.set_path("/etc/hosts");
  EXPECT_EQ(Describe(event), "fopen(\"/etc/hosts\", \"r\") = 3");
  event.set_flags(O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
  EXPECT_EQ(Describe(event), "fopen(\"/etc/hosts\", \"we\") = 3");
  event.set_flags(O_RDWR | O_CREAT | O_APPEND);
  EXPECT_EQ(Describe(event), "fopen(\"/etc/hosts\", \"a+\") = 3");
  event = Make(CALL_FREOPEN, 1, 1);
  event.set_path("log");
  event.set_flags(O_WRONLY | O_CREAT | O_TRUNC);
  EXPECT_EQ(Describe(event), "freopen(\"log\", \"w\", 1) = 1");
  event = Make(CALL_FDOPEN, 7, 7);
  event.set_flags(O_RDWR);
  EXPECT_EQ(Describe(event), "fdopen(7, \"r+\") = 7");
  EXPECT_EQ(Describe(Make(CALL_FCLOSE, 3, 0)), "fclose(3) = 0");
  EXPECT_EQ(Describe(Make(CALL_TMPFILE, 4, 4)), "tmpfile() = 4");
  event = Make(CALL_POPEN, 5, 5);
  event.set_path("ls -l");
  EXPECT_EQ(Describe(event), "popen(\"ls -l\", \"r\") = 5");
  event = Make(CALL_MKSTEMP, 6, 6);
  event.set_path("/tmp/xAb12z");
  EXPECT_EQ(Describe(event), "mkstemp(\"/tmp/xAb12z\") = 6");
  event = Make(CALL_SHM_OPEN, 6, 6);
  event.set_path("/ring");
  event.set_flags(O_RDWR | O_CREAT);
  EXPECT_EQ(Describe(event), "shm_open(\"/ring\", RDWR|CREAT) = 6");
  event = Make(CALL_OPENDIR, 8, 8);
  event.set_path("/etc");
  EXPECT_EQ(Describe(event), "opendir(\"/etc\") = 8");
  event = Make(CALL_OPENPTY, 8, 0);
  event.set_new_fd(9);
  EXPECT_EQ(Describe(event), "openpty() = 8, 9");
}

TEST(CallTextTest, RangesAndHandlesAndMounts) {
  Event event = Make(CALL_CLOSE_RANGE, 50, 0);
  event.set_new_fd(59);
  EXPECT_EQ(Describe(event), "close_range(50, 59) = 0");
  event.set_new_fd(INT_MAX);
  event.set_flags(CLOSE_RANGE_CLOEXEC);
  EXPECT_EQ(Describe(event), "close_range(50, ~0U, CLOEXEC) = 0");
  event = Make(CALL_OPEN_BY_HANDLE_AT, AT_FDCWD, 5);
  event.set_flags(O_RDONLY);
  EXPECT_EQ(Describe(event), "open_by_handle_at(CWD, RDONLY) = 5");
  event = Make(CALL_OPEN_TREE, 4, 5);
  event.set_path("mnt");
  event.set_flags(1 | O_CLOEXEC);
  EXPECT_EQ(Describe(event), "open_tree(4, \"mnt\", CLONE|CLOEXEC) = 5");
  event = Make(CALL_FSMOUNT, 4, 5);
  event.set_flags(1);
  EXPECT_EQ(Describe(event), "fsmount(4, CLOEXEC) = 5");
  event = Make(CALL_FSPICK, AT_FDCWD, 5);
  event.set_path("/mnt");
  EXPECT_EQ(Describe(event), "fspick(\"/mnt\") = 5");
}

TEST(CallTextTest, RequestsAndOffsetsAndCopiesHaveTheirNames) {
  Event event = Make(CALL_IOCTL, 5, 0);
  event.set_option(FIONREAD);
  event.set_payload(Bytes("\x0c", 4));
  EXPECT_EQ(Describe(event), "ioctl(5, FIONREAD, [12]) = 0");
  event.set_option(0x89ff);
  event.clear_payload();
  EXPECT_EQ(Describe(event), "ioctl(5, 0x89ff) = 0");

  event = Make(CALL_SETSOURCEFILTER, 5, 0);
  event.set_address(testing::Inet("232.1.1.1", 0));
  event.set_flags(MCAST_INCLUDE);
  EXPECT_EQ(Describe(event), "setsourcefilter(5, 232.1.1.1:0, INCLUDE) = 0");
  EXPECT_EQ(Describe(Make(CALL_GETSOURCEFILTER, 5, 0, EADDRNOTAVAIL)),
            "getsourcefilter(5) ✗ EADDRNOTAVAIL | this machine has no such address");

  event = Make(CALL_PREAD, 3, 3);
  event.set_payload("abc");
  event.set_offset(4096);
  EXPECT_EQ(Describe(event), "pread(3 at 4096, ←3) = 3");
  event = Make(CALL_PWRITEV2, 3, 3);
  event.set_payload("abc");
  event.set_offset(UINT64_MAX);
  event.set_flags(RWF_DSYNC | RWF_APPEND);
  EXPECT_EQ(Describe(event), "pwritev2(3, →3, DSYNC|APPEND) = 3");

  event = Make(CALL_SPLICE, 5, 12);
  event.set_new_fd(7);
  event.set_size(4096);
  event.set_payload_size(12);
  event.set_flags(SPLICE_F_MOVE | SPLICE_F_MORE);
  event.set_notes(EVENT_NOTE_NOT_SEEN);
  EXPECT_EQ(Describe(event), "splice(7, 5, 4096, MOVE|MORE) = 12 | moved inside the kernel, not seen");
  event = Make(CALL_COPY_FILE_RANGE, 5, 3);
  event.set_new_fd(7);
  event.set_offset(10);
  event.set_payload("abc");
  event.set_notes(EVENT_NOTE_READ_BACK);
  EXPECT_EQ(Describe(event), "copy_file_range(7 at 10, 5, ←3) = 3");
}

TEST(CallTextTest, WatchesTimersAndSignals) {
  Event event = Make(CALL_INOTIFY_ADD_WATCH, 3, 1);
  event.set_path("/tmp");
  event.set_option(IN_CREATE | IN_MOVED_TO);
  EXPECT_EQ(Describe(event), "inotify_add_watch(3, \"/tmp\", MOVED_TO|CREATE) = 1");
  event = Make(CALL_INOTIFY_INIT, 3, 3);
  EXPECT_EQ(Describe(event), "inotify_init() = 3");
  EXPECT_EQ(Describe(Make(CALL_PIDFD_OPEN, 6, 6)), "pidfd_open() = 6");
  event = Make(CALL_PIDFD_SEND_SIGNAL, 6, 0);
  event.set_option(SIGTERM);
  EXPECT_EQ(Describe(event), "pidfd_send_signal(6, SIGTERM) = 0");
  event = Make(CALL_TIMERFD_SETTIME, 4, 0);
  itimerspec timer = {};
  timer.it_value.tv_sec = 1;
  timer.it_interval.tv_sec = 2;
  event.set_payload(&timer, sizeof timer);
  event.set_timeout_ns(1'000'000'000);
  EXPECT_EQ(Describe(event), "timerfd_settime(4, 1 s every 2 s) = 0");
  timer.it_interval.tv_sec = INT64_MAX;  // as only a damaged file tells
  timer.it_interval.tv_nsec = INT64_MAX;
  event.set_payload(&timer, sizeof timer);
  EXPECT_THAT(Describe(event), StartsWith("timerfd_settime(4, 1 s every "));
  event = Make(CALL_EVENTFD_WRITE, 4, 0);
  event.set_payload(Bytes("\x07", 8));
  EXPECT_EQ(Describe(event), "eventfd_write(4, [7]) = 0");
  event = Make(CALL_EPOLL_PWAIT2, 4, 1);
  event.set_timeout_ns(-1);
  Polled* polled = event.add_polled();
  polled->set_fd(9);
  polled->set_revents(EPOLLIN);
  EXPECT_EQ(Describe(event), "epoll_pwait2(4, for ever) = 1 | ready: 9 IN");
}

TEST(CallTextTest, NamesAndProcesses) {
  Event event = Make(CALL_GETHOSTBYNAME, 0, 0);
  event.set_host("db.internal");
  event.add_answer(testing::Inet("10.0.0.7", 0));
  EXPECT_THAT(Describe(event), AllOf(StartsWith("gethostbyname(\"db.internal\") = 0 | "), HasSubstr("10.0.0.7")));
  event = Make(CALL_GETHOSTBYNAME, 0, -1);
  event.set_host("nowhere");
  event.set_domain(AF_INET6);
  EXPECT_EQ(Describe(event), "gethostbyname(\"nowhere\", INET6) ✗ no answer");
  event = Make(CALL_GETNAMEINFO, 0, 0);
  event.set_address(testing::Inet("10.0.0.7", 5432));
  event.set_host("db.internal");
  event.set_service("postgresql");
  EXPECT_EQ(Describe(event), "getnameinfo(10.0.0.7:5432) = 0 | \"db.internal\", service \"postgresql\"");
  event = Make(CALL_DLOPEN, 0, 0);
  event.set_path("/usr/lib/php/curl.so");
  event.set_flags(RTLD_NOW | RTLD_DEEPBIND);
  EXPECT_EQ(Describe(event), "dlopen(\"/usr/lib/php/curl.so\", NOW|DEEPBIND)");
  event = Make(CALL_DLMOPEN, 0, 0);
  event.set_path("libm.so.6");
  event.set_option(static_cast<uint32_t>(LM_ID_NEWLM));
  event.set_flags(RTLD_LAZY);
  EXPECT_EQ(Describe(event), "dlmopen(NEWLM, \"libm.so.6\", LAZY)");
  event = Make(CALL_SYSTEM, 0, 0);
  event.set_path("make all");
  EXPECT_EQ(Describe(event), "system(\"make all\") = 0");
  event = Make(CALL_CLONE, 0, 4243);
  event.set_flags(CLONE_NEWNET | SIGCHLD);
  EXPECT_EQ(Describe(event), "clone(NEWNET|SIGCHLD) = 4243");
  event = Make(CALL_SYSCALL, 5, 5);
  event.set_option(SYS_openat2);
  event.set_path("f");
  EXPECT_EQ(Describe(event), "syscall(openat2, \"f\") = 5");
  event = Make(CALL_SYSCALL, 5, 5);
  event.set_option(SYS_signalfd4);
  EXPECT_EQ(Describe(event), "syscall(signalfd4) = 5");
}

// A call without a descriptor is never shown with a false 0.
TEST(CallTextTest, NoCallHasADescriptorThatItHasNot) {
  for (int value = Call_MIN; value <= Call_MAX; ++value) {
    if (!Call_IsValid(value) || value == CALL_SYSCALL || value == CALL_EXIT || value >= CALL_ATTACHED) continue;
    const Event event = Make(static_cast<Call>(value), 0, 77);
    if (HasDescriptor(event.call())) continue;
    const std::string text = Describe(event);
    const size_t open = text.find('(');
    ASSERT_NE(open, std::string::npos) << text;
    EXPECT_NE(text[open + 1], '0') << text;
  }
}

}  // namespace
}  // namespace socktale
