// SPDX-License-Identifier: Apache-2.0
//
// A directory of the test's own, and traces written into it.

#ifndef SOCKTALE_TESTS_MODEL_SCRATCH_H_
#define SOCKTALE_TESTS_MODEL_SCRATCH_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "tests/support/trace_builder.h"
#include "viewer/model/trace.h"

namespace socktale::testing {

class Scratch {
 public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "socktale-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string File(const std::string& name) const { return path_ + "/" + name; }

  // Writes the trace and opens it; seal = false: as a killed recorder leaves it.
  absl::StatusOr<Trace> Open(const TraceBuilder& builder, bool seal = true) const {
    RETURN_IF_ERROR(builder.WriteTale(File("t.tale"), seal));
    return Trace::Open(File(seal ? "t.tale" : "t.tale.part"));
  }

 private:
  std::string path_;
};

}  // namespace socktale::testing

#endif  // SOCKTALE_TESTS_MODEL_SCRATCH_H_
