// SPDX-License-Identifier: Apache-2.0
//
// Runs the program itself, in a directory of its own.

#ifndef SOCKTALE_TESTS_VIEWER_PROGRAM_TEST_H_
#define SOCKTALE_TESTS_VIEWER_PROGRAM_TEST_H_

#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/viewer/mockups.h"

namespace socktale::testing {

// What a command did.
struct Outcome {
  int status = -1;  // exit status; 128 + signal, as a shell tells it
  std::string out;
  std::string err;
};

// A directory with one trace, make-1.tale, in which commands run.
class ProgramTest : public TraceTest {
 protected:
  ProgramTest() {
    TraceBuilder builder;
    AddEverything(builder);
    Open(builder, "make-1");
  }

  // Runs a shell command in which $S is the program and $T the trace.
  Outcome Run(const std::string& command) {
    const std::string out = directory_ + "/out", err = directory_ + "/err";
    const std::string line = "cd '" + directory_ + "' && S='" + SOCKTALE_PROGRAM +
                             "' T=make-1.tale && export XDG_STATE_HOME='" + directory_ + "' XDG_RUNTIME_DIR='" +
                             directory_ + "' LC_ALL=C.UTF-8 && unset NO_COLOR FORCE_COLOR && { " + command + "; } >'" +
                             out + "' 2>'" + err + "' </dev/null";
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), Read(out), Read(err)};
  }

  static std::string Read(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
};

}  // namespace socktale::testing

#endif  // SOCKTALE_TESTS_VIEWER_PROGRAM_TEST_H_
