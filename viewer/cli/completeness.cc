// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/completeness.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "viewer/cli/format.h"
#include "viewer/cli/library.h"
#include "viewer/names/ids.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

struct Stat {
  const char* name;
  Severity severity;
  const char* words;
};

constexpr Severity error = Severity::kError;
constexpr Severity warning = Severity::kWarning;
constexpr Severity note = Severity::kNote;

constexpr Stat kStats[] = {
#define STAT(name, severity, words) {#name, severity, words},
#include "proto/stats.def"
#undef STAT
};

const Stat* FindStat(std::string_view kind) {
  for (const Stat& stat : kStats) {
    if (kind == stat.name) return &stat;
  }
  return nullptr;
}

// The words of these begin with "is" or a verb in mind: their subject is a program or a process, not a number.
bool SpeaksOfProgram(std::string_view kind) {
  for (const char* name : {"static", "go", "setuid", "other_libc", "io_uring", "not_attached"}) {
    if (kind == name) return true;
  }
  return false;
}

// A sentence of its own, which nothing is counted in.
bool IsSentence(std::string_view kind) { return kind == "cut_off" || kind == "stopped"; }

// "connections with …" → "connection with …". A list of nouns stays as it is.
std::string ForOne(std::string words) {
  const size_t end = std::min(words.find(' '), words.size());
  if (end > 0 && words[end - 1] == 's') words.erase(end - 1, 1);
  return words;
}

std::string Seconds(uint64_t ns) { return absl::StrFormat("%.1f", static_cast<double>(ns) / 1e9); }

// How many events stood in a damaged range, as far as the blocks around it (and the index) tell.
uint64_t EventsIn(const TraceFileReader& file, const DamagedRange& range) {
  uint64_t expected = 1;  // number of the first event behind the blocks before the range
  uint64_t listed = 0;    // in blocks that the index names
  for (const BlockEntry& block : file.blocks()) {
    if (block.kind() != BLOCK_KIND_EVENTS) continue;
    if (block.offset() < range.offset) {
      expected = block.first_event() + block.event_count();
    } else if (block.offset() - range.offset < range.size) {
      listed += block.event_count();
    } else {
      return block.first_event() > expected ? block.first_event() - expected : listed;
    }
  }
  return listed;
}

}  // namespace

std::vector<std::string> DamageInWords(const TraceFileReader& file) {
  std::vector<std::string> lines;
  for (const DamagedRange& range : file.damage()) {
    // The end of a cut file is no damage.
    if (!file.sealed() && range.offset >= file.readable_size()) continue;
    const uint64_t events = EventsIn(file, range);
    const std::string what = events > 0 ? CountOf(events, "event") : FormatSize(range.size);
    const std::string when = range.before_ns == 0
                                 ? absl::StrCat("after +", Seconds(range.after_ns), " s")
                                 : absl::StrCat("at ", Seconds(range.after_ns), "-", Seconds(range.before_ns), " s");
    lines.push_back(absl::StrCat(what, " unreadable ", when, " (", range.what, ")"));
  }
  return lines;
}

Severity SeverityOf(std::string_view kind) {
  const Stat* stat = FindStat(kind);
  return stat != nullptr ? stat->severity : Severity::kWarning;
}

std::string MissingInWords(const Missing& row, const Process* process) {
  const Stat* stat = FindStat(row.kind());
  const std::string words = stat != nullptr ? stat->words : Printable(row.kind());
  const std::string detail = Printable(row.detail());
  if (IsSentence(row.kind())) return detail.empty() ? words : absl::StrCat(detail, "; what came after is missing");
  if (!SpeaksOfProgram(row.kind())) {
    std::string text = absl::StrCat(FormatCount(row.count()), " ", row.count() == 1 ? ForOne(words) : words);
    if (process != nullptr) text = absl::StrCat(ProcessLabel(*process), ": ", text);
    return detail.empty() ? text : absl::StrCat(text, ": ", detail);
  }
  const std::string times = row.count() > 1 ? absl::StrCat(" ×", row.count()) : "";
  if (row.kind() == "not_attached") {
    const std::string subject = process != nullptr ? ProcessLabel(*process) : "a process";
    return absl::StrCat(subject, times, ": ", words, detail.empty() ? "" : ": ", detail);
  }
  const std::string subject = !detail.empty() ? detail : process != nullptr ? ProcessLabel(*process) : "a program";
  return absl::StrCat(subject, times, ": ", words);
}

std::vector<const Missing*> MissingBySeverity(const Trace& trace) {
  std::vector<const Missing*> rows;
  for (const Missing& row : trace.tables().missing()) rows.push_back(&row);
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Missing* a, const Missing* b) { return SeverityOf(a->kind()) > SeverityOf(b->kind()); });
  return rows;
}

std::vector<std::string> FileInWords(const Trace& trace, std::string_view name, std::string_view path) {
  std::vector<std::string> lines;
  const TraceFileReader& file = trace.file();
  uint64_t open = 0;
  for (const Connection& connection : trace.tables().connection()) open += connection.end() == CONNECTION_END_OPEN;
  const std::string no_end =
      open == 0 ? "" : absl::StrCat("; ", CountOf(open, "connection"), open == 1 ? " has no end" : " have no end");
  const std::string at = absl::StrCat("+", Seconds(file.end_ns()), " s");
  if (!file.sealed() && IsBeingRecorded(std::string(path))) {
    lines.push_back(absl::StrCat(Absl(name), " is being recorded; this is what there was at ", at));
  } else if (trace.tables().recovered()) {
    lines.push_back(absl::StrCat(Absl(name), " was cut off at ", at, " (recorder killed)", no_end));
  } else if (!file.sealed()) {
    const std::string bytes = file.readable_size() < file.file_size()
                                  ? absl::StrFormat(" (byte %d of %d)", file.readable_size(), file.file_size())
                                  : "";
    lines.push_back(absl::StrCat(Absl(name), " was cut off at ", at, bytes, no_end));
  }
  for (std::string& line : DamageInWords(file)) lines.push_back(std::move(line));
  return lines;
}

std::vector<std::string> WhatIsMissing(const NamedTrace& named, std::string_view more) {
  const Trace& trace = named.trace;
  std::vector<std::string> lines = FileInWords(trace, named.name, named.path);
  std::vector<const Missing*> rows = MissingBySeverity(trace);
  const auto said = [&lines](const Missing* row) { return !lines.empty() && row->kind() == "cut_off"; };
  rows.erase(std::remove_if(rows.begin(), rows.end(), said), rows.end());
  if (rows.empty() || SeverityOf(rows[0]->kind()) == Severity::kNote) return lines;
  const std::string others = rows.size() > 1 ? absl::StrCat(" (+", rows.size() - 1, " more: ", Absl(more), ")") : "";
  lines.push_back(absl::StrCat(MissingInWords(*rows[0], trace.process(rows[0]->process())), others));
  return lines;
}

void TellWhatIsMissing(const NamedTrace& named, const CommonOptions& common) {
  const std::string more = absl::StrCat("socktale info", TraceArgument(common));
  for (const std::string& line : WhatIsMissing(named, more)) Remark(common, line);
}

void TellNewDamage(const Trace& trace, const std::vector<std::string>& known, const CommonOptions& common) {
  for (const std::string& line : DamageInWords(trace.file())) {
    if (std::find(known.begin(), known.end(), line) == known.end()) Remark(common, line);
  }
}

}  // namespace socktale
