// SPDX-License-Identifier: Apache-2.0
//
// What the hooks record of bytes that the kernel moves by itself, and of those moved at an offset.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/uio.h>

#include <string>
#include <vector>

#include "preload/abi/arena_abi.h"
#include "tests/preload/event_matchers.h"
#include "tests/preload/shim_run.h"

namespace socktale {
namespace {

using testing::AllOf;
using testing::Each;
using testing::IsEmpty;
using testing::Property;
using testing::SizeIs;

MATCHER_P(Moved, size, "") { return arg.result() == size && arg.error() == 0; }
MATCHER_P(Noted, note, "") { return (arg.notes() & static_cast<uint32_t>(note)) != 0; }

TEST(KernelCopyHooksTest, CountWhatPassesBetweenPipesAndSockets) {
  const auto splices = Traced("copies").Of(CALL_SPLICE);
  ASSERT_THAT(splices, SizeIs(7));  // those with a socket at one end
  EXPECT_THAT(splices[0], AllOf(Moved(4), Noted(EVENT_NOTE_NOT_SEEN), HasPayload("")));
  EXPECT_EQ(splices[0].payload_size(), 4u);
  EXPECT_EQ(splices[0].size(), 100u);
  EXPECT_EQ(splices[0].flags(), static_cast<uint32_t>(SPLICE_F_MOVE));
  EXPECT_THAT(splices[1], Moved(3));
  EXPECT_EQ(splices[1].fd(), splices[0].fd());
  EXPECT_THAT(splices[2], Moved(3));  // the way back
  EXPECT_EQ(splices[2].new_fd(), splices[0].fd());
  EXPECT_THAT(splices[3], FailedWith(EINVAL));
  EXPECT_THAT(splices[4], FailedWith(EAGAIN));
  EXPECT_THAT(splices[5], FailedWith(EBADF));
  EXPECT_THAT(splices[6], FailedWith(EBADF));
}

// Its pipe is not recorded by default, but its socket is.
TEST(KernelCopyHooksTest, CountWhatSendfileTakesFromASocket) {
  const auto sent = Traced("copies").Of(CALL_SENDFILE);
  ASSERT_THAT(sent, SizeIs(1));
  if (sent[0].error() == EINVAL) GTEST_SKIP() << "this kernel's sendfile does not";
  EXPECT_THAT(sent[0], AllOf(Moved(5), Noted(EVENT_NOTE_NOT_SEEN)));
  EXPECT_GT(sent[0].new_fd(), 0);
}

TEST(KernelCopyHooksTest, ReadBackWhatCameFromFiles) {
  const ShimRun run = Traced("copies", abi::kOptionPipeData | abi::kOptionFileData);
  const auto splices = run.Of(CALL_SPLICE);
  ASSERT_THAT(splices, SizeIs(11));
  EXPECT_THAT(splices[0], AllOf(Moved(4), Noted(EVENT_NOTE_READ_BACK), HasPayload("0123")));
  EXPECT_THAT(splices[2], AllOf(Moved(3), Noted(EVENT_NOTE_READ_BACK), HasPayload("789")));
  EXPECT_EQ(splices[2].offset(), 7u);
  const auto copies = run.Of(CALL_COPY_FILE_RANGE);
  ASSERT_THAT(copies, SizeIs(5));
  EXPECT_THAT(copies[0], AllOf(Moved(4), HasPayload("0123")));
  EXPECT_THAT(copies[1], AllOf(Moved(2), HasPayload("89")));
  EXPECT_EQ(copies[1].offset(), 8u);
  EXPECT_THAT(copies[2], FailedWith(EINVAL));
}

TEST(KernelCopyHooksTest, KeepWhatVmspliceTakesFromAndGivesToMemory) {
  const ShimRun run = Traced("copies", abi::kOptionPipeData);
  const auto moved = run.Of(CALL_VMSPLICE);
  ASSERT_THAT(moved, SizeIs(4));
  EXPECT_THAT(moved[0], AllOf(Moved(5), HasPayload("abcde")));
  EXPECT_THAT(moved[1], AllOf(Moved(5), HasPayload("abcde")));
  EXPECT_THAT(moved[2], FailedWith(EFAULT));
  const auto tees = run.Of(CALL_TEE);
  ASSERT_THAT(tees, SizeIs(3));
  EXPECT_THAT(tees[0], AllOf(Moved(5), Noted(EVENT_NOTE_NOT_SEEN)));
}

TEST(OffsetHooksTest, KeepTheBytesOfSocketsThatStandWhereTheyAre) {
  const ShimRun run = Traced("offsets");
  const auto written = run.Of(CALL_PWRITEV2);
  ASSERT_THAT(written, SizeIs(3));
  EXPECT_THAT(written[0], FailedWith(ESPIPE));
  EXPECT_EQ(written[0].offset(), 0u);
  for (int i = 1; i < 3; ++i) {
    EXPECT_THAT(written[i], AllOf(Moved(4), HasPayload("here"), Property(&Event::offset, UINT64_MAX)));
    EXPECT_EQ(written[i].notes(), 0u);  // RWF_DSYNC has the number of MSG_PEEK
  }
  EXPECT_EQ(written[2].flags(), static_cast<uint32_t>(RWF_DSYNC));
  const auto read = run.Of(CALL_PREADV2);
  ASSERT_THAT(read, SizeIs(3));
  EXPECT_THAT(read[0], AllOf(Moved(4), HasPayload("here"), Property(&Event::offset, UINT64_MAX)));
  EXPECT_THAT(run.Of(CALL_PREAD), testing::ElementsAre(FailedWith(ESPIPE)));
  EXPECT_THAT(run.Of(CALL_PREADV), IsEmpty());  // files are not asked for
}

TEST(OffsetHooksTest, TellWhereInAFile) {
  const ShimRun run = Traced("offsets", abi::kOptionFileData);
  const auto written = run.Of(CALL_PWRITE);
  ASSERT_THAT(written, SizeIs(5));
  EXPECT_THAT(written[1], AllOf(HasPayload("4567"), Property(&Event::offset, 4u)));
  EXPECT_THAT(written[2], AllOf(HasPayload("89"), Property(&Event::offset, 8u)));
  const auto read = run.Of(CALL_PREAD);
  ASSERT_THAT(read, SizeIs(7));
  EXPECT_THAT(read[0], AllOf(HasPayload("1234"), Property(&Event::offset, 1u)));
  EXPECT_THAT(read[4], FailedWith(EFAULT));
  EXPECT_THAT(read[5], FailedWith(EINVAL));
  EXPECT_EQ(read[5].offset(), UINT64_MAX - 1);
  EXPECT_THAT(run.Of(CALL_PREADV).at(0), AllOf(HasPayload("abcd"), Property(&Event::offset, 10u)));
  EXPECT_THAT(run.Of(CALL_PWRITEV).at(1), AllOf(HasPayload("ab"), Property(&Event::offset, 14u)));
}

}  // namespace
}  // namespace socktale
