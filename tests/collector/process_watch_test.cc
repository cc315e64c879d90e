// SPDX-License-Identifier: Apache-2.0

#include "collector/process_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

namespace socktale {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class ProcessWatchTest : public testing::Test {
 protected:
  ProcessWatchTest() : watch_(*ProcessWatch::Create()) {}

  static pid_t StartChild() {
    const pid_t pid = fork();
    if (pid == 0) {
      for (;;) pause();
    }
    return pid;
  }

  static void End(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }

  ProcessIdentity IdentityOf(pid_t pid) {
    ProcessStat stat;
    EXPECT_TRUE(ReadProcessStat(pid, stat));
    return {static_cast<uint32_t>(pid), watch_.own_namespace(), stat.start_ticks};
  }

  ProcessWatch watch_;
};

TEST_F(ProcessWatchTest, WakesItsWaiterWhenAProcessEnds) {
  const pid_t pid = StartChild();
  EXPECT_EQ(watch_.Watch(1, IdentityOf(pid)), 0u);
  EXPECT_TRUE(watch_.Watches(pid));
  EXPECT_THAT(watch_.TakeEnded(), IsEmpty());
  End(pid);
  pollfd wait = {.fd = watch_.fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&wait, 1, 5000), 1);
  const auto ended = watch_.TakeEnded();
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(ended[0].image, 1u);
  EXPECT_TRUE(ended[0].certain);
  EXPECT_EQ(watch_.alive(), 0u);
}

TEST_F(ProcessWatchTest, TellsWhichImageAnotherOneReplaced) {
  const ProcessIdentity self = IdentityOf(getpid());
  EXPECT_EQ(watch_.Watch(1, self), 0u);
  EXPECT_EQ(watch_.Watch(2, self), 1u);
  EXPECT_EQ(watch_.alive(), 1u);
}

TEST_F(ProcessWatchTest, KnowsThatANumberIsUsedAgainByItsStart) {
  ProcessIdentity other = IdentityOf(getpid());
  other.start_ticks -= 1;
  watch_.Watch(1, other);
  EXPECT_THAT(watch_.TakeEnded(), SizeIs(1));
}

TEST_F(ProcessWatchTest, ReportsAProcessThatWasGoneBefore) {
  const pid_t pid = StartChild();
  const ProcessIdentity identity = IdentityOf(pid);
  End(pid);
  watch_.Watch(1, identity);
  EXPECT_THAT(watch_.TakeEnded(), SizeIs(1));
}

TEST_F(ProcessWatchTest, SeesWhichThreadsLive) {
  watch_.Watch(1, IdentityOf(getpid()));
  pid_t ended = 0;
  std::thread([&ended] { ended = gettid(); }).join();
  EXPECT_TRUE(watch_.ThreadLives(1, static_cast<uint32_t>(gettid())));
  while (watch_.ThreadLives(1, static_cast<uint32_t>(ended))) sched_yield();  // join may be earlier than /proc
  EXPECT_TRUE(watch_.ThreadLives(99, 1)) << "an image that is not known";
}

TEST_F(ProcessWatchTest, TakesAProcessThatMayShareMemoryForAThread) {
  watch_.Watch(1, IdentityOf(getpid()));
  const pid_t child = StartChild();
  EXPECT_TRUE(watch_.ThreadLives(1, static_cast<uint32_t>(child)));
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(watch_.ThreadLives(1, static_cast<uint32_t>(child)));
}

TEST_F(ProcessWatchTest, FindsAProcessOfAnotherPidNamespace) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    if (unshare(CLONE_NEWPID) != 0) _exit(77);
    const pid_t inner = fork();
    if (inner == 0) {
      struct stat own;
      ProcessStat stat;
      const pid_t seen = getpid();
      if (::stat("/proc/self/ns/pid", &own) != 0 || !ReadProcessStat(seen, stat)) own.st_ino = 0;
      if (write(ends[1], &seen, sizeof seen) < 0) _exit(1);
      for (;;) pause();
    }
    if (write(ends[1], &inner, sizeof inner) < 0) _exit(1);
    waitpid(inner, nullptr, 0);
    _exit(0);
  }
  close(ends[1]);
  pid_t pids[2] = {};
  ssize_t n = 0;
  for (ssize_t got; n < static_cast<ssize_t>(sizeof pids) && (got = read(ends[0], reinterpret_cast<char*>(pids) + n,
                                                                         sizeof pids - static_cast<size_t>(n))) > 0;) {
    n += got;
  }
  close(ends[0]);
  if (n != sizeof pids) {
    waitpid(parent, nullptr, 0);
    GTEST_SKIP() << "no permission to make a pid namespace";
  }
  const pid_t outside = pids[0] == 1 ? pids[1] : pids[0];
  struct stat inner_namespace;
  ASSERT_EQ(::stat(("/proc/" + std::to_string(outside) + "/ns/pid").c_str(), &inner_namespace), 0);
  ProcessIdentity identity = IdentityOf(outside);
  identity.pid = 1;
  identity.pid_namespace = inner_namespace.st_ino;
  // A hundred that are nowhere came before it: each look for one of them alone is a walk through /proc.
  for (uint32_t i = 0; i < 100; ++i) watch_.Watch(100 + i, {4711 + i, inner_namespace.st_ino + 1 + i, 5});
  watch_.Watch(1, identity);
  EXPECT_THAT(watch_.TakeEnded(), IsEmpty());
  EXPECT_TRUE(watch_.Watches(outside));
  EXPECT_TRUE(watch_.ThreadLives(1, 1));
  EXPECT_FALSE(watch_.ThreadLives(1, 4711));
  kill(outside, SIGKILL);
  waitpid(parent, nullptr, 0);
  const auto ended = watch_.TakeEnded();
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_TRUE(ended[0].certain);
}

TEST_F(ProcessWatchTest, IsNotSureOfAProcessItNeverSaw) {
  watch_.Watch(1, {4711, watch_.own_namespace() + 1, 5});
  EXPECT_THAT(watch_.TakeEnded(), IsEmpty());
  EXPECT_EQ(watch_.alive(), 1u);
}

}  // namespace
}  // namespace socktale
