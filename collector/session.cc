// SPDX-License-Identifier: Apache-2.0
#include "collector/session.h"

#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/large_heap.h"
#include "base/status_macros.h"
#include "collector/aggregate/aggregator.h"
#include "collector/arena.h"
#include "collector/arena_reader.h"
#include "collector/attach_server.h"
#include "collector/block_builder.h"
#include "collector/clock.h"
#include "collector/process_images.h"
#include "collector/process_watch.h"
#include "collector/shared_clock.h"
#include "collector/tables.h"
#include "collector/tables_pace.h"
#include "collector/unrecorded.h"
#include "collector/waker.h"
#include "proto/call_families.h"
#include "proto/trace_file_writer.h"

namespace socktale {
namespace {

// Events wait in the arena until there are so many bytes of them or the oldest is so old: fewer, larger runs.
constexpr uint64_t kTakeBytes = 256 << 10;
constexpr uint64_t kTakeNs = 100 * kMillisecondNs;
constexpr uint64_t kTakeLiveNs = 20 * kMillisecondNs;  // with somebody watching
// With more waiting bytes than this, or for so long after a writer had to wait, blocks go to the file as they are.
constexpr uint64_t kBehindBytes = 512 << 10;
constexpr uint64_t kBehindNs = 20 * kMillisecondNs;

// Waiting writers are woken for so many chunks at a time while there is more to take: each wake costs them a switch.
constexpr uint64_t kChunksPerWake = 8;

// Traced programs wake us when there is much to take, so a sleep may be long. (Half a millisecond, as long as data
// flowed, cost programs with two busy threads on two processors a third of their time: each look took one off.)
constexpr uint64_t kLongestSleepNs = 10 * kMillisecondNs;
// After much was taken, more is looked for so long before we sleep: programs that stream data are back at once, and to
// be woken by them takes longer than to take it. Meanwhile our processor is theirs if they want it.
constexpr uint64_t kLingerNs = kMillisecondNs;
// Where nothing can wake us.
constexpr uint64_t kShortestSleepNs = kMillisecondNs / 2;
// A writer that found no room just before we slept, and woke nobody, waits so long.
constexpr uint64_t kWaitedForNs = 50'000;

// How often slots and chunks are looked through even if no counter moved, and quiet threads are asked after.
constexpr uint64_t kThoroughNs = 20 * kMillisecondNs;
constexpr uint64_t kQuietNs = kSecondNs;

// How often processes whose program has not attached are looked for, as long as that is younger than kQuietNs.
constexpr uint64_t kUnattachedNs = 100 * kMillisecondNs;

// An event may become visible so much later than its call returned: its thread may have to wait for a processor.
constexpr uint64_t kCommitSlackNs = 20 * kMillisecondNs;
// With more events than this waiting in the aggregator (a hundred bytes each), some are applied amid a pass, too, so
// many after each block that the waiting ones become fewer: a block holds some thousand.
constexpr size_t kManyWaiting = 20'000;
constexpr size_t kAppliedPerBlock = 20'000;

// A close or dup2 in progress holds the order of things back so long at most.
constexpr uint64_t kLongestCloseNs = 5 * kSecondNs;

constexpr uint64_t kAwaitChildNs = 2 * kSecondNs;
constexpr uint64_t kGrowAgainNs = kSecondNs;

TraceHeader MakeHeader(const SessionOptions& options, const Arena& arena) {
  TraceHeader header;
  header.set_version(SOCKTALE_VERSION);
  header.set_session(arena.token());
  header.set_start_wall_ns(ClockNs(CLOCK_REALTIME) - (MonotonicNs() - arena.base_ns()));
  header.set_base_ns(arena.base_ns());
  for (const std::string& word : options.command) header.add_command(word);
  utsname host;
  if (uname(&host) == 0) {
    header.set_host(host.nodename);
    header.set_kernel(host.release);
  }
  if (options.payload_limit != UINT64_MAX) header.set_payload_limit(options.payload_limit);
  std::vector<absl::string_view> io = {"sockets"};
  if (options.pipe_data) io.push_back("pipes");
  if (options.file_data) io.push_back("files");
  header.set_io(absl::StrJoin(io, ","));
  header.set_name(options.name);
  header.set_ring(options.ring_bytes);
  char cwd[PATH_MAX];
  if (getcwd(cwd, sizeof cwd) != nullptr) header.set_cwd(cwd);
  return header;
}

class RecordingSession final : public Session {
 public:
  RecordingSession(const SessionOptions& options, Arena arena, TraceFileWriter writer, ProcessWatch watch)
      : options_(options),
        arena_(std::move(arena)),
        writer_(std::move(writer)),
        watch_(std::move(watch)),
        reader_(&arena_, [this](uint32_t image, const EventView& event) { unrecorded_.Add(image, event); }),
        builder_(&reader_, &writer_, [this](const RunView& run, uint64_t block) { RunWritten(run, block); }) {
    aggregator_.WhileBusy([this] { KeepUp(); });
  }

  ~RecordingSession() override {
    // Without Finish the shims must not wait for a collector that is not there, and a recovery may find the arena.
    if (!finished_) QuietShims();
  }

  // Opens the attach socket. An error leaves nothing of the session behind.
  absl::Status Listen() {
    absl::Status status = TryListen();
    if (!status.ok()) Discard();
    return status;
  }

  absl::Status TryListen() {
    ASSIGN_OR_RETURN(attach_, AttachServer::Create(arena_.token(), arena_.share_fd(), [this](pid_t pid) {
                       return pid == getpid() || watch_.Watches(pid);
                     }));
    return absl::OkStatus();
  }

  std::vector<std::string> Environment(const std::string& preload) const override;
  absl::Status Poll(int max_wait_ms, int extra_fd) override;
  uint64_t LiveProcesses() override;
  void CommandStarted(pid_t pid, const std::string& path) override;
  void CommandEnded(pid_t pid, int wait_status) override {
    aggregator_.ExitStatus(static_cast<uint32_t>(pid), wait_status, Now(), watch_.own_namespace());
  }
  absl::StatusOr<SessionSummary> Finish() override;
  void Discard() override {
    finished_ = true;
    QuietShims();
    arena_.Remove();
    unlink(writer_.part_path().c_str());
  }
  void GoOnElsewhere() override { arena_.header().collector_pid = 0; }
  void GoOnInThisProcess() override { arena_.header().collector_pid = static_cast<uint32_t>(getpid()); }
  SessionSummary Summary() override;
  absl::StatusOr<std::string> Dump() override;
  void OnRun(std::function<void(absl::string_view encoded_run)> callback) override { on_run_ = std::move(callback); }

 private:
  uint64_t Now() const { return MonotonicNs() - arena_.base_ns(); }
  void RunWritten(const RunView& run, uint64_t block);
  absl::Status Drain(bool everything);
  enum class Settling { kYes, kNo };
  absl::Status WriteCommitted(bool everything, uint64_t pass_ns, Settling settling);
  absl::Status CheckUnattached(uint64_t since_ns);
  void TellGone(const std::vector<UnrecordedPrograms::Process>& gone, uint64_t end_ns);
  void KeepUp();
  bool Pressing() const;
  bool Due(const ArenaReader::Ready& ready, uint64_t now) const;
  void WakeIfFreed();
  void Linger();
  bool Crowded(uint32_t numerator, uint32_t denominator) const;
  void GrowIfCrowded();
  uint64_t Horizon(uint64_t pass_ns) const;
  absl::Status WriteTablesIfDue();
  Tables Snapshot(uint64_t end_ns);
  void QuietShims();
  void Stop(const absl::Status& why);
  void AddOwnMissing(Tables& tables) const;
  void Beat() { arena_.header().heartbeat.fetch_add(1, std::memory_order_relaxed); }
  void Wait(int max_wait_ms, int extra_fd);
  SessionSummary Summarize(const Tables& tables) const;

  static uint64_t OwnStartTicks() {
    ProcessStat self;
    return ReadProcessStat(getpid(), self) ? self.start_ticks : 0;
  }

  const SessionOptions options_;
  const uint64_t start_ticks_ = OwnStartTicks();  // of the process that began the session
  Arena arena_;
  Waker waker_{&arena_.header().collector_futex};
  TraceFileWriter writer_;
  ProcessWatch watch_;
  AttachServer attach_;
  UnrecordedPrograms unrecorded_;
  ClockKeeper clock_{&arena_.header().clock};
  ArenaReader reader_;
  BlockBuilder builder_;
  Aggregator aggregator_;
  ProcessImages images_{&arena_, &reader_, &watch_, &unrecorded_, &aggregator_};
  std::function<void(absl::string_view)> on_run_;

  uint64_t next_thorough_ns_ = 0;
  uint64_t next_quiet_ns_ = 0;
  uint64_t next_unattached_ns_ = 0;
  bool older_unattached_due_ = false;
  uint64_t last_drain_ns_ = 0;
  bool called_ = false;        // a program called us out of the last sleep, and nothing was drained since
  uint64_t waited_ns_ = 0;     // when a writer was last seen to wait for room (ns since the trace began); 0: never
  uint64_t woken_for_ = 0;     // chunks freed when writers were last woken
  uint64_t tables_event_ = 1;  // next_event when tables were last written
  TablesPace tables_pace_;
  uint64_t next_growth_ns_ = 0;
  uint64_t unreadable_runs_ = 0;
  std::string stopped_;  // why recording stopped; empty: it did not
  std::string stopped_advice_;
  bool finished_ = false;
};

std::vector<std::string> RecordingSession::Environment(const std::string& preload) const {
  std::string entries = options_.shim_path;
  for (const absl::string_view entry : absl::StrSplit(preload, absl::ByAnyChar(": "), absl::SkipEmpty())) {
    if (!absl::EndsWith(entry, "/libsocktale.so")) absl::StrAppend(&entries, ":", entry);
  }
  return {absl::StrCat("LD_PRELOAD=", entries),
          absl::StrCat(abi::kAttachVariable, "=1,", absl::BytesToHexString(arena_.token()), ",", attach_.name(), ",",
                       arena_.path())};
}

void RecordingSession::CommandStarted(pid_t pid, const std::string& path) {
  Image image;
  image.set_path(path);
  for (const std::string& word : options_.command) image.add_argv(word);
  unrecorded_.Executing(static_cast<uint32_t>(pid), watch_.own_namespace(), std::move(image));
}

void RecordingSession::RunWritten(const RunView& run, uint64_t block) {
  if (!aggregator_.Add(run, block, Now()).ok()) ++unreadable_runs_;
  if (on_run_) on_run_(run.events);
}

bool RecordingSession::Crowded(uint32_t numerator, uint32_t denominator) const {
  for (uint32_t c = 0; c < abi::kSizeClasses; ++c) {
    if (reader_.chunks_in_use(c) * denominator > arena_.usable_chunks(c) * numerator) return true;
  }
  return false;
}

// Grows when chunks are short although what was in them is written: many threads hold one each. A backlog is no reason:
// new memory costs more than waiting for the chunks that are about to come back.
void RecordingSession::GrowIfCrowded() {
  const uint64_t now = MonotonicNs();
  if (!arena_.may_grow() || now < next_growth_ns_ || !Crowded(3, 4)) return;
  // Where there is no room for more, the writers wait for what there is.
  if (!arena_.Grow().ok()) next_growth_ns_ = now + kGrowAgainNs;
}

// Programs wait for room, or will soon.
bool RecordingSession::Pressing() const {
  return Crowded(1, 2) || arena_.header().waiters.load(std::memory_order_relaxed) > 0;
}

bool RecordingSession::Due(const ArenaReader::Ready& ready, uint64_t now) const {
  if (ready.bytes == 0) return ready.sealed > 0 || images_.any_ended();
  return ready.bytes >= kTakeBytes || images_.any_ended() ||
         now - last_drain_ns_ >= (on_run_ ? kTakeLiveNs : kTakeNs) || Pressing();
}

// What lies before it is settled: every event with an earlier return (for ends: entry) was in the pass that began at
// pass_ns (ns since the trace began).
uint64_t RecordingSession::Horizon(uint64_t pass_ns) const {
  uint64_t horizon = pass_ns - std::min(pass_ns, kCommitSlackNs);
  for (const ThreadInCallHint& hint : reader_.CallsInProgress()) {
    // Ends count from the entry of the call: nothing after it may be settled while it is in progress.
    if (EndsDescriptors(static_cast<Call>(hint.call)) && hint.since_ns + kLongestCloseNs > pass_ns) {
      horizon = std::min(horizon, hint.since_ns);
    }
  }
  return horizon;
}

// Writers that found no room look again when chunks were given back, and only then.
void RecordingSession::WakeIfFreed() {
  if (reader_.chunks_freed() == woken_for_) return;
  woken_for_ = reader_.chunks_freed();
  arena_.WakeWriters();
}

// Writes what is committed now (pass_ns) to the file, and gives it to the aggregator to wait there; with `settling` not
// for ever, however much there is.
absl::Status RecordingSession::WriteCommitted(bool everything, uint64_t pass_ns, Settling settling) {
  if (arena_.header().waiters.load(std::memory_order_relaxed) != 0) waited_ns_ = pass_ns;
  const bool behind = called_ || reader_.Measure().bytes > kBehindBytes || Crowded(1, 2) ||
                      (waited_ns_ != 0 && pass_ns - waited_ns_ < kBehindNs);
  const auto written = [this] {
    Beat();
    if (reader_.chunks_freed() - woken_for_ >= kChunksPerWake) WakeIfFreed();
  };
  std::optional<uint64_t> horizon_ns;  // asked for once, and only where there is much
  const auto told = [&] {
    if (settling == Settling::kNo || aggregator_.waiting() < kManyWaiting) return;
    if (!horizon_ns) horizon_ns = Horizon(pass_ns);
    aggregator_.Advance(std::min(*horizon_ns, reader_.SettledBefore()), kAppliedPerBlock);
  };
  RETURN_IF_ERROR(builder_.Drain({.everything = everything,
                                  .compress = options_.compress && !behind,
                                  .now_ns = pass_ns,
                                  .most_file_bytes = options_.most_bytes},
                                 written, told));
  last_drain_ns_ = MonotonicNs();
  called_ = false;
  WakeIfFreed();
  return absl::OkStatus();
}

// Until there is enough to take.
void RecordingSession::Linger() {
  const uint64_t end_ns = MonotonicNs() + kLingerNs;
  do {
    sched_yield();
    images_.LookAround(false);
  } while (reader_.Measure().bytes < kTakeBytes && MonotonicNs() < end_ns);
}

absl::Status RecordingSession::Drain(bool everything) {
  const uint64_t pass_ns = Now();
  RETURN_IF_ERROR(WriteCommitted(everything, pass_ns, Settling::kYes));
  const uint64_t horizon_ns = Horizon(pass_ns);
  while (aggregator_.Advance(horizon_ns, kAppliedPerBlock)) {
    Beat();
    images_.LookAround(false);
    // Programs that wait for room wait for no count of ours.
    if (Pressing()) RETURN_IF_ERROR(WriteCommitted(everything, Now(), Settling::kYes));
  }
  return absl::OkStatus();
}

// Nobody watches a process whose program did not attach: it has no slot. since_ns: executed then or later.
absl::Status RecordingSession::CheckUnattached(uint64_t since_ns) {
  const std::vector<UnrecordedPrograms::Process> gone =
      unrecorded_.LookForGone(watch_.own_namespace(), since_ns, [this] { Beat(); });
  if (gone.empty()) return absl::OkStatus();
  const uint64_t end_ns = Now();
  images_.LookAround(true);
  RETURN_IF_ERROR(Drain(false));  // their last words: they may have attached meanwhile
  TellGone(gone, end_ns);
  return absl::OkStatus();
}

// All they wrote until end_ns was read.
void RecordingSession::TellGone(const std::vector<UnrecordedPrograms::Process>& gone, uint64_t end_ns) {
  for (const UnrecordedPrograms::Process& process : gone) {
    if (unrecorded_.Gone(process, end_ns)) aggregator_.ProcessGone(process.pid, end_ns, process.pid_namespace);
  }
}

// While the aggregator makes tables: programs must neither take the collector for stuck nor wait for room. What it has
// been told of processes stays as it is meanwhile.
void RecordingSession::KeepUp() {
  Beat();
  if (finished_ || !stopped_.empty()) return;
  images_.LookAround(false);
  if (!Due(reader_.Measure(), MonotonicNs())) return;
  if (const absl::Status written = WriteCommitted(false, Now(), Settling::kNo); !written.ok()) Stop(written);
}

absl::Status RecordingSession::Poll(int max_wait_ms, int extra_fd) {
  Beat();
  AdviseLargeHeap();
  attach_.Serve();
  const uint64_t now = MonotonicNs();
  clock_.Look(now);
  const bool thorough = now >= next_thorough_ns_;
  if (thorough) next_thorough_ns_ = now + kThoroughNs;
  images_.LookAround(thorough);
  images_.CheckProcesses();
  images_.CheckIoUring(now);
  if (now >= next_quiet_ns_) {
    next_quiet_ns_ = now + kQuietNs;
    older_unattached_due_ = true;
    images_.CheckThreads(now - kQuietNs);
    images_.CheckPrograms();
  }
  if (!stopped_.empty()) {
    Wait(max_wait_ms, extra_fd);
    return absl::OkStatus();
  }
  if (now >= next_unattached_ns_) {
    const uint64_t time_ns = Now();
    const uint64_t since_ns = older_unattached_due_ ? 0 : time_ns - std::min(time_ns, kQuietNs);
    if (const absl::Status looked = CheckUnattached(since_ns); !looked.ok()) {
      Stop(looked);
      return looked;
    }
    older_unattached_due_ = false;
    // Where there are thousands of them, it is a tenth of the time that is spent on them.
    next_unattached_ns_ = now + kUnattachedNs + 9 * (MonotonicNs() - now);
  }
  const ArenaReader::Ready ready = reader_.Measure();
  if (Due(ready, now)) {
    const absl::Status drained = Drain(false);
    if (!drained.ok()) {
      Stop(drained);
      return drained;
    }
    images_.SettleEnded();
    GrowIfCrowded();
    if (ready.bytes > kBehindBytes) Linger();
    if (reader_.Measure().bytes >= kTakeBytes) max_wait_ms = 0;
  } else {
    GrowIfCrowded();
  }
  if (const absl::Status written = WriteTablesIfDue(); !written.ok()) {
    Stop(written);
    return written;
  }
  Wait(max_wait_ms, extra_fd);
  return absl::OkStatus();
}

absl::Status RecordingSession::WriteTablesIfDue() {
  const uint64_t start = Now();
  if (!tables_pace_.TimeCame(start) || !stopped_.empty()) return absl::OkStatus();
  unrecorded_.Prune(start - std::min(start, TablesPace::kIntervalNs));
  if (writer_.next_event() != tables_event_ && tables_pace_.Affordable(writer_.bytes_written())) {
    tables_event_ = writer_.next_event();
    const Tables tables = Snapshot(start);
    if (!stopped_.empty()) return absl::OkStatus();  // what came meanwhile could not be written
    const uint64_t before = writer_.bytes_written();
    RETURN_IF_ERROR(writer_.AppendTables(tables, [this] { Beat(); }));
    tables_pace_.Written(writer_.bytes_written() - before);
  }
  tables_pace_.Next(start, Now());
  return absl::OkStatus();
}

void RecordingSession::Wait(int max_wait_ms, int extra_fd) {
  uint64_t wait_ns = std::min(kLongestSleepNs, static_cast<uint64_t>(std::max(max_wait_ms, 0)) * kMillisecondNs);
  if (wait_ns > 0) {
    if (!waker_.Sleep().ok()) wait_ns = std::min(wait_ns, kShortestSleepNs);
    if (arena_.header().waiters.load() != 0) wait_ns = std::min(wait_ns, kWaitedForNs);
  }
  std::vector<pollfd> fds;
  fds.push_back({.fd = watch_.fd(), .events = POLLIN, .revents = 0});
  fds.push_back({.fd = waker_.fd(), .events = POLLIN, .revents = 0});  // -1 is passed over
  if (extra_fd >= 0) fds.push_back({.fd = extra_fd, .events = POLLIN, .revents = 0});
  attach_.AddPollFds(fds);
  const timespec timeout = {.tv_sec = 0, .tv_nsec = static_cast<long>(wait_ns)};
  ppoll(fds.data(), fds.size(), &timeout, nullptr);  // an interruption is as good as a timeout
  if (wait_ns > 0) called_ = waker_.Awake();
}

uint64_t RecordingSession::LiveProcesses() {
  images_.Find();
  images_.CheckProcesses();
  // The last words of those who ended may tell of a child that has yet to attach.
  if (images_.any_ended() && stopped_.empty()) {
    if (const absl::Status drained = Drain(false); !drained.ok()) Stop(drained);
    images_.SettleEnded();
    images_.Find();
  }
  uint64_t alive = watch_.alive();
  const uint64_t now = Now();
  for (const UnrecordedPrograms::Process& child : unrecorded_.ChildrenAwaited(now - std::min(now, kAwaitChildNs))) {
    const bool here = child.pid_namespace == 0 || child.pid_namespace == watch_.own_namespace();
    if (!here || watch_.Watches(static_cast<pid_t>(child.pid))) continue;  // attached, and its word of it still unread
    ProcessStat stat;
    if (ReadProcessStat(static_cast<pid_t>(child.pid), stat) && stat.state != 'Z') ++alive;
  }
  // A child that nothing told of (forked inside libc, as by daemon(3)) attaches with its first call; until then the
  // mapping that it inherited gives it away.
  return alive > 0 ? alive : CountMappers(arena_.path(), start_ticks_);
}

void RecordingSession::QuietShims() {
  arena_.header().collector_state.store(abi::kCollectorDone, std::memory_order_release);
  arena_.WakeWriters();
}

// The file takes no more: the programs run on, and what is written stays.
void RecordingSession::Stop(const absl::Status& why) {
  QuietShims();
  const std::string directory = writer_.path().substr(0, std::max<size_t>(writer_.path().rfind('/'), 1));
  struct statvfs system;
  const bool full = why.code() == absl::StatusCode::kResourceExhausted && statvfs(directory.c_str(), &system) == 0 &&
                    system.f_bavail < 256;
  const bool reached = absl::IsOutOfRange(why);
  stopped_ = absl::StrFormat("%s: recording stopped at +%.1f s",
                             full      ? directory + " is full"
                             : reached ? "the trace has the size of --max"
                                       : std::string(why.message()),
                             static_cast<double>(Now()) / 1e9);
  stopped_advice_ =
      reached ? "a larger --max, or --ring for the last of it" : "-o elsewhere, --payload 64k, or --ring 256M";
}

// The lines of the completeness statement that the collector alone can write.
void RecordingSession::AddOwnMissing(Tables& tables) const {
  AddDrops(arena_.header(), tables);
  AddDamage(reader_.malformed_chunks() + unreadable_runs_, tables);
  AddRing(writer_.given_back(), tables);
  if (stopped_.empty()) return;
  Missing& missing = *tables.add_missing();
  missing.set_kind("stopped");
  missing.set_count(1);
  missing.set_detail(stopped_);
}

absl::StatusOr<SessionSummary> RecordingSession::Finish() {
  finished_ = true;
  images_.Find();
  images_.CheckProcesses();
  const uint64_t alive = LiveProcesses();
  QuietShims();
  const std::vector<UnrecordedPrograms::Process> gone =
      unrecorded_.LookForGone(watch_.own_namespace(), 0, [this] { Beat(); });
  const uint64_t end_ns = Now();
  if (stopped_.empty()) {
    images_.LookAround(true);
    if (const absl::Status drained = Drain(true); !drained.ok()) Stop(drained);
  }
  if (stopped_.empty()) TellGone(gone, end_ns);
  images_.TellCallsInProgress();
  images_.SettleEnded();
  images_.TellDrops();
  aggregator_.Advance(UINT64_MAX);
  for (const UnrecordedPrograms::Program& program : unrecorded_.Take(UINT64_MAX)) {
    aggregator_.NotRecorded(program.pid, program.image, program.kind.c_str(), program.pid_namespace);
  }
  Tables tables = Snapshot(end_ns);
  AddOwnMissing(tables);
  tables.set_sealed(true);
  const absl::Status sealed = writer_.Seal(tables, aggregator_.BlocksOfConnections());
  const bool lost = absl::IsNotFound(sealed);
  if (!sealed.ok() && !lost && stopped_.empty()) Stop(sealed);
  SessionSummary summary = Summarize(tables);
  if (lost) summary.lost = std::string(sealed.message());
  summary.processes_alive = alive;
  if (!sealed.ok()) summary.trace_path = writer_.part_path();
  arena_.Remove();
  return summary;
}

SessionSummary RecordingSession::Summary() {
  if (stopped_.empty()) {
    images_.LookAround(true);
    if (const absl::Status drained = Drain(false); !drained.ok()) Stop(drained);
  }
  return Summarize(Snapshot(Now()));
}

absl::StatusOr<std::string> RecordingSession::Dump() {
  if (!stopped_.empty()) return absl::FailedPreconditionError(stopped_);
  images_.LookAround(true);
  if (const absl::Status drained = Drain(false); !drained.ok()) {
    Stop(drained);
    return drained;
  }
  Tables tables = Snapshot(Now());
  AddOwnMissing(tables);
  tables.set_sealed(true);
  const std::vector<ConnectionBlocks> connections = aggregator_.BlocksOfConnections();
  const std::string stem(absl::StripSuffix(writer_.path(), ".tale"));
  for (int n = 1;; ++n) {
    const std::string path = absl::StrCat(stem, "-dump", n, ".tale");
    if (access(path.c_str(), F_OK) == 0) continue;
    const absl::Status written = writer_.Dump(path, tables, connections);
    if (written.ok()) return path;
    if (!absl::IsAlreadyExists(written)) return written;
  }
}

// The aggregator's tables, and what only the collector sees.
Tables RecordingSession::Snapshot(uint64_t end_ns) {
  Tables tables = aggregator_.Snapshot(end_ns);
  images_.AddMissing(tables);
  return tables;
}

SessionSummary RecordingSession::Summarize(const Tables& tables) const {
  SessionSummary summary;
  summary.trace_path = writer_.path();
  summary.connections = static_cast<uint64_t>(tables.connection_size());
  summary.events = tables.event_count();
  summary.processes = static_cast<uint64_t>(tables.process_size());
  summary.sockets =
      static_cast<uint64_t>(std::count_if(tables.object().begin(), tables.object().end(), [](const Object& object) {
        return object.kind() == DESCRIPTOR_KIND_SOCKET;
      }));
  summary.processes_alive = watch_.alive();
  summary.duration_ns = tables.end_ns();
  summary.file_bytes = writer_.bytes_written();
  for (const Drop& drop : tables.drop()) summary.dropped_events += drop.events();
  summary.missing.assign(tables.missing().begin(), tables.missing().end());
  summary.stopped = stopped_;
  summary.stopped_advice = stopped_advice_;
  return summary;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> Session::Create(const SessionOptions& options) {
  UseLargeHeap();
  uint32_t bits = 0;
  if (options.drop_when_full) bits |= abi::kOptionDropWhenFull;
  if (options.pipe_data) bits |= abi::kOptionPipeData;
  if (options.file_data) bits |= abi::kOptionFileData;
  ASSIGN_OR_RETURN(Arena arena, Arena::Create(ArenaDirectories(), {.trace_path = options.trace_path,
                                                                   .payload_limit = options.payload_limit,
                                                                   .options = bits,
                                                                   .first_bytes = options.first_arena_bytes,
                                                                   .limit_bytes = options.arena_bytes}));
  absl::StatusOr<TraceFileWriter> writer =
      TraceFileWriter::Create(options.trace_path, MakeHeader(options, arena), options.overwrite);
  absl::StatusOr<ProcessWatch> watch = ProcessWatch::Create();
  absl::Status status = writer.ok() ? watch.status() : writer.status();
  if (!status.ok()) {
    arena.Remove();
    return status;
  }
  auto session = std::make_unique<RecordingSession>(options, std::move(arena), *std::move(writer), *std::move(watch));
  RETURN_IF_ERROR(session->Listen());
  return session;
}

}  // namespace socktale
