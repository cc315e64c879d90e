// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/recording.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/paths.h"
#include "base/status_macros.h"
#include "collector/program_check.h"
#include "collector/recovery.h"
#include "collector/shim_path.h"
#include "viewer/cli/completeness.h"
#include "viewer/cli/format.h"
#include "viewer/cli/library.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

constexpr int kMostNameRaces = 100;
constexpr uint64_t kLeastArena = 64 << 10;
constexpr uint64_t kLeastTrace = 1 << 20;  // of --max and --ring: some blocks

// Rows of proto/stats.def that stand for a program which ran unrecorded, in the words of the closing line.
constexpr std::pair<std::string_view, std::string_view> kUnrecordedKinds[] = {
    {"static", "static"},
    {"go", "a Go program"},
    {"setuid", "gains privileges"},
    {"other_libc", "another C library or processor"},
    {"not_attached", "it did not attach"}};

std::string_view UnrecordedInWords(std::string_view kind) {
  for (const auto& [name, words] : kUnrecordedKinds) {
    if (name == kind) return words;
  }
  return "";
}

absl::Status ParseIo(const std::string& io, SessionOptions& options) {
  for (const absl::string_view kind : absl::StrSplit(io, ',')) {
    if (kind == "pipes" || kind == "all") options.pipe_data = true;
    if (kind == "files" || kind == "all") options.file_data = true;
    if (kind != "sockets" && kind != "pipes" && kind != "files" && kind != "all") {
      const std::string nearest =
          NearestWord(std::string_view(kind.data(), kind.size()), {"sockets", "pipes", "files", "all"});
      return absl::InvalidArgumentError(
          absl::StrCat("--io ", io, ": unknown kind '", kind, "', ",
                       nearest.empty() ? "there are sockets, pipes, files, all" : "did you mean " + nearest + "?"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> ParseLimit(const char* option, const std::string& text) {
  const absl::StatusOr<uint64_t> size = ParseSize(text);
  if (!size.ok()) return absl::InvalidArgumentError(absl::StrCat(option, " ", size.status().message()));
  if (*size < kLeastTrace) return absl::InvalidArgumentError(absl::StrCat(option, " ", text, ": 1M at least"));
  return size;
}

// "0.25 s", "41 s", "12 min".
std::string LengthInWords(uint64_t ns) {
  const double seconds = static_cast<double>(ns) / 1e9;
  if (seconds >= 600) return FormatDuration(ns);
  return absl::StrFormat(seconds < 10 ? "%.2f s" : "%.0f s", seconds);
}

// What to ask `doctor` about: the name where the shell would find this very program by it, else the whole path.
std::string ForDoctor(const std::string& path) {
  const std::string name = BaseName(path);
  return CheckProgram(name, SearchPath()).path == path ? name : path;
}

std::string UnrecordedLine(const SessionSummary& summary) {
  std::map<std::pair<std::string, std::string>, uint64_t> programs;  // (path, kind) → processes
  uint64_t count = 0, unknown_processes = 0;
  for (const Missing& missing : summary.missing) {
    if (UnrecordedInWords(missing.kind()).empty()) continue;
    programs[{missing.detail(), missing.kind()}] += missing.count();
    count += missing.count();
    if (missing.process() == 0) unknown_processes += missing.count();
  }
  if (count == 0) return "";
  std::vector<std::string> words;
  constexpr size_t kMostNamed = 3;
  for (const auto& [program, times] : programs) {
    if (words.size() == kMostNamed) {
      words.push_back(absl::StrCat(programs.size() - kMostNamed, " more"));
      break;
    }
    words.push_back(absl::StrCat(Printable(program.first), " (", std::string(UnrecordedInWords(program.second)), ")"));
    if (times > 1) absl::StrAppend(&words.back(), " ×", times);
  }
  return absl::StrCat(count, " of ", CountOf(summary.processes + unknown_processes, "process", "processes"),
                      " could not be recorded: ", absl::StrJoin(words, ", "), "     socktale doctor ",
                      ShellQuote(ForDoctor(programs.begin()->first.first)));
}

}  // namespace

absl::StatusOr<SessionOptions> MakeSessionOptions(const RecordingOptions& recording, const CommonOptions& common,
                                                  const std::vector<std::string>& command) {
  SessionOptions options;
  options.command = command;
  const absl::StatusOr<uint64_t> payload = recording.payload == "full"   ? UINT64_MAX
                                           : recording.payload == "none" ? 0
                                                                         : ParseSize(recording.payload);
  if (!payload.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--payload ", payload.status().message(), ", none or full"));
  }
  options.payload_limit = *payload;
  RETURN_IF_ERROR(ParseIo(recording.io, options));
  if (recording.on_full != "wait" && recording.on_full != "drop") {
    return absl::InvalidArgumentError(absl::StrCat("--on-full ", recording.on_full, ": there are wait and drop"));
  }
  options.drop_when_full = recording.on_full == "drop";
  const absl::StatusOr<uint64_t> arena = ParseSize(recording.arena);
  if (!arena.ok()) return absl::InvalidArgumentError(absl::StrCat("--arena ", arena.status().message()));
  options.arena_bytes = *arena;
  if (options.arena_bytes < kLeastArena) {
    return absl::InvalidArgumentError(absl::StrCat("--arena ", recording.arena, ": 64k at least"));
  }
  if (!recording.max.empty()) {
    ASSIGN_OR_RETURN(options.most_bytes, ParseLimit("--max", recording.max));
  }
  if (!recording.ring.empty()) {
    ASSIGN_OR_RETURN(options.ring_bytes, ParseLimit("--ring", recording.ring));
  }
  options.first_arena_bytes = std::min(options.first_arena_bytes, options.arena_bytes);
  ASSIGN_OR_RETURN(options.shim_path, FindShim());
  ASSIGN_OR_RETURN(options.trace_path, NewTracePath(command, common.output));
  options.overwrite = !common.output.empty();
  options.name = TraceName(options.trace_path);
  return options;
}

absl::StatusOr<std::unique_ptr<Session>> StartSession(const RecordingOptions& recording, const CommonOptions& common,
                                                      const std::vector<std::string>& command) {
  for (int race = 0;; ++race) {
    ASSIGN_OR_RETURN(const SessionOptions options, MakeSessionOptions(recording, common, command));
    absl::StatusOr<std::unique_ptr<Session>> session = Session::Create(options);
    const bool lost_race = absl::IsAlreadyExists(session.status()) && common.output.empty();
    if (!lost_race || race == kMostNameRaces) return session;
  }
}

std::vector<std::string> ClosingLines(const SessionSummary& summary, const std::string& command) {
  const std::string program = BaseName(command);
  const std::string name = TraceName(summary.trace_path);
  const bool in_library = name != summary.trace_path;
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat(CountOf(summary.connections, "connection"), ", ", CountOf(summary.events, "event"), ", ",
                               CountOf(summary.processes, "process", "processes"), " in ",
                               LengthInWords(summary.duration_ns), " → ", name, " (", FormatSize(summary.file_bytes),
                               ")"));
  if (!summary.lost.empty()) {
    lines[0] = absl::StrCat(summary.lost, ": nothing is left of this recording");
    return lines;
  }
  if (!summary.stopped.empty()) {
    lines.push_back(absl::StrCat(summary.stopped, ", ", program.empty() ? "the programs" : program, " ran on. The ",
                                 FormatSize(summary.file_bytes), " so far are readable.     ", summary.stopped_advice));
  }
  uint64_t too_fast = summary.dropped_events;
  for (const Missing& row : summary.missing) {
    if (!absl::StartsWith(row.kind(), "dropped_") || row.kind() == "dropped_full") continue;
    too_fast -= std::min(too_fast, row.count());
    lines.push_back(absl::StrCat(MissingInWords(row, nullptr), "."));
  }
  if (too_fast > 0) {
    lines.push_back(
        absl::StrCat(FormatCount(too_fast), " of ", FormatCount(summary.events + summary.dropped_events),
                     " events dropped: the program was faster than the disk.     --payload none, or -o on tmpfs"));
  }
  const std::string unrecorded = UnrecordedLine(summary);
  if (!unrecorded.empty()) {
    lines.push_back(unrecorded);
  } else if (summary.processes == 0 && !program.empty()) {
    lines.push_back(absl::StrCat(program, " could not be traced.     socktale doctor ", ShellQuote(command)));
  } else if (summary.processes == 0) {
    lines.push_back("no program recorded into it.");
  } else if (summary.sockets == 0) {
    lines.push_back(absl::StrCat(program.empty() ? "what was recorded" : program, " made no socket calls."));
  }
  if (summary.processes == 0) return lines;
  const std::string trace = in_library ? "" : absl::StrCat(" ", ShellQuote(summary.trace_path));
  const std::string follow = in_library ? "follow 1" : absl::StrCat("follow 1 -t", trace);
  lines.push_back(summary.connections > 0 ? absl::StrCat("next: conns", trace, " · ", follow, " · info", trace)
                                          : absl::StrCat("next: show", trace, " · info", trace));
  return lines;
}

std::string ContentNotice(const SessionSummary& summary, const RecordingOptions& recording) {
  if (summary.connections == 0 || !summary.lost.empty() || recording.payload == "none") return "";
  // Where it cannot be remembered it is better said too often than never.
  if (!IsFirstTime("told-what-traces-hold").value_or(true)) return "";
  return "This trace contains what the program sent, passwords included. It stays on this machine, readable by you "
         "only.";
}

bool IsIncomplete(const SessionSummary& summary) {
  return summary.dropped_events > 0 || !summary.stopped.empty() || !summary.lost.empty() || summary.processes == 0 ||
         std::any_of(summary.missing.begin(), summary.missing.end(),
                     [](const Missing& missing) { return SeverityOf(missing.kind()) == Severity::kError; });
}

void DumpAndTell(Session& session, const CommonOptions& common) {
  const absl::StatusOr<std::string> path = session.Dump();
  Remark(common, path.ok() ? absl::StrCat("what the ring holds now → ", TraceName(*path))
                           : absl::StrCat("the ring cannot be dumped: ", path.status().message()));
}

void RecoverAndTell(const CommonOptions& common) {
  const absl::StatusOr<std::string> library = LibraryDirectory();
  for (const RecoveredTrace& trace : RecoverOrphans(library.ok() ? *library : "")) {
    const std::string name = TraceName(trace.trace_path);
    if (trace.status.ok()) {
      Remark(common, absl::StrFormat("%s was cut off at +%.1f s (recorder killed); recovered %s", name,
                                     static_cast<double>(trace.end_ns) / 1e9, CountOf(trace.events, "event")));
    } else {
      Remark(common,
             absl::StrCat(name, " was cut off (recorder killed) and cannot be finished: ", trace.status.message()));
    }
  }
}

}  // namespace socktale
