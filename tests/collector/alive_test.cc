// SPDX-License-Identifier: Apache-2.0
//
// Which processes a session takes for alive.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/clock.h"
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

}  // namespace
}  // namespace socktale
