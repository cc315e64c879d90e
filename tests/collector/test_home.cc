// SPDX-License-Identifier: Apache-2.0
#include "tests/collector/test_home.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "proto/event_view.h"
#include "proto/trace_file_reader.h"

namespace socktale {

TestHome::TestHome() {
  std::string pattern = "/dev/shm/socktale-test-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  root_ = pattern;
  arenas_ = root_ + "/arenas";
  traces_ = root_ + "/traces";
  mkdir(arenas_.c_str(), 0700);
  mkdir(traces_.c_str(), 0700);
  setenv("SOCKTALE_ARENA_DIR", arenas_.c_str(), 1);
}

TestHome::~TestHome() {
  unsetenv("SOCKTALE_ARENA_DIR");
  std::filesystem::remove_all(root_);
}

std::vector<std::string> TestHome::ArenaFiles() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(arenas_)) names.push_back(entry.path().filename());
  return names;
}

SessionOptions TestHome::Options(const std::string& name, uint64_t arena_bytes) const {
  SessionOptions options;
  options.trace_path = trace(name);
  options.name = name;
  options.shim_path = "/nonexistent/libsocktale.so";
  options.first_arena_bytes = arena_bytes != 0 ? arena_bytes : 1 << 20;
  options.arena_bytes = arena_bytes != 0 ? arena_bytes : 8 << 20;
  return options;
}

std::unique_ptr<Session> MustCreate(const SessionOptions& options) {
  auto session = Session::Create(options);
  if (!session.ok()) {
    ADD_FAILURE() << session.status();
    std::abort();
  }
  return *std::move(session);
}

std::string ArenaPathOf(const Session& session) {
  for (const std::string& setting : session.Environment("")) {
    if (setting.starts_with("SOCKTALE_ATTACH=")) return setting.substr(setting.find('/'));
  }
  return "";
}

ReadBack ReadTrace(const std::string& path) {
  ReadBack back;
  auto reader = TraceFileReader::Open(path);
  if (!reader.ok()) {
    ADD_FAILURE() << reader.status();
    return back;
  }
  EventView event;
  for (size_t i = 0; i < reader->blocks().size(); ++i) {
    if (reader->blocks()[i].kind() != BLOCK_KIND_EVENTS) continue;
    const auto block = reader->ReadBlock(i);
    EXPECT_TRUE(block.ok()) << block.status();
    absl::string_view rest = block.ok() ? *block : "";
    RunView run;
    for (bool found = true; found;) {
      EXPECT_TRUE(NextRun(rest, run, found).ok());
      if (!found) break;
      absl::string_view events = run.events, encoded;
      for (bool more = true; more;) {
        EXPECT_TRUE(NextEvent(events, encoded, more).ok());
        if (!more) break;
        EXPECT_TRUE(ParseEvent(encoded, run.base_ns, event).ok());
        back.numbers[{run.tid, run.level}].push_back(event.size);
        back.payload_bytes += event.payload.size();
      }
    }
  }
  bool found = false;
  if (auto tables = reader->ReadTables(&found); tables.ok() && found) back.tables = *std::move(tables);
  back.sealed = reader->sealed();
  return back;
}

std::vector<uint64_t> UpTo(uint64_t count) {
  std::vector<uint64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 1);
  return numbers;
}

}  // namespace socktale
