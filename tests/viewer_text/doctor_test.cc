// SPDX-License-Identifier: Apache-2.0
//
// `doctor`: its three answers, on programs, processes and installations.

#include "viewer/cli/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace socktale {
namespace {

using ::testing::HasSubstr;

class DoctorTest : public ::testing::Test {
 protected:
  DoctorTest() {
    char name[] = "/tmp/socktale-doctor-XXXXXX";
    root_ = mkdtemp(name);
    setenv("XDG_STATE_HOME", root_.c_str(), 1);
    setenv("SOCKTALE_SHIM", SHIM_PATH, 1);
  }
  ~DoctorTest() override {
    std::filesystem::remove_all(root_);
    unsetenv("XDG_STATE_HOME");
    unsetenv("SOCKTALE_SHIM");
  }

  // The exit status; what was printed is in text_.
  int Ask(const std::vector<std::string>& target) {
    CommonOptions common;
    common.output = root_ + "/said";
    DoctorOptions options;
    options.target = target;
    const int status = RunDoctor(options, common);
    std::ostringstream text;
    text << std::ifstream(common.output).rdbuf();
    text_ = text.str();
    return status;
  }

  std::string root_;
  std::string text_;
};

TEST_F(DoctorTest, AnOrdinaryProgramCanBeRecorded) {
  EXPECT_EQ(Ask({"/bin/sh", "-c", "true"}), 0) << text_;
  EXPECT_THAT(text_, HasSubstr("/bin/sh can be recorded"));
}

TEST_F(DoctorTest, AProgramThatIsNotThereCannot) {
  EXPECT_EQ(Ask({"nosuchcmd-at-all"}), 2);
  EXPECT_THAT(text_, HasSubstr("nosuchcmd-at-all: not found in PATH"));
}

TEST_F(DoctorTest, AFileWithoutPermissionSaysWhichCommandGivesIt) {
  const std::string path = root_ + "/tool";
  std::ofstream(path) << "#!/bin/sh\n";
  EXPECT_EQ(Ask({path}), 2);
  EXPECT_THAT(text_, HasSubstr("chmod +x"));
}

TEST_F(DoctorTest, ARunningProgramCannotBeJoined) {
  EXPECT_EQ(Ask({absl::StrCat(getpid())}), 2);
  EXPECT_THAT(text_, HasSubstr("A running program cannot be joined"));
  EXPECT_THAT(text_, HasSubstr("socktale run /"));
}

TEST_F(DoctorTest, AnInstallationIsExamined) {
  EXPECT_EQ(Ask({}), 0) << text_;
  EXPECT_THAT(text_, HasSubstr("the shim loads: "));
  EXPECT_THAT(text_, HasSubstr("shared memory: "));
  EXPECT_THAT(text_, HasSubstr(absl::StrCat("traces: ", root_)));
}

TEST_F(DoctorTest, AShimThatDoesNotLoadIsTheAnswerToEverything) {
  const std::string path = root_ + "/libsocktale.so";
  std::ofstream(path) << "not a library";
  setenv("SOCKTALE_SHIM", path.c_str(), 1);
  EXPECT_EQ(Ask({"/bin/sh"}), 2);
  EXPECT_THAT(text_, HasSubstr("does not load"));
}

}  // namespace
}  // namespace socktale
