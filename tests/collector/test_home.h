// SPDX-License-Identifier: Apache-2.0
//
// A place of its own for a test's arenas and traces, removed afterwards, and what the tests read back from traces.

#ifndef SOCKTALE_TESTS_COLLECTOR_TEST_HOME_H_
#define SOCKTALE_TESTS_COLLECTOR_TEST_HOME_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "collector/session.h"
#include "proto/trace.pb.h"

namespace socktale {

class TestHome {
 public:
  TestHome();  // sets SOCKTALE_ARENA_DIR
  ~TestHome();

  const std::string& arenas() const { return arenas_; }
  const std::string& traces() const { return traces_; }
  std::string trace(const std::string& name) const { return traces_ + "/" + name + ".tale"; }

  // Names of what lies in the directory for arenas.
  std::vector<std::string> ArenaFiles() const;

  // arena_bytes: all that the arena ever has; 0: 1 MiB at first, 8 MiB at most.
  SessionOptions Options(const std::string& name, uint64_t arena_bytes = 0) const;

 private:
  std::string root_;
  std::string arenas_;
  std::string traces_;
};

// A session that is there; the test program ends when it cannot be made.
std::unique_ptr<Session> MustCreate(const SessionOptions& options);

// The arena's path, out of Session::Environment.
std::string ArenaPathOf(const Session& session);

// A trace as the tests look at it.
struct ReadBack {
  // Event.size of each event, in the order of the file, by (tid, level).
  std::map<std::pair<uint32_t, uint32_t>, std::vector<uint64_t>> numbers;
  uint64_t payload_bytes = 0;
  Tables tables;
  bool sealed = false;
};
ReadBack ReadTrace(const std::string& path);

// 1, 2, … count.
std::vector<uint64_t> UpTo(uint64_t count);

}  // namespace socktale

#endif  // SOCKTALE_TESTS_COLLECTOR_TEST_HOME_H_
