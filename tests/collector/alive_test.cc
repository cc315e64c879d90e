// SPDX-License-Identifier: Apache-2.0
//
// Which processes a session takes for alive.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/clock.h"
#include "collector/process_watch.h"
#include "collector/session.h"
#include "tests/collector/fake_writer.h"
#include "tests/collector/test_home.h"

namespace socktale {
namespace {

TEST(SessionTest, TellsTheProcessesThatAreAlive) {
  TestHome home;
  const auto session = MustCreate(home.Options("alive"));
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  EXPECT_EQ(session->LiveProcesses(), 1u);
  const pid_t pid = fork();
  if (pid == 0) {
    FakeShim child(ArenaPathOf(*session));
    child.Attach();
    pause();
  }
  while (session->LiveProcesses() < 2) ASSERT_TRUE(session->Poll(1, -1).ok());
  kill(pid, SIGKILL);
  ASSERT_EQ(waitpid(pid, nullptr, 0), pid);
  EXPECT_EQ(session->LiveProcesses(), 1u);
  const auto summary = session->Finish();
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->processes_alive, 1u);
}

TEST(SessionTest, CountsAChildThatHasAttachedOnce) {
  TestHome home;
  const auto session = MustCreate(home.Options("forked"));
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    FakeShim child(ArenaPathOf(*session));
    child.Attach();
    if (write(ends[1], "a", 1) != 1) _exit(1);
    pause();
  }
  char attached = 0;
  ASSERT_EQ(read(ends[0], &attached, 1), 1);
  // The parent's word of its child is read, the child's own is not.
  Event forked;
  forked.set_call(CALL_FORK);
  forked.set_start_ns(MonotonicNs() - shim.header().base_ns);
  forked.set_result(pid);
  ASSERT_TRUE(FakeThread(&shim, 1).Write(forked));
  EXPECT_EQ(session->LiveProcesses(), 2u);
  ASSERT_TRUE(session->Poll(0, -1).ok());
  while (session->Summary().events == 0) ASSERT_TRUE(session->Poll(1, -1).ok());
  EXPECT_EQ(session->LiveProcesses(), 2u);
  kill(pid, SIGKILL);
  ASSERT_EQ(waitpid(pid, nullptr, 0), pid);
  close(ends[0]);
  close(ends[1]);
  ASSERT_TRUE(session->Finish().ok());
}

// A vfork child's exec of a program that does not attach.
Event ExecutingIn(pid_t pid, uint64_t base_ns) {
  Event executing;
  executing.set_call(CALL_EXECUTING);
  executing.set_notes(EVENT_NOTE_VFORK_CHILD);
  executing.set_pid(static_cast<uint32_t>(pid));
  executing.set_start_ns(MonotonicNs() - base_ns);
  executing.set_path("/bin/true");
  return executing;
}

pid_t Waiting() {
  const pid_t pid = fork();
  if (pid == 0) {
    pause();
    _exit(0);
  }
  return pid;
}

// Nobody watches it: it has no slot. The trace must not say that it runs to this day.
TEST(SessionTest, AProgramThatNeverAttachedIsOverWhenItsProcessIs) {
  TestHome home;
  const auto session = MustCreate(home.Options("killed"));
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  const pid_t killed = Waiting(), at_the_end = Waiting(), runs = Waiting();
  FakeThread thread(&shim, 1);
  for (const pid_t pid : {killed, at_the_end, runs}) {
    ASSERT_TRUE(thread.Write(ExecutingIn(pid, shim.header().base_ns)));
  }
  kill(killed, SIGKILL);
  ASSERT_EQ(waitpid(killed, nullptr, 0), killed);
  const uint64_t killed_ns = MonotonicNs();
  while (MonotonicNs() - killed_ns < 400 * kMillisecondNs) ASSERT_TRUE(session->Poll(10, -1).ok());
  const uint64_t looked_ns = MonotonicNs() - shim.header().base_ns;
  kill(at_the_end, SIGKILL);  // (not waited for: a zombie is over, too)
  while (!IsGone(at_the_end, 0)) usleep(1000);
  const auto summary = session->Finish();
  ASSERT_TRUE(summary.ok());
  kill(runs, SIGKILL);
  ASSERT_EQ(waitpid(at_the_end, nullptr, 0), at_the_end);
  ASSERT_EQ(waitpid(runs, nullptr, 0), runs);

  const Tables tables = ReadTrace(summary->trace_path).tables;
  ASSERT_EQ(tables.process_size(), 4);
  EXPECT_GT(tables.process(1).end_ns(), 0u);
  EXPECT_LT(tables.process(1).end_ns(), looked_ns);
  EXPECT_FALSE(tables.process(1).has_exit_status());
  EXPECT_THAT(tables.process(1).image(0).not_recorded(),
              testing::MatchesRegex("it did not attach, and was gone within 0\\.[1-5] s"));
  EXPECT_GT(tables.process(2).end_ns(), looked_ns);
  EXPECT_EQ(tables.process(3).end_ns(), 0u);
  EXPECT_EQ(tables.process(3).image(0).not_recorded(), "it did not attach");
  ASSERT_EQ(summary->missing.size(), 3u);
  for (const Missing& row : summary->missing) EXPECT_EQ(row.kind(), "not_attached");
}

// Those that live long are looked at less often.
TEST(SessionTest, AProgramThatNeverAttachedIsOverAlsoWhenItLivedLong) {
  TestHome home;
  const auto session = MustCreate(home.Options("long"));
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  const pid_t pid = Waiting();
  ASSERT_TRUE(FakeThread(&shim, 1).Write(ExecutingIn(pid, shim.header().base_ns)));
  const auto poll_for = [&](uint64_t milliseconds) {
    const uint64_t since_ns = MonotonicNs();
    while (MonotonicNs() - since_ns < milliseconds * kMillisecondNs) ASSERT_TRUE(session->Poll(10, -1).ok());
  };
  poll_for(1200);
  kill(pid, SIGKILL);
  ASSERT_EQ(waitpid(pid, nullptr, 0), pid);
  poll_for(1500);
  const uint64_t looked_ns = MonotonicNs() - shim.header().base_ns;
  poll_for(100);
  const auto summary = session->Finish();
  ASSERT_TRUE(summary.ok());
  const Tables tables = ReadTrace(summary->trace_path).tables;
  ASSERT_EQ(tables.process_size(), 2);
  EXPECT_GT(tables.process(1).end_ns(), 0u);
  EXPECT_LT(tables.process(1).end_ns(), looked_ns);
}

TEST(SessionTest, AProgramThatAttachedBeforeItWasGoneIsNotTakenForOneThatDidNot) {
  TestHome home;
  const auto session = MustCreate(home.Options("short"));
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  const pid_t pid = Waiting();
  ASSERT_TRUE(FakeThread(&shim, 1).Write(ExecutingIn(pid, shim.header().base_ns)));
  while (session->Summary().events == 0) ASSERT_TRUE(session->Poll(1, -1).ok());
  FakeShim child(ArenaPathOf(*session));
  child.AttachAs(static_cast<uint32_t>(pid), 0, 0);
  Event attached;
  attached.set_call(CALL_ATTACHED);
  attached.set_reason(ATTACH_REASON_START);
  attached.set_pid(static_cast<uint32_t>(pid));
  attached.set_start_ns(MonotonicNs() - shim.header().base_ns);
  ASSERT_TRUE(FakeThread(&child, static_cast<uint32_t>(pid)).Write(attached));
  kill(pid, SIGKILL);
  ASSERT_EQ(waitpid(pid, nullptr, 0), pid);
  const auto summary = session->Finish();
  ASSERT_TRUE(summary.ok());
  EXPECT_TRUE(summary->missing.empty()) << summary->missing[0].DebugString();
}

}  // namespace
}  // namespace socktale
