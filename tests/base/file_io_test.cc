// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes are whole, and say what kept them from it.

#include "base/file_io.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>

#include "base/unique_fd.h"

namespace socktale {
namespace {

class FileIoTest : public testing::Test {
 protected:
  std::string Content() {
    std::string bytes(1 << 20, '\0');
    bytes.resize(static_cast<size_t>(ReadAt(file_.get(), bytes.data(), bytes.size(), 0)));
    return bytes;
  }

  UniqueFd file_{memfd_create("file_io_test", MFD_CLOEXEC)};
};

TEST_F(FileIoTest, WritesAllPiecesAtAPlaceAndReadsThemBack) {
  std::string a = "first", empty, b(100'000, 'x');
  iovec pieces[] = {{empty.data(), 0}, {a.data(), a.size()}, {empty.data(), 0}, {b.data(), b.size()}};
  ASSERT_EQ(WriteAt(file_.get(), absl::MakeSpan(pieces), 7), 0);
  EXPECT_EQ(Content(), std::string(7, '\0') + a + b);
  char byte = 0;
  EXPECT_EQ(ReadAt(file_.get(), &byte, 1, 1'000'000), 0);
}

// The kernel writes up to the limit and returns short; going on from there, inside the second piece, tells the reason.
TEST_F(FileIoTest, GoesOnBehindAShortWrite) {
  void (*const handler)(int) = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit limit = {12, before.rlim_max};
  std::string a = "0123456789", b = "abcdefghij";
  iovec pieces[] = {{a.data(), a.size()}, {b.data(), b.size()}};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const int error = WriteAt(file_.get(), absl::MakeSpan(pieces), 0);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(error, EFBIG);
  EXPECT_EQ(Content(), "0123456789ab");
}

TEST_F(FileIoTest, SaysWhatWentWrong) {
  char byte = 'x';
  iovec piece = {&byte, 1};
  EXPECT_EQ(WriteAt(-1, absl::MakeSpan(&piece, 1), 0), EBADF);
  EXPECT_EQ(ReadAt(-1, &byte, 1, 0), -1);
  EXPECT_EQ(errno, EBADF);
}

}  // namespace
}  // namespace socktale
