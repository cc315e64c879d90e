// SPDX-License-Identifier: Apache-2.0
//
// Lives of pids: forks, execs, vfork children, pids used again, programs that were not recorded.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "collector/aggregate/aggregator.h"
#include "tests/support/trace_builder.h"

namespace socktale {
namespace {

using testing::Image;
using testing::TraceBuilder;

TEST(ProcessTest, AnExecGoesOnInTheSameProcess) {
  TraceBuilder trace;
  Image& shell = trace.Start("sh", 10);
  Image& curl = shell.Exec("/usr/bin/curl", {"curl", "-s", "localhost"});
  curl.Open(3, "/etc/hosts");
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.process_size(), 1);
  const Process& process = tables.process(0);
  EXPECT_EQ(process.name(), "curl");
  ASSERT_EQ(process.image_size(), 2);
  EXPECT_EQ(process.image(0).path(), "/usr/bin/sh");
  EXPECT_EQ(process.image(1).path(), "/usr/bin/curl");
  EXPECT_EQ(process.image(1).argv_size(), 3);
  EXPECT_EQ(process.image(1).number(), 2u);
  EXPECT_EQ(tables.missing_size(), 0);
  EXPECT_EQ(tables.thread_size(), 1) << "the thread goes on, too";
}

TEST(ProcessTest, AFailedExecChangesNothing) {
  TraceBuilder trace;
  Image& shell = trace.Start("sh", 10);
  shell.Executing("/nowhere", {"nowhere"});
  shell.Call(CALL_EXECVE, 0, -1, {.error = ENOENT});
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.process(0).image_size(), 1);
  EXPECT_EQ(tables.missing_size(), 0);
}

TEST(ProcessTest, AProgramThatNeverAttachedIsNamed) {
  TraceBuilder trace;
  Image& shell = trace.Start("sh", 10);
  shell.Open(3, "/a", {.flags = 02000000});
  shell.Open(4, "/b");
  shell.Executing("/opt/gotool", {"gotool", "-v"});
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.process(0).image_size(), 2);
  EXPECT_EQ(tables.process(0).image(1).number(), 0u);
  EXPECT_EQ(tables.process(0).image(1).not_recorded(), "not attached");
  ASSERT_EQ(tables.missing_size(), 1);
  EXPECT_EQ(tables.missing(0).kind(), "not_attached");
  EXPECT_EQ(tables.missing(0).detail(), "/opt/gotool");
  EXPECT_EQ(tables.life(0).end(), LIFE_END_EXEC) << "close-on-exec";
  EXPECT_EQ(tables.life(1).end(), LIFE_END_OPEN);
}

TEST(ProcessTest, TheCollectorsWordReplacesNotAttached) {
  TraceBuilder trace;
  Image& shell = trace.Start("sh", 10);
  shell.Executing("/opt/gotool", {"gotool"});
  Aggregator aggregator;
  ASSERT_TRUE(trace.Feed(aggregator).ok());
  socktale::Image image;
  image.set_path("/opt/gotool");
  image.set_not_recorded("static");
  aggregator.NotRecorded(10, image, "static");
  aggregator.ExitStatus(10, 0x0300, 77);
  const Tables tables = aggregator.Snapshot(100);
  ASSERT_EQ(tables.missing_size(), 1);
  EXPECT_EQ(tables.missing(0).kind(), "static");
  EXPECT_EQ(tables.process(0).name(), "gotool");
  EXPECT_EQ(tables.process(0).exit_status(), 3);
  EXPECT_EQ(tables.process(0).end_ns(), 77u);
}

TEST(ProcessTest, AForkedChildHasItsParentsDescriptorsAsOfTheFork) {
  TraceBuilder trace;
  Image& parent = trace.Start("server", 10);
  parent.Socket(3, AF_INET, SOCK_STREAM, {.cookie = 5});
  Image& child = parent.Fork(11);
  parent.Close(3);
  parent.Open(3, "/etc/passwd");
  child.Send(3, "x");
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.process_size(), 2);
  EXPECT_EQ(tables.process(1).pid(), 11u);
  EXPECT_EQ(tables.process(1).parent(), 1u);
  EXPECT_EQ(tables.process(1).image(0).path(), "/usr/bin/server");
  ASSERT_EQ(tables.life_size(), 3);
  EXPECT_EQ(tables.life(1).process(), 2u);
  EXPECT_EQ(tables.life(1).begin(), LIFE_BEGIN_INHERITED);
  EXPECT_EQ(tables.life(1).object(), tables.life(0).object());
  EXPECT_EQ(tables.life(1).from_life(), 1u);
  EXPECT_EQ(tables.life(1).event_count(), 1u);
}

// The collector may see the child's events before the fork of the parent has returned.
TEST(ProcessTest, AChildMayBeSeenBeforeItsFork) {
  TraceBuilder trace;
  Image& parent = trace.Start("server", 10);
  parent.Open(3, "/a");
  const uint64_t fork_ns = trace.now();
  Image& child = trace.Attach("", 11, ATTACH_REASON_FORK, 10, parent.number);
  child.Close(3);
  trace.NextBlock();
  trace.At(fork_ns);
  parent.Call(CALL_FORK, 0, 11, {.took_ns = 90'000}).set_pid(11);
  parent.Close(3);
  Aggregator aggregator;
  ASSERT_TRUE(trace.Feed(aggregator, /*advance=*/true).ok());
  const Tables tables = aggregator.Snapshot(trace.now());
  ASSERT_EQ(tables.process_size(), 2);
  EXPECT_EQ(tables.process(1).parent(), 1u);
  ASSERT_EQ(tables.life_size(), 2);
  EXPECT_EQ(tables.life(0).end(), LIFE_END_CLOSED);
  EXPECT_EQ(tables.life(1).end(), LIFE_END_CLOSED);
}

TEST(ProcessTest, ASecondUseOfAPidIsAnotherProcess) {
  TraceBuilder trace;
  Image& shell = trace.Start("sh", 10);
  Image& first = shell.Fork(11);
  first.Exit(0);
  trace.After(1'000'000);
  shell.Fork(11);
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.process_size(), 3);
  EXPECT_EQ(tables.process(1).pid_use(), 1u);
  EXPECT_EQ(tables.process(2).pid_use(), 2u);
  EXPECT_EQ(tables.process(1).exit_status(), 0);
  EXPECT_FALSE(tables.process(2).has_exit_status());
}

TEST(ProcessTest, AVforkChildsCallsLeaveItsParentsTableAlone) {
  TraceBuilder trace;
  Image& parent = trace.Start("make", 10);
  parent.Open(3, "/a");
  parent.Open(4, "/b");
  const uint64_t vfork_ns = trace.now();
  trace.After(5000);
  parent.vfork_child = 11;
  parent.Close(3);
  parent.Dup2(4, 1);
  Image& cc = parent.Exec("/usr/bin/cc", {"cc"});
  parent.vfork_child = 0;
  cc.Found(1, DESCRIPTOR_KIND_FILE);
  cc.Found(4, DESCRIPTOR_KIND_FILE);
  cc.Open(3, "/c");
  trace.NextBlock();
  const uint64_t now = trace.now();
  trace.At(vfork_ns);
  parent.Call(CALL_VFORK, 0, 11, {.took_ns = now - vfork_ns}).set_pid(11);
  parent.Close(3);
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.process_size(), 2);
  EXPECT_EQ(tables.process(1).pid(), 11u);
  EXPECT_EQ(tables.process(1).name(), "cc");
  EXPECT_EQ(tables.process(1).parent(), 1u);
  std::map<std::tuple<uint32_t, int, uint32_t>, const DescriptorLife*> lives;  // process, number, generation
  for (const DescriptorLife& life : tables.life()) lives[{life.process(), life.fd(), life.generation()}] = &life;
  const DescriptorLife* parents = lives[{1, 3, 1}];
  ASSERT_NE(parents, nullptr);
  EXPECT_EQ(parents->end(), LIFE_END_CLOSED);
  EXPECT_GT(parents->end_ns(), now);
  ASSERT_TRUE((lives[{2, 3, 1}] != nullptr && lives[{2, 1, 1}] != nullptr));
  EXPECT_EQ((lives[{2, 3, 1}]->end()), LIFE_END_CLOSED);
  EXPECT_EQ((lives[{2, 1, 1}]->end()), LIFE_END_OPEN);
  EXPECT_EQ(tables.missing_size(), 0) << tables.missing(0).DebugString();
}

TEST(ProcessTest, AChildThatItsParentWaitedForIsOverWhenThatGoesOn) {
  TraceBuilder trace;
  Image& parent = trace.Start("parent", 10);
  parent.Open(3, "/a");
  const uint64_t clone_ns = trace.now();
  trace.After(5000);
  parent.vfork_child = 11;
  parent.Dup2(3, 7);
  parent.vfork_child = 0;
  const uint64_t back_ns = trace.now();
  trace.NextBlock();
  trace.At(clone_ns);
  parent.Call(CALL_CLONE, 0, 11, {.flags = CLONE_VM | CLONE_VFORK | SIGCHLD, .took_ns = back_ns - clone_ns});
  parent.Call(CALL_CLONE, 0, 12, {.flags = SIGCHLD});  // nobody waits for this one
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.process_size(), 3);
  EXPECT_EQ(tables.process(1).pid(), 11u);
  EXPECT_EQ(tables.process(1).end_ns(), back_ns);
  EXPECT_EQ(tables.process(1).event_count(), 1u);
  EXPECT_EQ(tables.process(2).pid(), 12u);
  EXPECT_EQ(tables.process(2).end_ns(), 0u);
}

// Its parent goes on as soon as the kernel has taken up the exec; the program's first word comes later.
class LateVforkChildTest : public ::testing::TestWithParam<bool> {};

TEST_P(LateVforkChildTest, AttachesAfterItsParentWentOn) {
  const bool told = GetParam();  // else its CALL_EXECUTING was dropped
  TraceBuilder trace;
  Image& parent = trace.Start("make", 10);
  parent.Open(3, "/a");
  parent.Call(CALL_OPENAT, -100, 4, {.flags = O_CLOEXEC}).set_path("/b");
  const uint64_t vfork_ns = trace.now();
  trace.After(5000);
  parent.vfork_child = 11;
  parent.Open(5, "/c");
  if (told) parent.Executing("/usr/bin/cc", {"cc"});
  parent.vfork_child = 0;
  const uint64_t back_ns = trace.now();
  trace.NextBlock();
  trace.At(vfork_ns);
  parent.Call(CALL_VFORK, 0, 11, {.took_ns = back_ns - vfork_ns}).set_pid(11);
  trace.After(50'000);
  trace.NextBlock();
  Image& cc = trace.Attach("cc", 11, ATTACH_REASON_START, 10, 0);
  cc.Found(3, DESCRIPTOR_KIND_FILE);
  cc.Found(5, DESCRIPTOR_KIND_FILE);
  cc.Open(4, "/d");
  Aggregator aggregator;
  ASSERT_TRUE(trace.Feed(aggregator, /*advance=*/true).ok());
  const Tables tables = aggregator.Snapshot(trace.now());
  ASSERT_EQ(tables.process_size(), 2);
  const Process& child = tables.process(1);
  EXPECT_EQ(child.pid(), 11u);
  EXPECT_EQ(child.pid_use(), 1u);
  EXPECT_EQ(child.parent(), 1u);
  EXPECT_EQ(child.name(), "cc");
  EXPECT_EQ(child.end_ns(), 0u);
  std::map<std::pair<int, uint32_t>, const DescriptorLife*> lives;  // number, generation
  for (const DescriptorLife& life : tables.life()) {
    if (life.process() == child.id()) lives[{life.fd(), life.generation()}] = &life;
  }
  ASSERT_EQ(lives.size(), 4u);
  ASSERT_TRUE((lives[{4, 1}] != nullptr && lives[{4, 2}] != nullptr));
  EXPECT_EQ((lives[{3, 1}]->end()), LIFE_END_OPEN);
  EXPECT_EQ((lives[{4, 1}]->end()), LIFE_END_EXEC);
  EXPECT_LE((lives[{4, 1}]->end_ns()), back_ns);
  EXPECT_EQ((lives[{4, 2}]->end()), LIFE_END_OPEN);
  EXPECT_EQ((lives[{5, 1}]->end()), LIFE_END_OPEN);
  EXPECT_EQ(child.peak_descriptors(), 3u);
  EXPECT_EQ(tables.missing_size(), 0) << tables.missing(0).DebugString();
}

INSTANTIATE_TEST_SUITE_P(WhetherItsExecWasRecorded, LateVforkChildTest, ::testing::Bool());

// A program of somebody else that was given the number of one that is over.
TEST(ProcessTest, AStrangerWithTheNumberOfAVforkChildIsAnotherProcess) {
  TraceBuilder trace;
  Image& parent = trace.Start("parent", 10);
  trace.Start("stranger", 20);
  const uint64_t vfork_ns = trace.now();
  parent.Call(CALL_VFORK, 0, 11, {.took_ns = 5000}).set_pid(11);
  trace.After(1'000'000);
  trace.Attach("other", 11, ATTACH_REASON_START, 20, 0);
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.process_size(), 4);
  EXPECT_EQ(tables.process(2).end_ns(), vfork_ns + 5000);
  EXPECT_EQ(tables.process(3).parent(), 2u);
}

// A fork copies memory and what is mapped there, an exec throws it away.
TEST(ProcessTest, CallsThatWereLeftAreCountedAndOneThatCameBackIsNot) {
  TraceBuilder trace;
  Image& jumps = trace.Start("jumps", 10);
  jumps.Open(3, "/a");
  trace.Start("stays", 11).Open(3, "/a");
  for (int i = 0; i < 3; ++i) jumps.Call(CALL_LEFT, 3, 0).set_option(CALL_RECV);
  jumps.Call(CALL_RECV, 3, 0).set_notes(EVENT_NOTE_CAME_BACK);
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.missing_size(), 1);
  EXPECT_EQ(tables.missing(0).kind(), "left_call");
  EXPECT_EQ(tables.missing(0).count(), 2u);
  EXPECT_EQ(tables.process(static_cast<int>(tables.missing(0).process()) - 1).pid(), 10u);
}

TEST(ProcessTest, AForkedChildHasItsParentsPluginsAndRingsUntilItExecutesAProgram) {
  TraceBuilder trace;
  Image& parent = trace.Start("parent", 10);
  Image& early = parent.Fork(11);
  parent.Call(CALL_SYSCALL, 5, 5).set_option(SYS_io_uring_setup);
  parent.Call(CALL_DLOPEN, 0, 0).set_path("/lib/a.so");
  Image& worker = parent.Fork(12);
  worker.Call(CALL_DLOPEN, 0, 0).set_path("/lib/b.so");
  worker.Call(CALL_DLOPEN, 0, 0).set_path("/lib/a.so");  // once more: it is there
  worker.Fork(13);
  Image& executes = parent.Fork(14);
  executes.Exec("/usr/bin/ls", {"ls"});
  Image& opens_too = parent.Fork(15);
  opens_too.Call(CALL_DLOPEN, 0, 0).set_path("/lib/c.so");
  Image& executed = opens_too.Exec("/usr/bin/ls", {"ls"});
  executed.Fork(16);
  Image& unattached = parent.Fork(17);
  unattached.Executing("/opt/gotool", {"gotool"});
  early.Open(3, "/a");
  const Tables tables = trace.Aggregate();
  std::map<uint32_t, uint32_t> pids;
  for (const Process& process : tables.process()) pids[process.id()] = process.pid();
  std::vector<std::string> rows;
  for (const Missing& row : tables.missing()) {
    rows.push_back(absl::StrCat(pids[row.process()], " ", row.kind(), " ", row.count(), " ", row.detail()));
  }
  EXPECT_THAT(rows, ::testing::UnorderedElementsAre("10 io_uring 1 ", "10 past_recorder 1 /lib/a.so", "12 io_uring 1 ",
                                                    "12 past_recorder 2 /lib/a.so, /lib/b.so", "13 io_uring 1 ",
                                                    "13 past_recorder 2 /lib/a.so, /lib/b.so",
                                                    "15 past_recorder 1 /lib/c.so", "17 not_attached 1 /opt/gotool"));
}

TEST(ProcessTest, ASpawnedChildThatNeverAttachedIsNamed) {
  TraceBuilder trace;
  Image& parent = trace.Start("node", 10);
  Event& one = parent.Call(CALL_POSIX_SPAWN, 0, 0);
  one.set_pid(11);
  one.set_path("/usr/bin/gotool");
  Event& two = parent.Call(CALL_POSIX_SPAWN, 0, 0);
  two.set_pid(12);
  two.set_path("/bin/ls");
  trace.Attach("ls", 12, ATTACH_REASON_START, 10, 0);
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.process_size(), 3);
  EXPECT_EQ(tables.process(2).name(), "ls");
  EXPECT_EQ(tables.process(2).parent(), 1u);
  ASSERT_EQ(tables.missing_size(), 1);
  EXPECT_EQ(tables.missing(0).process(), 2u);
  EXPECT_EQ(tables.missing(0).detail(), "/usr/bin/gotool");
}

TEST(ProcessTest, ThePeakOfDescriptorsIsRemembered) {
  TraceBuilder trace;
  Image& api = trace.Start("api", 10);
  for (int fd = 3; fd < 13; ++fd) api.Open(fd, "/x");
  const uint64_t peak_ns = trace.now() - 1000;
  for (int fd = 3; fd < 13; ++fd) api.Close(fd);
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.process(0).peak_descriptors(), 10u);
  EXPECT_EQ(tables.process(0).peak_ns(), peak_ns);
  EXPECT_EQ(tables.process(0).descriptor_limit(), 1024u);
}

TEST(ProcessTest, AnImageThatWasLeftByExecDoesNotEndTheProcess) {
  TraceBuilder trace;
  Image& shell = trace.Start("sh", 10);
  Image& curl = shell.Exec("/usr/bin/curl", {"curl"});
  Aggregator aggregator;
  ASSERT_TRUE(trace.Feed(aggregator).ok());
  aggregator.ProcessEnded(shell.number, 500'000);
  aggregator.Advance(UINT64_MAX);
  EXPECT_EQ(aggregator.Snapshot(1).process(0).end_ns(), 0u);
  aggregator.ProcessEnded(curl.number, 900'000);
  aggregator.Advance(UINT64_MAX);
  EXPECT_EQ(aggregator.Snapshot(1).process(0).end_ns(), 900'000u);
}

// waitpid's word may overtake the last events of the process.
TEST(ProcessTest, AnEndWaitsForTheEventsBeforeIt) {
  TraceBuilder trace;
  Image& curl = trace.Start("curl", 10);
  curl.Socket(3, AF_INET, SOCK_STREAM);
  curl.Connect(3, testing::Inet("10.0.0.1", 80), {.local = testing::Inet("10.0.0.2", 4000)});
  curl.Close(3);
  Aggregator aggregator;
  aggregator.ExitStatus(10, 0, trace.now() + 1000);
  aggregator.Advance(trace.now() / 2);
  ASSERT_TRUE(trace.Feed(aggregator).ok());
  const Tables tables = aggregator.Snapshot(trace.now() + 5000);
  EXPECT_EQ(tables.process(0).exit_status(), 0);
  EXPECT_TRUE(tables.process(0).has_exit_status());
  EXPECT_EQ(tables.life(0).end(), LIFE_END_CLOSED);
  EXPECT_EQ(tables.connection(0).end(), CONNECTION_END_CLOSED_BY_CLIENT);
}

// And where the events were later still, they correct what had been concluded.
TEST(ProcessTest, EventsThatComeAfterTheirProcessEndedCorrectIt) {
  TraceBuilder first;
  Image& curl = first.Start("curl", 10);
  curl.Socket(3, AF_INET, SOCK_STREAM);
  curl.Connect(3, testing::Inet("10.0.0.1", 80), {.local = testing::Inet("10.0.0.2", 4000)});
  const uint64_t close_ns = first.now();
  Aggregator aggregator;
  ASSERT_TRUE(first.Feed(aggregator).ok());
  aggregator.ProcessEnded(curl.number, close_ns + 100'000);
  aggregator.Advance(UINT64_MAX);
  EXPECT_EQ(aggregator.Snapshot(close_ns + 200'000).life(0).end(), LIFE_END_PROCESS);
  TraceBuilder late;
  late.At(close_ns);
  Image& again = late.Unattached(curl.number);
  again.tid = curl.tid;
  again.Close(3);
  again.Open(3, "/x");
  ASSERT_TRUE(late.Feed(aggregator).ok());
  const Tables tables = aggregator.Snapshot(close_ns + 200'000);
  EXPECT_EQ(tables.life(0).end(), LIFE_END_CLOSED);
  EXPECT_EQ(tables.life(0).end_ns(), close_ns);
  EXPECT_EQ(tables.life(1).end(), LIFE_END_PROCESS);
  EXPECT_EQ(tables.connection(0).end(), CONNECTION_END_CLOSED_BY_CLIENT);
}

TEST(ProcessTest, EventsWithoutAnAttachmentMakeAProcessWithoutAName) {
  TraceBuilder trace;
  Image& lost = trace.Unattached(9);
  lost.Open(3, "/x");
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.process_size(), 1);
  EXPECT_EQ(tables.process(0).pid(), 0u);
  EXPECT_EQ(tables.process(0).image(0).number(), 9u);
}

TEST(ProcessTest, AForkedChildRunsAsItsParentsUser) {
  TraceBuilder trace;
  Image& shell = trace.Start("sh", 10);
  Event& started = shell.Call(CALL_ATTACHED, 0, 0);  // once more, as another user
  started.set_pid(10);
  started.set_reason(ATTACH_REASON_START);
  started.set_user(65534);
  shell.Fork(11);
  const Tables tables = trace.Aggregate();
  EXPECT_EQ(tables.process(0).user(), 65534u);
  EXPECT_EQ(tables.process(1).user(), 65534u);
}

// Of a program that executes others for ever the first and the last are kept whole.
TEST(ProcessTest, ManyImagesLoseTheirArgumentsButNotTheirNumbers) {
  TraceBuilder trace;
  Image* image = &trace.Start("loop", 10);
  for (int i = 0; i < 20; ++i) image = &image->Exec("/bin/loop", {"loop", std::to_string(i)});
  Aggregator aggregator(Limits{.images = 4});
  ASSERT_TRUE(trace.Feed(aggregator).ok());
  const Process process = aggregator.Snapshot(1).process(0);
  ASSERT_EQ(process.image_size(), 21);
  EXPECT_EQ(process.bare_images(), 13u);
  for (int i = 0; i < 21; ++i) {
    EXPECT_NE(process.image(i).number(), 0u);
    EXPECT_NE(process.image(i).start_ns(), 0u);
    EXPECT_EQ(process.image(i).path().empty(), i >= 4 && i < 17) << i;
    EXPECT_EQ(process.image(i).argv().empty(), i >= 4 && i < 17) << i;
  }
}

// unshare --fork --pid, twice: each container's first process is its namespace's pid 1, and its parent sees another.
class PidNamespaceTest : public ::testing::TestWithParam<bool> {
 protected:
  static constexpr uint64_t kOuter = 4026531836;

  // The parent's fork; the child's first word is its own. Which of the two is read first depends on GetParam().
  Image& Unshared(Image& parent, uint32_t pid, uint64_t space) {
    const uint64_t fork_ns = trace_.now();
    const auto told = [&] {
      trace_.At(fork_ns);
      parent.Call(CALL_FORK, 0, pid).set_pid(pid);
    };
    if (GetParam()) told();
    if (GetParam()) trace_.NextBlock();
    trace_.At(fork_ns);
    Image& child = trace_.Unattached(next_image_++);
    Event& attached = child.Call(CALL_ATTACHED, 0, 0);
    attached.set_pid(1);
    attached.set_reason(ATTACH_REASON_FORK);
    attached.set_parent_process(parent.number);
    attached.set_pid_namespace(space);
    if (!GetParam()) trace_.NextBlock();
    if (!GetParam()) told();
    trace_.After(10'000);
    child.pid = 1;
    return child;
  }

  Image& Executed(Image& before, uint64_t space) {
    before.Executing("/usr/bin/python3", {"python3", "one.py"});
    Image& image = trace_.Unattached(next_image_++);
    Event& attached = image.Call(CALL_ATTACHED, 0, 0);
    attached.set_pid(1);
    attached.set_name("python3");
    attached.set_path("/usr/bin/python3");
    attached.set_reason(ATTACH_REASON_EXEC);
    attached.set_parent_process(before.number);
    attached.set_pid_namespace(space);
    return image;
  }

  TraceBuilder trace_;
  uint32_t next_image_ = 100;
};

TEST_P(PidNamespaceTest, TwoContainersAtOneTimeAreTwoProcesses) {
  Image& one = trace_.Start("unshare", 10);
  one.Open(3, "/a");
  Image& two = trace_.Start("unshare", 20);
  Image& first = Unshared(one, 11, 501);
  Image& first_python = Executed(first, 501);
  Image& second = Unshared(two, 21, 502);
  Image& second_python = Executed(second, 502);
  first_python.Open(5, "/first");
  second_python.Open(5, "/second");
  first_python.Exit(3);
  second_python.Exit(4);
  Aggregator aggregator;
  ASSERT_TRUE(trace_.Feed(aggregator).ok());
  aggregator.ExitStatus(1, 0, trace_.now(), kOuter);  // some other pid 1, outside
  aggregator.Advance(UINT64_MAX);
  const Tables tables = aggregator.Snapshot(trace_.now());
  EXPECT_EQ(tables.missing_size(), 0) << tables.missing(0).DebugString();
  ASSERT_EQ(tables.process_size(), 4);
  std::map<uint32_t, const Process*> by_pid;
  for (const Process& process : tables.process()) by_pid[process.pid()] = &process;
  ASSERT_TRUE(by_pid.contains(11) && by_pid.contains(21)) << "as their parents see them";
  for (const uint32_t pid : {11u, 21u}) {
    EXPECT_EQ(by_pid[pid]->name(), "python3");
    EXPECT_EQ(by_pid[pid]->image_size(), 2);
    EXPECT_EQ(by_pid[pid]->exit_status(), pid == 11 ? 3 : 4);
  }
  EXPECT_EQ(by_pid[11]->parent(), by_pid[10]->id());
  EXPECT_EQ(by_pid[21]->parent(), by_pid[20]->id());
  for (const DescriptorLife& life : tables.life()) {
    const Process& owner = tables.process(static_cast<int>(life.process()) - 1);
    if (owner.pid() == 11 || owner.pid() == 21) {
      EXPECT_EQ(life.end(), LIFE_END_PROCESS) << life.DebugString();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(WhoIsReadFirst, PidNamespaceTest, ::testing::Bool());

TEST(ThreadTest, ASignalHandlersLevelBelongsToItsThread) {
  TraceBuilder trace;
  Image& api = trace.Start("api", 10);
  api.Open(3, "/x");
  api.level = 1;
  api.Close(3);
  api.level = 0;
  api.tid = 11;
  api.Open(3, "/x");
  const Tables tables = trace.Aggregate();
  ASSERT_EQ(tables.thread_size(), 2);
  EXPECT_EQ(tables.thread(0).event_count(), 3u);
  EXPECT_EQ(tables.thread(1).tid(), 11u);
}

}  // namespace
}  // namespace socktale
