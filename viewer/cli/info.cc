// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/info.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "viewer/cli/completeness.h"
#include "viewer/cli/event_counts.h"
#include "viewer/cli/format.h"
#include "viewer/cli/json.h"
#include "viewer/cli/table.h"
#include "viewer/names/calls.h"
#include "viewer/names/ids.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

// A file of this size is read through in a moment.
constexpr uint64_t kVerifiedBytes = 256 << 20;

const char* SeverityName(Severity severity) {
  return severity == Severity::kError ? "error" : severity == Severity::kWarning ? "warning" : "note";
}

// The path of what came from standard input is a descriptor of ours.
bool FromStdin(const NamedTrace& named) { return named.name == "stdin" && named.path.starts_with("/proc/self/fd/"); }

// "exit 0", "killed by SIGSEGV", "still running", "ended".
std::string EndOf(const Process& process) {
  if (process.exit_signal() != 0) return absl::StrCat("killed by ", SignalName(process.exit_signal()));
  if (process.has_exit_status()) return absl::StrCat("exit ", process.exit_status());
  return process.end_ns() != 0 ? "ended" : "still running";
}

// The programs that a process executed: "sh → curl -s localhost:8080/hello", the last one whole.
std::string Programs(const Process& process, const Output& output) {
  std::string text;
  for (int i = 0; i < process.image_size(); ++i) {
    const Image& image = process.image(i);
    const std::string path = image.argv_size() > 0 ? image.argv(0) : image.path();
    if (i > 0) absl::StrAppend(&text, " ", std::string(output.Sign("→", ">")), " ");
    text += i + 1 == process.image_size() && image.argv_size() > 0 ? CommandLine(image.argv()) : Printable(path);
    if (!image.not_recorded().empty()) absl::StrAppend(&text, " (not recorded: ", Printable(image.not_recorded()), ")");
  }
  return text;
}

// What was recorded, in the order of importance of the calls.
std::vector<std::pair<Call, CallCount>> ByFrequency(const EventCounts& counts) {
  std::vector<std::pair<Call, CallCount>> calls(counts.by_call.begin(), counts.by_call.end());
  std::stable_sort(calls.begin(), calls.end(),
                   [](const auto& a, const auto& b) { return a.second.calls > b.second.calls; });
  return calls;
}

std::string CallsInWords(const EventCounts& counts) {
  std::vector<std::string> words;
  for (const auto& [call, count] : ByFrequency(counts)) {
    if (call < CALL_ATTACHED) words.push_back(absl::StrCat(CallName(call), " ", FormatCount(count.calls)));
  }
  return words.empty() ? "none" : absl::StrJoin(words, ", ");
}

std::string PayloadInWords(const TraceHeader& header, const EventCounts& counts, const CommonOptions& common) {
  const std::string moved = FormatSize(counts.moved_bytes, common.exact_bytes);
  if (counts.moved_bytes == 0) return "none moved";
  if (counts.kept_bytes == counts.moved_bytes) return absl::StrCat(moved, " moved, all kept");
  std::string text = absl::StrCat(moved, " moved, ", FormatSize(counts.kept_bytes, common.exact_bytes), " kept");
  if (header.payload_limit() != 0) absl::StrAppend(&text, " (limit ", FormatSize(header.payload_limit()), " each way)");
  return text;
}

std::string DropsInWords(const Tables& tables) {
  uint64_t total = 0;
  std::vector<std::string> causes;
  for (const Drop& drop : tables.drop()) {
    if (drop.events() == 0) continue;
    total += drop.events();
    causes.push_back(absl::StrCat(DropCauseName(drop.cause()), " ", FormatCount(drop.events())));
  }
  return total == 0 ? "0" : absl::StrCat(FormatCount(total), " (", absl::StrJoin(causes, ", "), ")");
}

std::string ConnectionsInWords(const Tables& tables) {
  uint64_t both = 0;
  for (const Connection& connection : tables.connection()) both += connection.join() != JOIN_KIND_ONE_END;
  const uint64_t all = static_cast<uint64_t>(tables.connection_size());
  const std::string text = CountOf(all, "connection");
  if (all == 0) return text;
  return absl::StrCat(text,
                      both == all ? " (both ends recorded)" : absl::StrCat(" (", both, " with both ends recorded)"));
}

void PrintHead(const NamedTrace& named, const EventCounts& counts, bool verified, const CommonOptions& common,
               Output& output) {
  const TraceHeader& header = named.trace.header();
  const Tables& tables = named.trace.tables();
  const TraceFileReader& file = named.trace.file();
  const auto row = [&output](const char* what, const std::string& text) {
    output.Line(absl::StrCat("  ", PadRight(what, 11), text));
  };
  const std::string command = header.command_size() == 0 ? "socktale collect" : CommandLine(header.command());
  output.Line(absl::StrCat(output.Paint(Style::kTitle, Printable(named.name)), "   ", command));
  row("recorded",
      absl::StrCat(FormatLocal(header.start_wall_ns(), true), " for ",
                   FormatDuration(tables.end_ns(), output.look().unicode), header.host().empty() ? "" : " on ",
                   Printable(header.host()), header.kernel().empty() ? "" : ", Linux ", Printable(header.kernel()),
                   ", by socktale ", Printable(header.version())));
  row("file",
      absl::StrCat(FromStdin(named) ? "from standard input" : Printable(named.path), ", ",
                   FormatSize(file.file_size(), common.exact_bytes), ", ", CountOf(file.blocks().size(), "block"),
                   file.sealed() ? "" : ", not sealed", verified ? "" : ", not read through (--verify)"));
  row("holds", absl::StrCat(FormatCount(tables.event_count()), tables.event_count() == 1 ? " event, " : " events, ",
                            ConnectionsInWords(tables), ", ",
                            CountOf(static_cast<uint64_t>(tables.process_size()), "process", "processes"), ", ",
                            CountOf(static_cast<uint64_t>(tables.thread_size()), "thread")));
  row("payload", PayloadInWords(header, counts, common));
  row("data of", header.io().empty() ? "sockets" : Printable(header.io()));
  row("calls", CallsInWords(counts));
  row("drops", DropsInWords(tables));
}

void PrintProcesses(const Trace& trace, Output& output) {
  const Tables& tables = trace.tables();
  if (tables.process_size() == 0) return;
  Table table({{"process", "PROCESS"},
               {"start", "START", Align::kRight},
               {"life", "LIFE", Align::kRight},
               {"events", "EVENTS", Align::kRight},
               {"end", "END"},
               {"program", "PROGRAM", Align::kLeft, true, 20}});
  TimeFormat time(TimeForm::kSinceStart, trace.header().start_wall_ns(), 3);
  for (const Process& process : tables.process()) {
    const uint64_t end_ns = process.end_ns() != 0 ? process.end_ns() : tables.end_ns();
    const uint64_t life_ns = end_ns > process.start_ns() ? end_ns - process.start_ns() : 0;
    const bool trouble = process.exit_signal() != 0 || process.exit_status() != 0;
    table.Add({ProcessLabel(process), time.Format(process.start_ns()), FormatDuration(life_ns, output.look().unicode),
               FormatCount(process.event_count()), Cell(EndOf(process), trouble ? Style::kWarning : Style::kPlain),
               Programs(process, output)});
  }
  output.Line("");
  table.Print(output, 2, 2);
}

void PrintStatement(const std::vector<std::string>& file, const EventCounts& counts, const Trace& trace,
                    Output& output) {
  output.Line("");
  output.Line(output.Paint(Style::kTitle, "What is missing"));
  for (const std::string& line : file) output.Line(absl::StrCat("  ", output.Paint(Style::kWarning, line)));
  for (const std::string& line : counts.unreadable) {
    output.Line(absl::StrCat("  ", output.Paint(Style::kError, line)));
  }
  const std::vector<const Missing*> rows = MissingBySeverity(trace);
  for (const Missing* row : rows) {
    if (!file.empty() && row->kind() == "cut_off") continue;  // said above, with the time
    const Severity severity = SeverityOf(row->kind());
    const std::string_view sign = severity == Severity::kError     ? output.Sign("✗", "x")
                                  : severity == Severity::kWarning ? output.Sign("⚠", "!")
                                                                   : output.Sign("·", "-");
    const Style style = severity == Severity::kError     ? Style::kError
                        : severity == Severity::kWarning ? Style::kWarning
                                                         : Style::kPlain;
    output.Line(absl::StrCat(
        "  ", output.Paint(style,
                           absl::StrCat(std::string(sign), " ", MissingInWords(*row, trace.process(row->process()))))));
  }
  if (file.empty() && counts.unreadable.empty() && rows.empty()) {
    output.Line("  Nothing: every call that was seen is there, with all its bytes.");
  }
  // No count can tell these: nobody sees them happen.
  for (const char* line :
       {"No recording sees what the C library does inside itself:", "stdio on sockets, the resolver's packets, syslog;",
        "nor what asks the kernel by instructions of its own, or looks up functions in libc itself."}) {
    output.Line(absl::StrCat("  ", output.Paint(Style::kRemark, line)));
  }
}

void PrintJson(const NamedTrace& named, const std::vector<std::string>& file, const EventCounts& counts, bool verified,
               Output& output) {
  const Tables& tables = named.trace.tables();
  Json first = TraceJson(named.trace);
  if (!FromStdin(named)) AddBytes(first, "path", named.path);
  first["size"] = named.trace.file().file_size();
  first["io"] = named.trace.header().io();
  first["moved"] = counts.moved_bytes;
  first["kept"] = counts.kept_bytes;
  first["threads"] = tables.thread_size();
  first["recovered"] = tables.recovered();
  first["file_trouble"] = file;
  first["verified"] = verified;
  first["unreadable"] = counts.unreadable;
  WriteJson(output, first);
  for (const auto& [call, count] : counts.by_call) {
    WriteJson(output, {{"type", "calls"},
                       {"call", CallName(call)},
                       {"count", count.calls},
                       {"failed", count.failed},
                       {"bytes", count.bytes},
                       {"note", call >= CALL_ATTACHED}});
  }
  for (const Process& process : tables.process()) {
    Json line = {{"type", "process"}};
    AddProcess(line, &process);
    line["t_ns"] = process.start_ns();
    line["events"] = process.event_count();
    if (const Process* parent = named.trace.process(process.parent()); parent != nullptr)
      line["parent_pid"] = parent->pid();
    if (process.end_ns() != 0) line["end_ns"] = process.end_ns();
    if (process.has_exit_status()) line["exit_status"] = process.exit_status();
    if (process.exit_signal() != 0) line["exit_signal"] = SignalName(process.exit_signal());
    line["dropped"] = process.drops();
    line["user"] = process.user();
    Json images = Json::array();
    for (const Image& image : process.image()) {
      Json entry = {{"t_ns", image.start_ns()}, {"recorded", image.not_recorded().empty()}};
      if (!image.not_recorded().empty()) entry["why"] = image.not_recorded();
      AddBytes(entry, "path", image.path());
      Json words = Json::array();
      for (const std::string& word : image.argv()) words.push_back(Printable(word));
      entry["argv"] = std::move(words);
      images.push_back(std::move(entry));
    }
    line["images"] = std::move(images);
    WriteJson(output, line);
  }
  for (const Drop& drop : tables.drop()) {
    WriteJson(
        output,
        {{"type", "drop"}, {"cause", DropCauseName(drop.cause())}, {"events", drop.events()}, {"bytes", drop.bytes()}});
  }
  for (const Missing* row : MissingBySeverity(named.trace)) {
    Json line = {{"type", "missing"},
                 {"kind", row->kind()},
                 {"severity", SeverityName(SeverityOf(row->kind()))},
                 {"count", row->count()}};
    const Process* process = named.trace.process(row->process());
    AddProcess(line, process);
    if (!row->detail().empty()) line["detail"] = Printable(row->detail());
    line["words"] = MissingInWords(*row, process);
    WriteJson(output, line);
  }
}

}  // namespace

absl::Status PrintInfo(const NamedTrace& named, const InfoOptions& options, const CommonOptions& common, Output& output,
                       bool& complete) {
  const bool verify = options.verify || options.strict || named.trace.file().file_size() <= kVerifiedBytes;
  std::optional<EventCounts> told = verify ? std::nullopt : CountsInTables(named.trace);
  const bool verified = !told.has_value();
  if (verified) {
    ASSIGN_OR_RETURN(told, CountEventsOf(named.path));
  }
  EventCounts& counts = *told;
  const std::vector<std::string> file = FileInWords(named.trace, named.name, named.path);
  // Damage that opening the trace met already is told once.
  for (const std::string& line : file) {
    counts.unreadable.erase(std::remove(counts.unreadable.begin(), counts.unreadable.end(), line),
                            counts.unreadable.end());
  }
  complete = file.empty() && counts.unreadable.empty() && named.trace.tables().missing().empty();
  if (common.json) {
    PrintJson(named, file, counts, verified, output);
    return absl::OkStatus();
  }
  PrintHead(named, counts, verified, common, output);
  PrintProcesses(named.trace, output);
  PrintStatement(file, counts, named.trace, output);
  return absl::OkStatus();
}

int RunInfo(const InfoOptions& options, const CommonOptions& common) {
  const absl::StatusOr<NamedTrace> opened = OpenNamedTrace(common.trace);
  if (!opened.ok()) return Trouble(opened.status());
  absl::StatusOr<std::unique_ptr<Output>> output = Output::Open(common);
  if (!output.ok()) return Trouble(output.status());
  bool complete = false;
  const absl::Status done = (*output)->Close(PrintInfo(*opened, options, common, **output, complete));
  if (!done.ok()) return Trouble(done);
  return options.strict && !complete ? kExitNo : kExitDone;
}

}  // namespace socktale
