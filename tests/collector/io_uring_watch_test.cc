// SPDX-License-Identifier: Apache-2.0
//
// A process that makes an io_uring is named in the completeness statement.

#include "collector/io_uring_watch.h"

#include <gtest/gtest.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"
#include "collector/clock.h"
#include "collector/session.h"
#include "tests/collector/fake_writer.h"
#include "tests/collector/test_home.h"

namespace socktale {
namespace {

// A ring of this process; not valid where the kernel refuses it (kernel.io_uring_disabled, seccomp).
UniqueFd MakeRing() {
  io_uring_params params = {};
  return UniqueFd(static_cast<int>(syscall(SYS_io_uring_setup, 4, &params)));
}

uint64_t RowsOfIoUring(const std::vector<Missing>& missing) {
  uint64_t rows = 0;
  for (const Missing& row : missing) rows += row.kind() == "io_uring" && row.count() == 1 && row.process() == 1;
  return rows;
}

TEST(IoUringWatchTest, ARingIsSeenAmongTheDescriptors) {
  EXPECT_FALSE(UsesIoUring(getpid()));
  const UniqueFd ring = MakeRing();
  if (!ring.valid()) GTEST_SKIP() << "no io_uring here: " << strerror(errno);
  EXPECT_TRUE(UsesIoUring(getpid()));
}

TEST(IoUringWatchTest, LooksGetRarerAndEndWithTheImage) {
  const UniqueFd ring = MakeRing();
  if (!ring.valid()) GTEST_SKIP() << "no io_uring here: " << strerror(errno);
  Tables tables;
  tables.add_process()->add_image()->set_number(7);
  const auto seen = [&tables](const IoUringWatch& watch) {
    Tables with = tables;
    watch.AddMissing(with);
    return with.missing_size();
  };
  IoUringWatch watch;
  watch.Began(7, getpid(), 1000);
  watch.Look(2000);
  EXPECT_EQ(seen(watch), 0) << "too early: a ring is made when a program has begun";
  watch.Look(kSecondNs);
  EXPECT_EQ(seen(watch), 1);
  IoUringWatch ended;
  ended.Began(7, getpid(), 0);
  ended.Ended(7);
  ended.Look(kSecondNs);
  EXPECT_EQ(seen(ended), 0);
}

TEST(IoUringWatchTest, ASessionNamesTheProcess) {
  TestHome home;
  const auto session = MustCreate(home.Options("ring"));
  FakeShim shim(ArenaPathOf(*session));
  shim.Attach();
  ASSERT_TRUE(FakeThread(&shim, 1).Write(NumberedEvent(3, 1)));
  EXPECT_EQ(RowsOfIoUring(session->Summary().missing), 0u);
  const UniqueFd ring = MakeRing();
  if (!ring.valid()) {
    session->Discard();
    GTEST_SKIP() << "no io_uring here: " << strerror(errno);
  }
  const uint64_t until_ns = MonotonicNs() + 10 * kSecondNs;
  while (RowsOfIoUring(session->Summary().missing) == 0 && MonotonicNs() < until_ns) {
    ASSERT_TRUE(session->Poll(1, -1).ok());
  }
  const auto summary = session->Finish();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(RowsOfIoUring(summary->missing), 1u);
}

}  // namespace
}  // namespace socktale
