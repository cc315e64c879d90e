// SPDX-License-Identifier: Apache-2.0
#include "collector/shared_copy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace socktale {
namespace {

namespace fs = std::filesystem;

class SharedCopyTest : public testing::Test {
 protected:
  SharedCopyTest() {
    std::string name = fs::temp_directory_path() / "shared-copy-XXXXXX";
    home_ = mkdtemp(name.data());
    chmod(home_.c_str(), 0755);
    fs::create_directory(home_ / "private");
    chmod((home_ / "private").c_str(), 0700);
    file_ = home_ / "private" / "libsocktale.so";
    Write(file_, "first");
  }
  ~SharedCopyTest() override { fs::remove_all(home_); }

  static void Write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
  static std::string Read(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  absl::StatusOr<std::string> Copy() { return SharedCopy(file_, home_ / "shared"); }

  fs::path home_;
  fs::path file_;
};

TEST_F(SharedCopyTest, AllCanReadTheCopyAndNotWhatIsInAPrivateFolder) {
  EXPECT_FALSE(ReadableByAll(file_));
  const mode_t before = umask(077);
  const absl::StatusOr<std::string> copy = Copy();
  umask(before);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_TRUE(ReadableByAll(*copy));
  EXPECT_EQ(Read(*copy), "first");
  EXPECT_EQ(fs::path(*copy).filename(), "libsocktale.so");
}

TEST_F(SharedCopyTest, IsReplacedAsAWholeWhenTheFileIsAnother) {
  const std::string first = *Copy();
  struct stat before;
  ASSERT_EQ(stat(first.c_str(), &before), 0);
  ASSERT_EQ(*Copy(), first);
  struct stat again;
  ASSERT_EQ(stat(first.c_str(), &again), 0);
  EXPECT_EQ(again.st_ino, before.st_ino);  // nothing to do
  Write(file_, "second");
  ASSERT_EQ(*Copy(), first);
  ASSERT_EQ(stat(first.c_str(), &again), 0);
  EXPECT_NE(again.st_ino, before.st_ino);  // a program that maps the old one keeps it
  EXPECT_EQ(Read(first), "second");
  EXPECT_EQ(std::distance(fs::directory_iterator(fs::path(first).parent_path()), {}), 1);
}

TEST_F(SharedCopyTest, FilesOfDifferentPlacesHaveCopiesOfTheirOwn) {
  const std::string first = *Copy();
  const fs::path other = home_ / "private" / "other.so";
  Write(other, "other");
  const std::string second = *SharedCopy(other, home_ / "shared");
  EXPECT_NE(fs::path(first).parent_path(), fs::path(second).parent_path());
  EXPECT_EQ(Read(first), "first");
  EXPECT_EQ(Read(second), "other");
}

TEST_F(SharedCopyTest, RefusesAFolderThatOthersMayWriteTo) {
  fs::create_directory(home_ / "shared");
  chmod((home_ / "shared").c_str(), 0777);
  EXPECT_EQ(Copy().status().code(), absl::StatusCode::kPermissionDenied);
  fs::remove(home_ / "shared");
  fs::create_symlink(home_ / "private", home_ / "shared");
  EXPECT_EQ(Copy().status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(SharedCopyTest, SaysWhatCannotBeRead) {
  EXPECT_EQ(SharedCopy(home_ / "none.so", home_ / "shared").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(ReadableByAll(home_ / "none.so"));
}

}  // namespace
}  // namespace socktale
