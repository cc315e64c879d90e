// SPDX-License-Identifier: Apache-2.0
//
// Every workload behaves under the shim as without it, in each way it is built, and nothing of the arena is damaged;
// then, what the hooks of addresses, options, waiting, processes and names record of theirs.

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/preload/event_matchers.h"
#include "tests/preload/shim_run.h"

namespace socktale {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::Ge;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

std::vector<std::string> Workloads() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(SOCKTALE_WORKLOADS)) {
    if (entry.is_regular_file()) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class WorkloadTest : public testing::TestWithParam<std::string> {};

// A workload checks itself: status 0 says that it behaved, and silence that nobody spoke in its place.
TEST_P(WorkloadTest, BehavesUnderTheShimAsWithoutIt) {
  ArenaSetup setup;
  setup.drain = true;
  const ShimRun run = RunUnderShim({GetParam()}, {"PATH=/usr/bin:/bin"}, setup);
  EXPECT_EQ(run.exit_status, 0) << "signal " << run.signal;
  EXPECT_EQ(run.output, "");
  EXPECT_EQ(run.damage, "");
  // (A child forked by a handler amid the writing of an event is not recorded; SignalsTest counts what it drops. So is
  // one on its parent's thread-local variables: CloneHooksTest.)
  if (!GetParam().starts_with("signals") && !GetParam().starts_with("children")) {
    EXPECT_EQ(run.drops, 0u);
  }
  EXPECT_THAT(run.Of(CALL_ATTACHED), Not(IsEmpty()));
}

INSTANTIATE_TEST_SUITE_P(Every, WorkloadTest, testing::ValuesIn(Workloads()),
                         [](const auto& parameter) { return parameter.param; });

TEST(AddressHooksTest, JoinBothEndsOfAConnectionByTheirAddresses) {
  const ShimRun run = Traced("addresses");
  const auto connects = Those(run.Of(CALL_CONNECT), [](const Event& e) {
    return FamilyOf(e.address()) == AF_INET && !e.local_address().empty() &&
           (e.error() == 0 || e.error() == EINPROGRESS);
  });
  const auto accepts =
      Those(run.Of(CALL_ACCEPT), [](const Event& e) { return e.domain() == AF_INET && e.error() == 0; });
  ASSERT_THAT(connects, SizeIs(Ge(3u)));
  ASSERT_THAT(accepts, SizeIs(2));
  EXPECT_EQ(connects[0].local_address(), accepts[0].address());
  EXPECT_EQ(connects[0].address(), accepts[0].local_address());
  EXPECT_NE(accepts[0].socket_id(), 0u);
  EXPECT_EQ(accepts[1].address().size(), 4u);  // no more than the program had room for
}

TEST(AddressHooksTest, AskForThePeerWhenTheProgramDoesNot) {
  const auto accepts = Those(Traced("addresses").Of(CALL_ACCEPT4), [](const Event& e) { return e.error() == 0; });
  ASSERT_THAT(accepts, Not(IsEmpty()));
  EXPECT_GT(PortOf(accepts[0].address()), 0);
  EXPECT_GT(PortOf(accepts[0].local_address()), 0);
  EXPECT_EQ(accepts[0].flags(), static_cast<uint32_t>(SOCK_CLOEXEC));
}

TEST(AddressHooksTest, TellWhoIsBehindAUnixSocket) {
  const ShimRun run = Traced("addresses");
  const auto accepts = Those(run.Of(CALL_ACCEPT), [](const Event& e) { return e.domain() == AF_UNIX; });
  ASSERT_THAT(accepts, SizeIs(1));
  EXPECT_EQ(accepts[0].peer_pid(), run.Of(CALL_ATTACHED).at(0).pid());
}

TEST(AddressHooksTest, KeepTheAddressOfARefusedConnectAndNoneThatTheKernelDidNotRead) {
  const auto connects = Traced("addresses").Of(CALL_CONNECT);
  const auto refused = Those(connects, [](const Event& e) { return e.error() == ECONNREFUSED; });
  ASSERT_THAT(refused, Not(IsEmpty()));
  EXPECT_GT(PortOf(refused[0].address()), 0);
  const auto unread = Those(connects, [](const Event& e) { return e.error() == EFAULT || e.error() == EBADF; });
  ASSERT_THAT(unread, SizeIs(3));
  for (const Event& event : unread) EXPECT_EQ(event.address(), "");
}

TEST(AddressHooksTest, TellThePortThatBindChose) {
  const auto binds = Those(Traced("addresses").Of(CALL_BIND),
                           [](const Event& e) { return FamilyOf(e.address()) == AF_INET && e.error() == 0; });
  ASSERT_THAT(binds, Not(IsEmpty()));
  for (const Event& event : binds) {
    EXPECT_EQ(PortOf(event.address()), 0);
    EXPECT_GT(PortOf(event.local_address()), 0);
  }
}

TEST(OptionHooksTest, KeepTheValue) {
  const ShimRun run = Traced("options");
  const std::string one("\1\0\0\0", 4);
  EXPECT_THAT(run.Of(CALL_SETSOCKOPT),
              Contains(AllOf(Returned(0, 0), HasPayload(one),
                             testing::Property(&Event::option, static_cast<uint32_t>(SO_REUSEADDR)))));
  EXPECT_THAT(run.Of(CALL_GETSOCKOPT), Contains(AllOf(Returned(0, 0), HasPayload(one))));
  EXPECT_THAT(run.Of(CALL_GETSOCKOPT), Contains(AllOf(Returned(0, 0), HasPayload(std::string("\1")))));
  const auto failed = Those(run.Of(CALL_SETSOCKOPT), [](const Event& e) { return e.error() != 0; });
  EXPECT_THAT(failed, ElementsAre(Returned(-1, ENOPROTOOPT), Returned(-1, EFAULT), Returned(-1, EINVAL)));
  EXPECT_THAT(failed, Each(HasPayload("")));
}

TEST(WaitHooksTest, TellWhatPollWasAskedAndWhatCameBack) {
  const auto polls = Traced("waits").Of(CALL_POLL);
  ASSERT_THAT(polls, SizeIs(Ge(8u)));
  const int first = polls[0].polled(0).fd();
  const int second = polls[0].polled(1).fd();
  EXPECT_THAT(polls[0], Returned(2, 0));
  EXPECT_EQ(polls[0].timeout_ns(), 1'000'000'000);
  EXPECT_THAT(polls[0].polled(), ElementsAre(IsPolled(first, POLLIN, POLLIN),
                                             IsPolled(second, POLLIN | POLLOUT, POLLOUT), IsPolled(-1, POLLIN, 0)));
  EXPECT_EQ(polls[1].timeout_ns(), -1);
  EXPECT_THAT(polls[2].polled(), ElementsAre(IsPolled(second, POLLIN, 0)));

  const auto many = Those(polls, [](const Event& e) { return e.size() == 1000; });
  ASSERT_THAT(many, SizeIs(1));
  EXPECT_THAT(many[0].polled(0), IsPolled(first, POLLIN, POLLIN));  // the ready one, though it stood last
  EXPECT_THAT(many[0].polled(), SizeIs(128));

  EXPECT_THAT(polls, Contains(FailedWith(EFAULT)));
  EXPECT_THAT(polls, Contains(FailedWith(EINTR)));
}

TEST(WaitHooksTest, TellWhatSelectWasAskedThoughItOverwritesIt) {
  const ShimRun run = Traced("waits");
  const auto selects = run.Of(CALL_SELECT);
  ASSERT_THAT(selects, SizeIs(Ge(5u)));
  ASSERT_THAT(selects[0].polled(), SizeIs(2));
  EXPECT_THAT(selects[0], Returned(2, 0));
  EXPECT_EQ(selects[0].timeout_ns(), 1'000'000'000);
  const int first = selects[0].polled(0).fd();
  const int second = selects[0].polled(1).fd();
  EXPECT_THAT(selects[0].polled(),
              ElementsAre(IsPolled(first, POLLIN, POLLIN), IsPolled(second, POLLIN | POLLOUT, POLLOUT)));
  EXPECT_EQ(selects[1].timeout_ns(), -1);
  EXPECT_THAT(run.Of(CALL_PSELECT).at(0).polled(), ElementsAre(IsPolled(second, POLLIN, 0)));
  const auto interrupted = Those(selects, [](const Event& e) { return e.error() == EINTR; });
  ASSERT_THAT(interrupted, SizeIs(1));
  EXPECT_THAT(interrupted[0].polled(), ElementsAre(IsPolled(second, POLLIN, 0)));
}

TEST(WaitHooksTest, TellWhatEpollHolds) {
  const ShimRun run = Traced("waits");
  const auto changes = run.Of(CALL_EPOLL_CTL);
  ASSERT_THAT(changes, SizeIs(5));
  EXPECT_EQ(changes[0].flags(), static_cast<uint32_t>(EPOLL_CTL_ADD));
  const int first = changes[0].new_fd();
  EXPECT_THAT(changes[0].polled(), ElementsAre(IsPolled(first, EPOLLIN, 0)));
  EXPECT_THAT(changes[1], Returned(-1, EEXIST));
  EXPECT_THAT(changes[3].polled(), IsEmpty());  // EPOLL_CTL_DEL
  const auto waits = run.Of(CALL_EPOLL_WAIT);
  EXPECT_THAT(waits.at(0).polled(), ElementsAre(IsPolled(first, 0, EPOLLIN | EPOLLOUT)));
  EXPECT_EQ(waits.at(0).fd(), changes[0].fd());
  EXPECT_EQ(waits.at(1).timeout_ns(), 1'000'000);
}

TEST(ResolveHooksTest, TellQuestionsAndAnswers) {
  const auto asked = Traced("resolves").Of(CALL_GETADDRINFO);
  ASSERT_THAT(asked, SizeIs(6));
  EXPECT_EQ(asked[0].host(), "127.0.0.1");
  EXPECT_EQ(asked[0].service(), "8080");
  ASSERT_THAT(asked[0].answer(), SizeIs(1));
  EXPECT_EQ(PortOf(asked[0].answer(0)), 8080);
  EXPECT_EQ(asked[1].host(), "");
  EXPECT_EQ(asked[2].host(), "localhost");
  const std::set<std::string> answers(asked[2].answer().begin(), asked[2].answer().end());
  EXPECT_EQ(answers.size(), static_cast<size_t>(asked[2].answer_size()));  // each address once
  EXPECT_LT(asked[3].result(), 0);
  EXPECT_EQ(asked[3].error(), 0u);  // a code of getaddrinfo's own, not an errno
}

TEST(ResolveHooksTest, TellQuestionsAskedTheOldWay) {
  const ShimRun run = Traced("names");
  const auto by_name = run.Of(CALL_GETHOSTBYNAME);
  ASSERT_THAT(by_name, SizeIs(8));
  EXPECT_EQ(by_name[1].host(), "localhost");
  ASSERT_THAT(by_name[1].answer(), Not(IsEmpty()));
  EXPECT_EQ(FamilyOf(by_name[1].answer(0)), AF_INET);
  EXPECT_EQ(FamilyOf(by_name[3].answer(0)), AF_INET6);
  EXPECT_EQ(by_name[4].answer(0), by_name[1].answer(0));
  EXPECT_THAT(by_name[6].answer(), IsEmpty());  // no room
  EXPECT_EQ(by_name[6].result(), -1);
  const auto by_address = run.Of(CALL_GETHOSTBYADDR);
  ASSERT_THAT(by_address, SizeIs(3));
  EXPECT_NE(by_address[0].host(), "");
  EXPECT_EQ(FamilyOf(by_address[1].address()), AF_INET);
  const auto names = run.Of(CALL_GETNAMEINFO);
  ASSERT_THAT(names, SizeIs(3));
  EXPECT_EQ(names[0].host(), "127.0.0.1");
  EXPECT_EQ(names[0].service(), "8080");
  EXPECT_EQ(PortOf(names[0].address()), 8080);
  EXPECT_EQ(names[1].host(), "");
}

TEST(LoadingHooksTest, TellOfLibrariesThatLookPastThem) {
  const ShimRun run = Traced("libraries");
  const auto deep = run.Of(CALL_DLOPEN);
  ASSERT_THAT(deep, SizeIs(2));
  EXPECT_EQ(deep[0].path(), "/nowhere/lib.so");
  EXPECT_EQ(deep[1].path(), "libm.so.6");
  EXPECT_EQ(deep[1].flags(), static_cast<uint32_t>(RTLD_NOW | RTLD_DEEPBIND | RTLD_GLOBAL));
  const auto apart = run.Of(CALL_DLMOPEN);
  ASSERT_THAT(apart, SizeIs(1));
  EXPECT_EQ(apart[0].path(), "libm.so.6");
  EXPECT_EQ(static_cast<int32_t>(apart[0].option()), LM_ID_NEWLM);
}

TEST(ProcessHooksTest, TellForksByBothSides) {
  const ShimRun run = Traced("processes");
  const auto forks = run.Of(CALL_FORK);
  ASSERT_THAT(forks, SizeIs(3));
  std::set<uint32_t> attached;
  for (const Event& event : run.Of(CALL_ATTACHED)) {
    if (event.reason() == ATTACH_REASON_FORK) attached.insert(event.pid());
  }
  for (const Event& event : forks) {
    EXPECT_EQ(event.pid(), static_cast<uint32_t>(event.result()));
    EXPECT_EQ(attached.count(event.pid()), 1u);
  }
  EXPECT_EQ(attached.size(), 3u);
  EXPECT_THAT(Those(run.Of(CALL_EXIT), [](const Event& e) { return e.pid() == 0; }),
              ElementsAre(Returned(3, 0), Returned(3, 0), Returned(3, 0)));
}

TEST(ProcessHooksTest, BookWhatAVforkChildDoesOnTheChild) {
  const ShimRun run = Traced("processes");
  const auto vforks = run.Of(CALL_VFORK);
  ASSERT_THAT(vforks, SizeIs(6));
  for (const Event& vfork : vforks) {
    EXPECT_EQ(vfork.pid(), static_cast<uint32_t>(vfork.result()));
    std::vector<Call> done;
    for (const RecordedEvent& recorded : run.events) {
      if (recorded.event.pid() != vfork.pid() || recorded.event.call() == CALL_VFORK) continue;
      EXPECT_TRUE(recorded.event.notes() & EVENT_NOTE_VFORK_CHILD);
      done.push_back(recorded.event.call());
    }
    EXPECT_THAT(done, ElementsAre(CALL_WRITE, CALL_CLOSE, CALL_DUP2, CALL_EXIT));
  }
  // The parent's sockets stayed known: none had to be looked at again.
  const auto first_vfork = std::find_if(run.events.begin(), run.events.end(), [](const RecordedEvent& recorded) {
    return recorded.event.notes() & EVENT_NOTE_VFORK_CHILD;
  });
  for (auto it = first_vfork; it != run.events.end(); ++it) EXPECT_NE(it->event.call(), CALL_FOUND);
}

TEST(ProcessHooksTest, AttachEveryProgramThatAnyExecStarts) {
  const ShimRun run = Traced("execs");
  const auto children = Those(run.Of(CALL_ATTACHED), [](const Event& e) { return e.argv_size() == 4; });
  // Three environments of twelve forms of exec and three of spawn; one null environment; two along PATH.
  EXPECT_THAT(children, SizeIs(3 * (12 + 3) + 1 + 2));
  EXPECT_THAT(run.Of(CALL_POSIX_SPAWN), SizeIs(3 * 3 + 1 + 1));
}

TEST(ProcessHooksTest, TellWhatIsExecutedBeforeItHappensAndWhatFailed) {
  const ShimRun run = Traced("execs");
  const auto executing = run.Of(CALL_EXECUTING);
  ASSERT_THAT(executing, Not(IsEmpty()));
  EXPECT_THAT(executing[0].argv(), ElementsAre(executing[0].path(), "child", "0", "last"));
  const auto failed = run.Of(CALL_EXECVE);
  ASSERT_THAT(failed, SizeIs(11));
  EXPECT_THAT(failed[0], Returned(-1, ENOENT));
  EXPECT_EQ(failed[0].path(), "/no/such/program");
  EXPECT_THAT(failed[1], Returned(-1, EACCES));
  const auto spawns = Those(run.Of(CALL_POSIX_SPAWN), [](const Event& e) { return e.error() != 0; });
  EXPECT_THAT(spawns, ElementsAre(Returned(ENOENT, ENOENT)));
}

// How many images attached when `command` ran; it must end well and say nothing.
uint32_t ImagesOf(std::vector<std::string> command) {
  const ShimRun run = RunUnderShim(std::move(command));
  EXPECT_EQ(run.exit_status, 0);
  EXPECT_EQ(run.output, "");
  return run.images;
}

TEST(EnvironmentTest, ReachesProgramsWhateverTheirParentsDidToIt) {
  EXPECT_EQ(ImagesOf({"/usr/bin/env", "-i", "/bin/true"}), 2u);
  EXPECT_EQ(ImagesOf({"/bin/sh", "-c", "unset LD_PRELOAD SOCKTALE_ATTACH; exec /bin/true"}), 2u);
  EXPECT_EQ(ImagesOf({"/bin/sh", "-c", "LD_PRELOAD= SOCKTALE_ATTACH=1,2,3 exec /bin/true"}), 2u);
  EXPECT_GE(ImagesOf({"/usr/bin/python3", "-c",
                      "import subprocess; subprocess.run(['/bin/true'], env={}, check=True); "
                      "subprocess.run(['/bin/true'], env={}, check=True, close_fds=False)"}),
            3u);
}

TEST(EnvironmentTest, KeepsTheUsersOwnPreload) {
  const ShimRun run =
      RunUnderShim({"/bin/sh", "-c", "exec env"}, {"A=1", "LD_PRELOAD=libm.so.6", "PATH=/usr/bin:/bin"});
  EXPECT_EQ(run.exit_status, 0);
  EXPECT_THAT(run.output, testing::HasSubstr("LD_PRELOAD=" SOCKTALE_SHIM ":libm.so.6\n"));
  EXPECT_THAT(run.output, testing::HasSubstr("A=1\n"));
}

}  // namespace
}  // namespace socktale
