// SPDX-License-Identifier: Apache-2.0
//
// Where traces are, how they are found by name, and what a new one is called.

#include "viewer/cli/library.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/trace_builder.h"
#include "viewer/cli/recording.h"

namespace socktale {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// A state directory of its own, put into the environment.
class LibraryTest : public ::testing::Test {
 protected:
  LibraryTest() {
    char name[] = "/tmp/socktale-library-XXXXXX";
    root_ = mkdtemp(name);
    setenv("XDG_STATE_HOME", root_.c_str(), 1);
    library_ = root_ + "/socktale";
    std::filesystem::create_directory(library_);
  }
  ~LibraryTest() override {
    std::filesystem::remove_all(root_);
    unsetenv("XDG_STATE_HOME");
  }

  // Writes a trace that began `start_s` seconds after 1970.
  void Write(const std::string& name, uint64_t start_s, bool sealed = true) {
    testing::TraceBuilder trace;
    trace.Start("curl", 4242).Socket(5, AF_INET, SOCK_STREAM);
    trace.header.set_start_wall_ns(start_s * 1'000'000'000);
    const absl::Status status = trace.WriteTale(absl::StrCat(library_, "/", name, ".tale"), sealed);
    ASSERT_TRUE(status.ok()) << status;
  }

  void Touch(const std::string& name) { std::ofstream(absl::StrCat(library_, "/", name)) << "x"; }

  std::string Resolve(const std::string& argument) {
    const absl::StatusOr<ResolvedTrace> trace = ResolveTrace(argument);
    return trace.ok() ? trace->name : std::string(trace.status().message());
  }

  std::string root_;
  std::string library_;
};

TEST_F(LibraryTest, NewTracesAreNumberedBehindTheGreatestNumber) {
  EXPECT_EQ(*NewTracePath({"/usr/bin/curl", "-s"}, ""), library_ + "/curl-1.tale");
  Touch("curl-1.tale");
  Touch("curl-7.tale.part");
  Touch("curl-old.tale");
  Touch("curlier-9.tale");
  EXPECT_EQ(*NewTracePath({"curl"}, ""), library_ + "/curl-8.tale");
  EXPECT_EQ(*NewTracePath({}, ""), library_ + "/collect-1.tale");
}

TEST_F(LibraryTest, NamesNeedNoQuotesInAShell) {
  EXPECT_EQ(*NewTracePath({"/opt/My App/run it;rm -rf"}, ""), library_ + "/run_it_rm_-rf-1.tale");
  EXPECT_EQ(*NewTracePath({"-rf"}, ""), library_ + "/_rf-1.tale");
  EXPECT_EQ(*NewTracePath({"dir/"}, ""), library_ + "/trace-1.tale");
}

TEST_F(LibraryTest, MakesTheLibrarysDirectoryForItsOwnerAlone) {
  std::filesystem::remove_all(root_);
  ASSERT_TRUE(NewTracePath({"curl"}, "").ok());
  struct stat status;
  ASSERT_EQ(stat(library_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0700u);
}

TEST_F(LibraryTest, TemplatesAreFilledIn) {
  EXPECT_EQ(*NewTracePath({"/bin/make", "test"}, root_ + "/out/%c-%p.tale"),
            absl::StrCat(root_, "/out/make-", getpid(), ".tale"));
  EXPECT_TRUE(std::filesystem::is_directory(root_ + "/out"));
  EXPECT_THAT(*NewTracePath({"x"}, root_ + "/%t%%.tale"), MatchesRegex(".*/[0-9]{8}-[0-9]{6}%\\.tale"));
  EXPECT_EQ(*NewTracePath({"curl"}, root_ + "/out"), root_ + "/out/curl-1.tale");
}

TEST_F(LibraryTest, TemplatesThatMakeNoSenseAreRefused) {
  EXPECT_THAT(std::string(NewTracePath({"x"}, "%z").status().message()), HasSubstr("'%z' is not known"));
  EXPECT_EQ(NewTracePath({"x"}, "%").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(NewTracePath({"x"}, "-").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(NewTracePath({"x"}, root_ + "/no/such/x.tale").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(LibraryTest, TheNewestRecordingComesFirstWhateverItsFilesAge) {
  Write("curl-2", 2000);
  Write("make-1", 3000, false);
  Write("curl-1", 1000);
  const absl::StatusOr<std::vector<LibraryEntry>> entries = ListLibrary();
  ASSERT_TRUE(entries.ok()) << entries.status();
  std::vector<std::string> names;
  for (const LibraryEntry& entry : *entries) names.push_back(entry.name);
  EXPECT_THAT(names, ElementsAre("make-1", "curl-2", "curl-1"));
  EXPECT_TRUE((*entries)[0].part);
}

TEST_F(LibraryTest, TracesAreFoundByPlaceNameAndPath) {
  Write("curl-1", 1000);
  Write("curl-2", 2000);
  EXPECT_EQ(Resolve(""), "curl-2");
  EXPECT_EQ(Resolve("@"), "curl-2");
  EXPECT_EQ(Resolve("@1"), "curl-1");
  EXPECT_EQ(Resolve("curl-1"), "curl-1");
  EXPECT_EQ(Resolve("curl-1.tale"), "curl-1");
  EXPECT_EQ(Resolve(library_ + "/curl-1.tale"), "curl-1");
  EXPECT_EQ(Resolve(library_ + "/curl-1"), "curl-1");
}

TEST_F(LibraryTest, WhatIsNotFoundSaysWhatToDo) {
  EXPECT_THAT(Resolve("@"), HasSubstr("socktale run CMD"));
  Write("curl-1", 1000);
  EXPECT_EQ(Resolve("crul-1"), "crul-1: no such trace. Did you mean curl-1?");
  EXPECT_THAT(Resolve("something"), HasSubstr("socktale ls"));
  EXPECT_THAT(Resolve("@3"), HasSubstr("there is only 1 trace"));
  EXPECT_THAT(Resolve("@x"), HasSubstr("@1 the one before"));
  EXPECT_EQ(Resolve("/no/such.tale"), "/no/such.tale: no such file");
}

TEST_F(LibraryTest, WithoutALibraryThereAreNoTraces) {
  std::filesystem::remove_all(library_);
  const absl::StatusOr<std::vector<LibraryEntry>> entries = ListLibrary();
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_TRUE(entries->empty());
}

TEST_F(LibraryTest, ATraceIsBeingRecordedWhileItsWriterHoldsTheLock) {
  Write("curl-1", 1000, false);
  const std::string path = library_ + "/curl-1.tale.part";
  EXPECT_FALSE(IsBeingRecorded(path));
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(fd, LOCK_EX), 0);
  EXPECT_TRUE(IsBeingRecorded(path));
  close(fd);
  EXPECT_FALSE(IsBeingRecorded(path));
}

TEST_F(LibraryTest, ARuntimeDirectoryOfAnotherOrOpenToOthersIsRefused) {
  setenv("XDG_RUNTIME_DIR", root_.c_str(), 1);
  std::filesystem::remove_all(library_);
  ASSERT_TRUE(RuntimeDirectory().ok());  // makes it
  EXPECT_EQ(*RuntimeDirectory(), root_ + "/socktale");
  chmod(library_.c_str(), 0777);
  EXPECT_EQ(RuntimeDirectory().status().code(), absl::StatusCode::kPermissionDenied);
  unsetenv("XDG_RUNTIME_DIR");
}

TEST_F(LibraryTest, WhatTracesHoldIsSaidOnce) {
  SessionSummary summary;
  EXPECT_EQ(ContentNotice(summary, {}), "");  // nothing was sent
  summary.connections = 1;
  EXPECT_EQ(ContentNotice(summary, {.payload = "none"}), "");  // nothing of it was kept
  EXPECT_EQ(ContentNotice(summary, {}),
            "This trace contains what the program sent, passwords included. It stays on this machine, readable by you "
            "only.");
  EXPECT_EQ(ContentNotice(summary, {}), "");
  EXPECT_TRUE(ListLibrary()->empty());  // what remembers it is no trace
}

TEST_F(LibraryTest, AFifoWithATracesNameHoldsNothingUp) {
  Write("curl-1", 100);
  ASSERT_EQ(mkfifo(absl::StrCat(library_, "/x.tale").c_str(), 0600), 0);
  ASSERT_EQ(mkfifo(absl::StrCat(library_, "/y.tale.part").c_str(), 0600), 0);
  EXPECT_EQ(ListLibrary()->size(), 3u);
  EXPECT_EQ(Resolve("curl-1"), "curl-1");
  EXPECT_FALSE(OpenNamedTrace("x").ok());
  EXPECT_FALSE(OpenNamedTrace("y").ok());
}

TEST_F(LibraryTest, ADirectoryIsSaidToBeOne) {
  std::filesystem::create_directory(root_ + "/dir.tale");
  EXPECT_EQ(Resolve(root_ + "/dir.tale"), root_ + "/dir.tale: is a directory");
}

// Where PATH leads to another program of that name, or to none, the whole path is what doctor understands.
TEST_F(LibraryTest, TheWayOutNamesAProgramThatDoctorFinds) {
  SessionSummary summary;
  summary.processes = 1;
  Missing& missing = summary.missing.emplace_back();
  missing.set_kind("static");
  missing.set_count(1);
  missing.set_detail(root_ + "/static_program");
  EXPECT_THAT(ClosingLines(summary, "static_program")[1], EndsWith("socktale doctor " + root_ + "/static_program"));
  missing.set_detail("/usr/bin/env");
  EXPECT_THAT(ClosingLines(summary, "env")[1], EndsWith("socktale doctor env"));
  summary.missing.clear();
  summary.processes = 0;
  EXPECT_THAT(ClosingLines(summary, root_ + "/other")[1], EndsWith("socktale doctor " + root_ + "/other"));
}

}  // namespace
}  // namespace socktale
