// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/fds.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "viewer/cli/completeness.h"
#include "viewer/cli/descriptor_text.h"
#include "viewer/cli/format.h"
#include "viewer/cli/json.h"
#include "viewer/cli/library.h"
#include "viewer/cli/table.h"
#include "viewer/names/calls.h"
#include "viewer/names/ids.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

// A descriptor found this soon after its process began was inherited from what nobody recorded.
constexpr uint64_t kStartNs = 10'000'000;

bool Inherited(const DescriptorLife& life, const Process& process) {
  return life.begin() == LIFE_BEGIN_INHERITED ||
         (life.begin() == LIFE_BEGIN_FOUND && life.start_ns() < process.start_ns() + kStartNs);
}

// The moment that --at means for one process.
absl::StatusOr<Moment> MomentOf(const Trace& trace, const std::string& at, const Process& process) {
  if (at == "end") {
    return Moment{process.end_ns() != 0 ? process.end_ns() : trace.tables().end_ns(), process.id()};
  }
  if (at == "peak") return Moment{process.peak_ns(), 0};
  const absl::StatusOr<uint64_t> time = ParseTime(at);
  if (!time.ok()) return absl::InvalidArgumentError(absl::StrCat("--at ", at, ": a time, 'peak' or 'end' is needed"));
  return Moment{*time, 0};
}

// Whether `wanted` ("4100", "4100#2", "httpd", "httpd[4100]") means this process.
bool Means(absl::string_view wanted, const Process& process) {
  if (wanted == ProcessLabel(process) || wanted == process.name()) return true;
  absl::string_view use = "1";
  const size_t hash = wanted.find('#');
  const bool has_use = hash != absl::string_view::npos;
  if (has_use) use = wanted.substr(hash + 1);
  uint32_t pid = 0;
  uint32_t number = 0;
  if (!absl::SimpleAtoi(wanted.substr(0, hash), &pid) || !absl::SimpleAtoi(use, &number)) return false;
  return process.pid() == pid && (!has_use || process.pid_use() == number);
}

absl::StatusOr<std::vector<const Process*>> Select(const Trace& trace, std::string_view name, const std::string& wanted,
                                                   const CommonOptions& common) {
  std::vector<const Process*> processes;
  std::vector<std::string> names;
  for (const Process& process : trace.tables().process()) {
    names.push_back(Printable(process.name()));
    if (Means(wanted, process)) processes.push_back(&process);
  }
  if (!processes.empty()) return processes;
  const std::string nearest = NearestWord(wanted, names);
  const std::string way_out = nearest.empty() ? absl::StrCat("; socktale info", TraceArgument(common), " lists them")
                                              : absl::StrCat(". Did you mean ", nearest, "?");
  return absl::NotFoundError(absl::StrCat("no process '", Printable(wanted), "' in ", Absl(name), way_out));
}

// All processes, those first that end with the most descriptors of their own.
std::vector<const Process*> InterestingFirst(const Trace& trace) {
  absl::flat_hash_map<const Process*, uint64_t> own;
  for (const DescriptorLife& life : trace.tables().life()) {
    const Process* process = trace.process(life.process());
    if (process != nullptr && OpenAtItsEnd(life) && !Inherited(life, *process)) ++own[process];
  }
  std::vector<const Process*> processes;
  for (const Process& process : trace.tables().process()) processes.push_back(&process);
  std::stable_sort(processes.begin(), processes.end(),
                   [&own](const Process* a, const Process* b) { return own[a] > own[b]; });
  return processes;
}

std::string ConnectionId(const Trace& trace, const DescriptorLife& life) {
  const Object* object = trace.object(life.object());
  return object != nullptr && object->connection() != 0 ? absl::StrCat("c", object->connection()) : "";
}

std::string Opened(const DescriptorLife& life, const Process& process, TimeFormat& time) {
  if (Inherited(life, process)) return "inherited";
  if (life.begin() == LIFE_BEGIN_FOUND) return absl::StrCat("found ", time.Format(life.start_ns()));
  return time.Format(life.start_ns());
}

Json DescriptorJson(const Trace& trace, const DescriptorText& words, const DescriptorLife& life,
                    const Process& process) {
  const Object* object = trace.object(life.object());
  Json line = {{"type", "descriptor"}, {"fd", DescriptorId(&process, life.fd(), life.generation())}};
  AddProcess(line, &process);
  line["number"] = life.fd();
  line["kind"] = DescriptorKindInWords(life, object);
  line["name"] = words.Name(life);
  line["begin"] = absl::AsciiStrToLower(absl::StripPrefix(LifeBegin_Name(life.begin()), "LIFE_BEGIN_"));
  line["t_ns"] = life.start_ns();
  line["end"] = absl::AsciiStrToLower(absl::StripPrefix(LifeEnd_Name(life.end()), "LIFE_END_"));
  if (life.end() != LIFE_END_OPEN) line["end_ns"] = life.end_ns();
  if (life.made_by() != CALL_UNKNOWN) line["call"] = CallName(life.made_by());
  if (life.last_use_ns() != 0) line["last_use_ns"] = life.last_use_ns();
  line["inherited"] = Inherited(life, process);
  line["close_on_exec"] = life.close_on_exec();
  line["events"] = life.event_count();
  line["shared"] = words.SharedWith(life);
  if (object != nullptr) {
    if (object->connection() != 0) line["conn"] = absl::StrCat("c", object->connection());
    if (object->listening()) line["accepted"] = object->accepted();
    if (!object->path().empty()) AddBytes(line, "path", object->path());
    if (!object->local_address().empty()) line["local"] = AddressJson(object->local_address());
    if (!object->peer_address().empty()) line["peer"] = AddressJson(object->peer_address());
  }
  return line;
}

void PrintJson(const Trace& trace, const DescriptorText& words, const Process& process, const Moment& moment,
               const std::vector<const DescriptorLife*>& open, Output& output) {
  Json line = {{"type", "process"}};
  AddProcess(line, &process);
  line["open"] = open.size();
  line["at_ns"] = moment.at_ns;
  if (process.descriptor_limit() != 0) line["limit"] = process.descriptor_limit();
  line["peak"] = process.peak_descriptors();
  line["peak_ns"] = process.peak_ns();
  WriteJson(output, line);
  for (const DescriptorLife* life : open) WriteJson(output, DescriptorJson(trace, words, *life, process));
}

absl::Status PrintTable(const Trace& trace, const DescriptorText& words, const Process& process,
                        const std::vector<const DescriptorLife*>& open, const CommonOptions& common, Output& output) {
  Table table({{"fd", "FD", Align::kRight},
               {"kind", "KIND"},
               {"name", "NAME", Align::kLeft, true, 16},
               {"conn", ""},
               {"opened", "OPENED"},
               {"by", "BY", Align::kLeft, true, 8},
               {"used", "LAST USED"},
               {"flags", "FLAGS"},
               {"calls", "CALLS", Align::kRight, false}});
  RETURN_IF_ERROR(table.SelectColumns(common.columns));
  TimeFormat opened(common.time, trace.header().start_wall_ns(), 3);
  TimeFormat used(common.time, trace.header().start_wall_ns(), 1);
  for (const DescriptorLife* life : open) {
    const size_t shared = words.SharedWith(*life);
    table.Add({absl::StrCat(life->fd()), DescriptorKindInWords(*life, trace.object(life->object())), words.Name(*life),
               ConnectionId(trace, *life), Opened(*life, process, opened), words.MadeBy(*life),
               life->last_use_ns() == 0 ? "-" : used.Format(life->last_use_ns()),
               absl::StrCat(words.Flags(*life), shared > 0 ? absl::StrCat("  (", shared, " more)") : ""),
               FormatCount(life->event_count())});
  }
  table.Print(output, 2, 2);
  return absl::OkStatus();
}

// "httpd[4100] in make-1 at the end: 7 open of limit 1024, peak 19 at +8.2"
std::string Heading(const Process& process, std::string_view trace_name, const std::string& at, const Moment& moment,
                    size_t open) {
  TimeFormat time(TimeForm::kSinceStart, 0, 1);
  std::string text = absl::StrCat(ProcessLabel(process), " in ", Absl(trace_name), " at ");
  if (moment.end_of != 0) {
    text += "the end";
  } else {
    absl::StrAppend(&text, at == "peak" ? "its peak, " : "", time.Format(moment.at_ns));
  }
  absl::StrAppend(&text, ": ", open, " open");
  if (process.descriptor_limit() != 0) absl::StrAppend(&text, " of limit ", process.descriptor_limit());
  if (process.peak_descriptors() > 0) {
    absl::StrAppend(&text, ", peak ", process.peak_descriptors(), " at ", time.Format(process.peak_ns()));
  }
  return text;
}

}  // namespace

absl::Status PrintFds(const Trace& trace, std::string_view name, const FdsOptions& options, const CommonOptions& common,
                      Output& output) {
  std::vector<const Process*> processes = InterestingFirst(trace);
  if (!options.process.empty()) {
    ASSIGN_OR_RETURN(processes, Select(trace, name, options.process, common));
  }
  if (common.json) WriteJson(output, TraceJson(trace));
  uint64_t printed = 0;
  bool after_table = false;
  DescriptorText words(trace, Moment{}, output.look().unicode);
  for (const Process* process : processes) {
    if (output.done() || (common.limit > 0 && printed >= common.limit)) break;
    ASSIGN_OR_RETURN(const Moment moment, MomentOf(trace, options.at, *process));
    words.LookAt(moment);
    const std::vector<const DescriptorLife*> open = words.OpenIn(process->id());
    ++printed;
    if (common.json) {
      PrintJson(trace, words, *process, moment, open, output);
      continue;
    }
    const std::string heading = Heading(*process, name, options.at, moment, open.size());
    const bool only_inherited = std::all_of(
        open.begin(), open.end(), [process](const DescriptorLife* life) { return Inherited(*life, *process); });
    // Among all processes those that merely inherited are a line each.
    const bool short_form = open.empty() || (options.process.empty() && only_inherited && processes.size() > 1);
    if (printed > 1 && (after_table || !short_form)) output.Line("");
    output.Line(output.Paint(Style::kTitle, short_form && !open.empty() ? heading + ", all inherited" : heading));
    after_table = !short_form;
    if (!short_form) RETURN_IF_ERROR(PrintTable(trace, words, *process, open, common, output));
  }
  return absl::OkStatus();
}

int RunFds(const FdsOptions& options, const CommonOptions& common) {
  absl::StatusOr<NamedTrace> opened = OpenNamedTrace(common.trace);
  if (!opened.ok()) return Trouble(opened.status());
  TellWhatIsMissing(*opened, common);
  if (opened->trace.tables().process_size() == 0) Remark(common, "no process was recorded: socktale doctor CMD");
  absl::StatusOr<std::unique_ptr<Output>> output = Output::Open(common);
  if (!output.ok()) return Trouble(output.status());
  const absl::Status done = (*output)->Close(PrintFds(opened->trace, opened->name, options, common, **output));
  return done.ok() ? kExitDone : Trouble(done);
}

}  // namespace socktale
