// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/collect.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "collector/clock.h"
#include "collector/launcher.h"
#include "viewer/cli/format.h"
#include "viewer/cli/library.h"
#include "viewer/cli/session_file.h"

namespace socktale {
namespace {

constexpr int kPollMs = 10;
constexpr uint64_t kCounterNs = kSecondNs;
// Counting takes at most one part in so many of the collector's time.
constexpr uint64_t kCounterShare = 20;

// One line on the terminal that counts what came in; nothing elsewhere.
class Counter {
 public:
  explicit Counter(bool shown) : shown_(shown && isatty(STDERR_FILENO) != 0) {}

  void Show(Session& session) {
    const uint64_t now = MonotonicNs();
    if (!shown_ || now < next_ns_) return;
    const SessionSummary summary = session.Summary();
    std::fprintf(stderr, "\r\x1b[K%s, %s, %s", CountOf(session.LiveProcesses(), "process", "processes").c_str(),
                 CountOf(summary.connections, "connection").c_str(), CountOf(summary.events, "event").c_str());
    next_ns_ = MonotonicNs() + std::max(kCounterNs, (MonotonicNs() - now) * kCounterShare);
    drawn_ = true;
  }

  void Clear() {
    if (drawn_) std::fputs("\r\x1b[K", stderr);
    drawn_ = false;
  }

 private:
  const bool shown_;
  bool drawn_ = false;
  uint64_t next_ns_ = 0;
};

// Handles what signals came. Returns how often the recording was told to end. dump: what SIGUSR1 is for; null: an end.
int Attend(SignalGuard& signals, const std::function<void()>& dump = nullptr) {
  int ends = 0;
  siginfo_t info;
  for (int signal; (signal = signals.Next(&info)) != 0;) {
    if (signal == SIGTSTP) {
      kill(getpid(), SIGSTOP);
    } else if (signal == SIGUSR1 && dump) {
      dump();
    } else if (signal != SIGCONT && signal != SIGCHLD && !(signal == SIGHUP && signals.CallerIgnores(SIGHUP))) {
      ++ends;
    }
  }
  return ends;
}

}  // namespace

int RunCollect(const CollectOptions& options, const CommonOptions& common) {
  if (const absl::Status occupied = OccupyStandardDescriptors(); !occupied.ok()) return Trouble(occupied);
  absl::StatusOr<SignalGuard> signals = SignalGuard::Install();
  if (!signals.ok()) return Trouble(signals.status());
  absl::StatusOr<SessionName> name = SessionName::Take(options.name);
  if (!name.ok()) return Trouble(name.status());
  absl::StatusOr<std::unique_ptr<Session>> started = StartSession(options.recording, common, {});
  if (!started.ok()) return Trouble(started.status());
  const std::unique_ptr<Session> session = *std::move(started);
  if (const absl::Status published = name->Publish(session->Summary().trace_path, session->Environment(""));
      !published.ok()) {
    session->Discard();
    return Trouble(published);
  }
  Remark(common, absl::StrCat("recording ", name->name(), "; elsewhere: socktale run --into ", name->name(),
                              " CMD   or: env $(socktale env --into ", name->name(), ") CMD   Ctrl-C ends it"));

  Counter counter(!common.quiet);
  std::function<void()> dump;
  if (!options.recording.ring.empty()) {
    dump = [&] {
      counter.Clear();
      DumpAndTell(*session, common);
    };
  }
  int ends = 0;
  while (ends == 0) {
    (void)session->Poll(kPollMs, signals->fd());  // an error stops the recording; the summary tells it
    ends += Attend(*signals, dump);
    counter.Show(*session);
  }
  counter.Clear();
  const absl::StatusOr<SessionSummary> summary = session->Finish();
  if (!summary.ok()) return Trouble(summary.status());
  if (ends + Attend(*signals) > 1) return kExitDone;
  std::vector<std::string> lines = ClosingLines(*summary, "");
  const std::string notice = common.quiet ? "" : ContentNotice(*summary, options.recording);
  if (!notice.empty()) lines.insert(lines.begin() + 1, notice);
  for (const std::string& line : lines) Remark(common, line);
  if (summary->processes_alive > 0) {
    Remark(common, absl::StrCat(CountOf(summary->processes_alive, "recorded process", "recorded processes"),
                                summary->processes_alive == 1 ? " is" : " are", " still alive; the trace ends here"));
  }
  return kExitDone;
}

}  // namespace socktale
