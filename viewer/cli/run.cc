// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/run.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/paths.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "collector/clock.h"
#include "collector/launcher.h"
#include "collector/process_watch.h"
#include "collector/program_check.h"
#include "collector/session.h"
#include "viewer/cli/event_line.h"
#include "viewer/cli/format.h"
#include "viewer/cli/library.h"
#include "viewer/cli/output.h"
#include "viewer/cli/output_file.h"
#include "viewer/cli/session_file.h"

namespace socktale {
namespace {

// How long processes that outlive CMD may take to leave before they count as daemons.
constexpr uint64_t kGraceNs = 100 * kMillisecondNs;
constexpr int kPollMs = 10;
constexpr int kMaxAncestors = 64;

void Say(std::string_view message) {
  std::fprintf(stderr, "socktale: %.*s\n", static_cast<int>(message.size()), message.data());
}

// Whether `pid` is `ancestor` or descends from it.
bool DescendsFrom(pid_t pid, pid_t ancestor) {
  for (int i = 0; i < kMaxAncestors && pid > 1; ++i) {
    if (pid == ancestor) return true;
    ProcessStat stat;
    if (!ReadProcessStat(pid, stat)) return false;
    pid = stat.parent;
  }
  return false;
}

// Ends this process by the signal that ended CMD, without a second core dump.
void DieBy(int signal) {
  const rlimit none = {.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // core_pattern may be a pipe, which knows no limit
  ::signal(signal, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  raise(signal);
}

// Prints events as they are written, for --live.
class LivePrinter {
 public:
  static absl::StatusOr<std::unique_ptr<LivePrinter>> Open(const std::string& file, const CommonOptions& common) {
    int fd = STDERR_FILENO;
    UniqueFd owned;
    if (!file.empty()) {
      RETURN_IF_ERROR(RefuseTrace(file));
      owned.reset(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600));
      if (!owned.valid()) return absl::UnavailableError(absl::StrCat(file, ": ", std::strerror(errno)));
      fd = owned.get();
    }
    return std::unique_ptr<LivePrinter>(new LivePrinter(fd, std::move(owned), common));
  }

  void Print(absl::string_view encoded_run) {
    text_.clear();
    // What does not make sense is counted by the session, and told at the end.
    (void)lines_.Append(encoded_run, output_, text_);
    for (absl::string_view rest = text_; !rest.empty() && !gone_;) {
      const ssize_t n = write(fd_, rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) gone_ = true;  // nobody reads any more; the recording goes on
      if (n > 0) rest.remove_prefix(static_cast<size_t>(n));
    }
  }

 private:
  LivePrinter(int fd, UniqueFd owned, const CommonOptions& common)
      : fd_(fd),
        owned_(std::move(owned)),
        output_(&unused_, LookOf(fd, common)),
        lines_(EventLineOptions(), TimeFormat(common.time, ClockNs(CLOCK_REALTIME), 4)) {}

  int fd_;
  UniqueFd owned_;
  std::string unused_;  // Output wants a place to write; only its look is used
  Output output_;
  LiveEventLines lines_;
  std::string text_;
  bool gone_ = false;
};

// CMD while it runs: waits for it, passes signals on, stops with it.
class Command {
 public:
  // dump: what SIGUSR1 to us is for; null: it is passed on.
  Command(pid_t pid, SignalGuard* signals, std::function<void()> dump)
      : pid_(pid), signals_(*signals), dump_(std::move(dump)) {}

  bool ended() const { return ended_; }
  int wait_status() const { return wait_status_; }
  // The user pressed Ctrl-C again.
  bool impatient() const { return interrupts_ > 1; }

  // Handles what signals came since.
  void Attend(Session& session) {
    siginfo_t info;
    for (int signal; (signal = signals_.Next(&info)) != 0;) {
      if (signal == SIGCHLD) {
        Reap(session);
        continue;
      }
      if (signal == SIGINT || signal == SIGQUIT) ++interrupts_;
      if (signal == SIGUSR1 && dump_) {
        dump_();
        continue;
      }
      // From the terminal (SI_KERNEL) it reached CMD too; from a process, it was meant for whom we stand in front of.
      // From inside it was sent to the group, or means us.
      const bool sent = info.si_code == SI_USER || info.si_code == SI_QUEUE || info.si_code == SI_TKILL;
      if (sent && !ended_ && !DescendsFrom(info.si_pid, pid_)) kill(pid_, signal);
    }
  }

 private:
  void Reap(Session& session) {
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0;) {
      if (pid != pid_) continue;  // an orphan that came to us, if we are the first process of a container
      if (WIFSTOPPED(status)) {
        StopToo(session, WSTOPSIG(status));
        continue;
      }
      ended_ = true;
      wait_status_ = status;
    }
  }

  // Job control stopped CMD (Ctrl-Z): the shell waits for us, so we stop as well, once what is there is safe.
  void StopToo(Session& session, int signal) {
    if (signal != SIGTSTP && signal != SIGTTIN && signal != SIGTTOU) return;
    (void)session.Poll(0, -1);  // a full disk shows again at the next one
    kill(getpid(), SIGSTOP);
  }

  const pid_t pid_;
  SignalGuard& signals_;
  const std::function<void()> dump_;
  bool ended_ = false;
  int wait_status_ = 0;
  int interrupts_ = 0;
};

// The rest of the recording when CMD left processes behind: in a process of its own that nobody waits for.
[[noreturn]] void RecordInBackground(Session& session, SignalGuard& signals, bool dump, bool drop_trace) {
  session.GoOnInThisProcess();
  setsid();
  if (chdir("/") != 0) _exit(kExitOurFailure);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
  CloseInherited();
  session.OnRun(nullptr);
  bool told_to_end = false;
  while (!told_to_end && session.LiveProcesses() > 0) {
    (void)session.Poll(kPollMs, signals.fd());  // a full disk stops the recording, and Finish says so in the trace
    siginfo_t info;
    for (int signal; (signal = signals.Next(&info)) != 0;) {
      told_to_end |= signal == SIGTERM || signal == SIGINT;
      if (signal == SIGUSR1 && dump) (void)session.Dump();  // nobody is there to be told
    }
  }
  const absl::StatusOr<SessionSummary> summary = session.Finish();
  if (summary.ok() && drop_trace) unlink(summary->trace_path.c_str());
  _exit(summary.ok() ? 0 : kExitOurFailure);
}

// Replaces this process by CMD, recorded by a running `collect`.
int RunInto(const RunOptions& options, const ProgramCheck& program) {
  const absl::StatusOr<NamedSession> session = FindSession(options.into);
  if (!session.ok()) {
    Say(std::string(session.status().message()));
    return kExitOurFailure;
  }
  std::vector<std::string> settings = session->environment;
  const char* own = getenv("LD_PRELOAD");
  for (std::string& setting : settings) {
    if (own != nullptr && *own != '\0' && setting.starts_with("LD_PRELOAD=")) absl::StrAppend(&setting, ":", own);
  }
  for (std::string& setting : program.Settings()) settings.push_back(std::move(setting));
  const int error = Execute(program.path, options.command, EnvironmentWith(settings));
  Say(absl::StrCat(options.command[0], ": ", std::strerror(error)));
  return kExitNotExecutable;
}

void Tell(const CommonOptions& common, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) Remark(common, line);
}

// Runs CMD to its end and records it. Returns how it ended, as waitpid tells it; or the exit status of our own failure
// in *failure.
int Record(const RunOptions& options, const CommonOptions& common, const ProgramCheck& program, SignalGuard& signals,
           int* failure) {
  const std::string name = BaseName(options.command[0]);
  const auto fail = [failure](std::string_view message, int status) {
    Say(message);
    *failure = status;
    return 0;
  };
  absl::StatusOr<std::unique_ptr<Session>> started = StartSession(options.recording, common, options.command);
  if (!started.ok()) {
    const bool usage = absl::IsInvalidArgument(started.status());
    return fail(std::string(started.status().message()), usage ? kExitTrouble : kExitOurFailure);
  }
  std::unique_ptr<Session> session = *std::move(started);
  std::unique_ptr<LivePrinter> live;
  if (options.live) {
    absl::StatusOr<std::unique_ptr<LivePrinter>> opened = LivePrinter::Open(options.live_file, common);
    if (!opened.ok()) {
      session->Discard();
      return fail(std::string(opened.status().message()), kExitOurFailure);
    }
    live = *std::move(opened);
    session->OnRun([&live](absl::string_view run) { live->Print(run); });
  }
  const char* own_preload = getenv("LD_PRELOAD");
  std::vector<std::string> settings = session->Environment(own_preload != nullptr ? own_preload : "");
  for (std::string& setting : program.Settings()) settings.push_back(std::move(setting));
  const std::vector<std::string> environment = EnvironmentWith(settings);
  const absl::StatusOr<Launched> launched = Launch(program.path, options.command, environment, signals);
  if (!launched.ok() || launched->exec_error != 0) {
    session->Discard();
    if (!launched.ok()) return fail(std::string(launched.status().message()), kExitOurFailure);
    return fail(absl::StrCat(options.command[0], ": ", std::strerror(launched->exec_error)),
                launched->exec_error == ENOENT ? kExitNotFound : kExitNotExecutable);
  }
  session->CommandStarted(launched->pid, program.path);

  std::function<void()> dump;
  if (!options.recording.ring.empty()) dump = [&session, &common] { DumpAndTell(*session, common); };
  Command command(launched->pid, &signals, std::move(dump));
  while (!command.ended()) {
    // An error of the trace file stops the recording, not CMD: the summary tells it.
    (void)session->Poll(kPollMs, signals.fd());
    command.Attend(*session);
  }
  const int status = command.wait_status();
  session->CommandEnded(launched->pid, status);
  const bool drop_trace = options.keep == "fail" && WIFEXITED(status) && WEXITSTATUS(status) == 0;

  const uint64_t grace_ends_ns = MonotonicNs() + kGraceNs;
  uint64_t alive = session->LiveProcesses();
  while (alive > 0 && MonotonicNs() < grace_ends_ns && !command.impatient()) {
    (void)session->Poll(kPollMs, signals.fd());
    command.Attend(*session);
    alive = session->LiveProcesses();
  }
  if (alive > 0) {
    const SessionSummary summary = session->Summary();
    session->GoOnElsewhere();
    const pid_t background = fork();
    if (background == 0) RecordInBackground(*session, signals, !options.recording.ring.empty(), drop_trace);
    if (background > 0) {
      (void)session.release();  // the arena and the shims are the child's now
      if (command.impatient()) return status;
      std::vector<std::string> lines = {
          absl::StrCat(CountOf(summary.connections, "connection"), ", ", CountOf(summary.events, "event"), ", ",
                       CountOf(summary.processes, "process", "processes"), " so far → ", TraceName(summary.trace_path)),
          absl::StrCat(name, " has ended and ", CountOf(alive, "process", "processes"),
                       alive == 1 ? " it started lives" : " it started live",
                       " on: recording goes on in the background (pid ", background, ") until ",
                       alive == 1 ? "it is" : "they are", " gone")};
      const std::string notice = common.quiet || drop_trace ? "" : ContentNotice(summary, options.recording);
      if (!notice.empty()) lines.push_back(notice);
      Tell(common, lines);
      if (options.strict && IsIncomplete(summary)) *failure = kExitOurFailure;
      return status;
    }
    // No process to be had: the recording ends here, and the summary counts who lives on.
    session->GoOnInThisProcess();
  }

  const absl::StatusOr<SessionSummary> summary = session->Finish();
  if (!summary.ok()) return fail(std::string(summary.status().message()), kExitOurFailure);
  if (options.strict && IsIncomplete(*summary)) *failure = kExitOurFailure;
  command.Attend(*session);
  std::vector<std::string> lines = ClosingLines(*summary, options.command[0]);
  if (drop_trace) {
    unlink(summary->trace_path.c_str());
    lines.resize(1);
    lines.push_back(absl::StrCat(name, " exited 0, so the trace was dropped (--keep fail)"));
  } else if (!common.quiet && !command.impatient()) {
    const std::string notice = ContentNotice(*summary, options.recording);
    if (!notice.empty()) lines.insert(lines.begin() + 1, notice);
  }
  if (!command.impatient()) Tell(common, lines);
  return status;
}

}  // namespace

int RunRun(const RunOptions& options, const CommonOptions& common) {
  const ProgramCheck program = CheckProgram(options.command[0], SearchPath());
  if (program.start_status() != 0) {
    Say(program.message);
    if (!program.way_out.empty()) Say(program.way_out);
    return program.start_status();
  }
  if (!program.recordable() && !options.force) {
    Say(program.message);
    Say(absl::StrCat(program.way_out, program.way_out.empty() ? "" : " · ", "--force runs it untraced"));
    return kExitOurFailure;
  }
  if (!options.into.empty()) return RunInto(options, program);

  if (const absl::Status occupied = OccupyStandardDescriptors(); !occupied.ok()) {
    Say(std::string(occupied.message()));
    return kExitOurFailure;
  }
  absl::StatusOr<SignalGuard> signals = SignalGuard::Install();
  if (!signals.ok()) {
    Say(std::string(signals.status().message()));
    return kExitOurFailure;
  }
  int failure = 0;
  const int status = Record(options, common, program, *signals, &failure);
  if (failure != 0) return failure;
  if (WIFSIGNALED(status)) {
    signals->Restore();
    DieBy(WTERMSIG(status));
    return 128 + WTERMSIG(status);  // blocked or ignored by our caller in a way that cannot be undone
  }
  return WEXITSTATUS(status);
}

}  // namespace socktale
