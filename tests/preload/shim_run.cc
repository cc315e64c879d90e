// SPDX-License-Identifier: Apache-2.0

#include "tests/preload/shim_run.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <tuple>

#include "preload/abi/arena_abi.h"
#include "preload/abi/hooks_hash.h"
#include "proto/event_view.h"

namespace socktale {
namespace {

using abi::ArenaHeader;
using abi::ChunkHeader;

constexpr uint64_t kArenaBytes = abi::kHeaderBytes + abi::kSegmentBytes;

[[noreturn]] void Fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

// An arena of one segment in a folder of its own, as the collector makes it.
class Arena {
 public:
  explicit Arena(const ArenaSetup& setup) {
    char folder[] = "/tmp/shim_run_XXXXXX";
    if (mkdtemp(folder) == nullptr) Fail("mkdtemp");
    folder_ = folder;
    path_ = folder_ + "/arena";
    const int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, static_cast<off_t>(kArenaBytes)) != 0) Fail(path_);
    base_ = static_cast<uint8_t*>(mmap(nullptr, kArenaBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    if (base_ == MAP_FAILED) Fail("mmap of " + path_);
    close(fd);

    ArenaHeader& arena = header();
    arena.abi_major = abi::kAbiMajor;
    arena.abi_minor = abi::kAbiMinor;
    arena.hooks_hash = abi::kHooksHash;
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    arena.base_ns = static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
    arena.options = setup.options;
    arena.payload_limit = setup.payload_limit;
    arena.collector_pid = setup.collector_pid != 0 ? setup.collector_pid : static_cast<uint32_t>(getpid());
    struct stat pids;
    if (stat("/proc/self/ns/pid", &pids) != 0) Fail("/proc/self/ns/pid");
    arena.collector_pid_namespace = pids.st_ino;
    std::memset(arena.token, 0x5a, sizeof arena.token);
    arena.segments.store(1);
    arena.heartbeat.store(1);
    arena.collector_state.store(abi::kCollectorRunning);
    if (setup.asleep) arena.collector_futex.store(abi::kCollectorAsleep);
    auto* const slots = reinterpret_cast<abi::ProcessSlot*>(base_ + 4096);
    for (uint32_t i = 0; i < setup.taken_slots; ++i) slots[i].state.store(abi::kSlotLive);
    arena.magic = abi::kArenaMagic;
  }
  ~Arena() {
    munmap(base_, kArenaBytes);
    unlink(path_.c_str());
    rmdir(folder_.c_str());
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  ArenaHeader& header() const { return *reinterpret_cast<ArenaHeader*>(base_); }
  std::string AttachEntry() const {
    std::string entry = std::string(abi::kAttachVariable) + "=1,";
    for (size_t i = 0; i < sizeof header().token; ++i) entry += "5a";
    return entry + ",nobody-listens-here," + path_;
  }

  // Takes every sealed chunk and gives it back to the writers; takes the others too when all images are done.
  void Drain(bool all_done) {
    auto* const chunks = reinterpret_cast<ChunkHeader*>(base_ + abi::kHeaderBytes);
    bool freed = false;
    for (uint32_t i = 0; i < abi::kChunksPerSegment; ++i) {
      ChunkHeader& chunk = chunks[i];
      const uint32_t state = chunk.state.load();
      if (state != abi::kChunkSealed && !(all_done && state == abi::kChunkOpen)) continue;
      const auto key = Key(chunk.image, chunk.tid, chunk.level, chunk.thread_start_ns, chunk.sequence);
      const uint8_t* const data = base_ + abi::kHeaderBytes + abi::ChunkDataOffset(i);
      if (!taken_.emplace(key, std::string(data, data + chunk.committed.load())).second) {
        damage_ += "two chunks with one number; ";
      }
      chunk.state.store(abi::kChunkFree);
      freed = true;
    }
    ++header().heartbeat;
    if (freed) {
      ++header().room_futex;
      if (header().waiters.exchange(0) != 0) syscall(SYS_futex, &header().room_futex, FUTEX_WAKE, INT_MAX);
    }
  }

  // Parses what was taken.
  void ReadEvents(ShimRun& run) const {
    run.damage = damage_;
    std::tuple<uint32_t, uint32_t, uint32_t, uint64_t> owner;
    uint64_t sequence = 0;
    for (const auto& [key, bytes] : taken_) {
      const std::tuple its_owner(std::get<0>(key), std::get<1>(key), std::get<2>(key), std::get<3>(key));
      sequence = its_owner == owner ? sequence + 1 : 1;
      owner = its_owner;
      if (std::get<4>(key) != sequence) run.damage += "a chunk is missing; ";
      absl::string_view rest(bytes);
      for (;;) {
        absl::string_view event;
        bool found = false;
        const absl::Status status = NextEvent(rest, event, found);
        RecordedEvent recorded{std::get<0>(key), std::get<1>(key), std::get<2>(key), {}};
        if (!status.ok() || (found && !recorded.event.ParseFromArray(event.data(), static_cast<int>(event.size())))) {
          run.damage += "a chunk does not hold whole events; ";
          break;
        }
        if (!found) break;
        run.events.push_back(std::move(recorded));
      }
    }
  }

 private:
  // Image, thread, level, start of the thread, number of the chunk.
  using Key = std::tuple<uint32_t, uint32_t, uint32_t, uint64_t, uint64_t>;

  std::map<Key, std::string> taken_;
  std::string damage_;
  std::string folder_;
  std::string path_;
  uint8_t* base_;
};

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::vector<Event> ShimRun::Of(Call call) const {
  std::vector<Event> events_of_call;
  for (const RecordedEvent& recorded : events) {
    if (recorded.event.call() == call) events_of_call.push_back(recorded.event);
  }
  return events_of_call;
}

ShimRun RunUnderShim(std::vector<std::string> command, std::vector<std::string> environment, const ArenaSetup& setup) {
  Arena arena(setup);
  if (command[0].find('/') == std::string::npos) command[0] = std::string(SOCKTALE_WORKLOADS "/") + command[0];
  std::string preload = "LD_PRELOAD=" SOCKTALE_SHIM;
  for (std::string& entry : environment) {
    if (entry.rfind("LD_PRELOAD=", 0) == 0) preload += ":" + entry.substr(11);
  }
  std::erase_if(environment, [](const std::string& entry) { return entry.rfind("LD_PRELOAD=", 0) == 0; });
  environment.push_back(preload);
  environment.push_back(arena.AttachEntry());

  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) Fail("pipe2");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output[1], 1);
  posix_spawn_file_actions_adddup2(&actions, output[1], 2);
  pid_t pid;
  const int error =
      posix_spawn(&pid, command[0].c_str(), &actions, nullptr, Pointers(command).data(), Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  close(output[1]);
  if (error != 0) throw std::runtime_error(command[0] + ": " + std::strerror(error));

  ShimRun run;
  // Its end closes the pipe.
  for (;;) {
    pollfd ready = {output[0], POLLIN, 0};
    const int events = poll(&ready, 1, setup.drain ? 1 : -1);
    if (setup.drain) arena.Drain(false);
    if (events <= 0) continue;
    char bytes[4096];
    const ssize_t n = read(output[0], bytes, sizeof bytes);
    if (n <= 0) break;
    run.output.append(bytes, static_cast<size_t>(n));
  }
  close(output[0]);
  int status;
  if (waitpid(pid, &status, 0) != pid) Fail("waitpid");
  if (WIFEXITED(status)) run.exit_status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) run.signal = WTERMSIG(status);
  for (const auto& drops : arena.header().drops) run.drops += drops.load();
  for (const auto& bytes : arena.header().dropped_bytes) run.dropped_bytes += bytes.load();
  run.collector_state = arena.header().collector_state.load();
  run.collector_sleep = arena.header().collector_futex.load();
  run.images = arena.header().next_image.load();
  arena.Drain(true);
  arena.ReadEvents(run);
  return run;
}

ShimRun Traced(const std::string& workload, uint32_t options) {
  ArenaSetup setup;
  setup.options = options;
  ShimRun run = RunUnderShim({workload}, {"PATH=/usr/bin:/bin"}, setup);
  EXPECT_EQ(run.exit_status, 0) << run.output;
  return run;
}

}  // namespace socktale
