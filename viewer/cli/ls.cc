// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/ls.h"

#include <sys/stat.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "proto/trace_file_reader.h"
#include "viewer/cli/format.h"
#include "viewer/cli/json.h"
#include "viewer/cli/library.h"
#include "viewer/cli/table.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

// Shown on a terminal without -n.
constexpr size_t kUsualLines = 20;

struct Row {
  LibraryEntry entry;
  uint64_t size = 0;
  std::optional<TraceHeader> header;  // none: unreadable
  std::optional<Tables> tables;       // none: not written yet
  uint64_t duration_ns = 0;
  std::string state;  // "recording", "cut off", "recovered", "damaged", "unreadable"; empty: whole
};

Row Examine(const LibraryEntry& entry) {
  Row row;
  row.entry = entry;
  struct stat status;
  if (stat(entry.path.c_str(), &status) == 0) row.size = static_cast<uint64_t>(status.st_size);
  const bool recording = IsBeingRecorded(entry.path);
  absl::StatusOr<TraceFileReader> file = TraceFileReader::Open(entry.path);
  if (!file.ok()) {
    row.state = recording ? "recording" : "unreadable";
    return row;
  }
  row.header = file->header();
  bool found = false;
  absl::StatusOr<Tables> tables = file->ReadTables(&found);
  row.duration_ns = file->end_ns();
  if (tables.ok() && found) {
    row.duration_ns = std::max(row.duration_ns, tables->end_ns());
    row.tables = *std::move(tables);
  }
  const bool recovered = row.tables.has_value() && row.tables->recovered();
  row.state = recording                                 ? "recording"
              : !file->damage().empty() || !tables.ok() ? "damaged"
              : !file->sealed()                         ? "cut off"
              : recovered                               ? "recovered"
                                                        : "";
  return row;
}

std::string Command(const Row& row) {
  if (!row.header.has_value()) return "";
  if (row.header->command_size() == 0) return "(collect)";
  return CommandLine(row.header->command());
}

Json RowJson(const Row& row) {
  Json line = {{"type", "trace"},
               {"schema", "socktale/1"},
               {"name", row.entry.name},
               {"path", row.entry.path},
               {"start", FormatUtc(row.entry.start_wall_ns)},
               {"size", row.size},
               {"state", row.state.empty() ? "whole" : row.state}};
  if (row.header.has_value()) {
    line["dur_ns"] = row.duration_ns;
    line["cmd"] = Json::array();
    for (const std::string& word : row.header->command()) line["cmd"].push_back(Printable(word));
  }
  if (row.tables.has_value()) {
    line["connections"] = row.tables->connection_size();
    line["processes"] = row.tables->process_size();
    line["events"] = row.tables->event_count();
  }
  return line;
}

}  // namespace

absl::Status PrintLs(const CommonOptions& common, Output& output) {
  ASSIGN_OR_RETURN(const std::vector<LibraryEntry> entries, ListLibrary());
  size_t shown = entries.size();
  if (common.limit > 0) {
    shown = std::min<size_t>(shown, common.limit);
  } else if (output.look().terminal && !common.json) {
    shown = std::min(shown, kUsualLines);
  }
  Table table({{"name", "NAME"},
               {"when", "WHEN"},
               {"life", "TOOK", Align::kRight},
               {"conns", "CONNS", Align::kRight},
               {"processes", "PROCS", Align::kRight},
               {"size", "SIZE", Align::kRight},
               {"state", "STATE"},
               {"command", "COMMAND", Align::kLeft, true, 16}});
  RETURN_IF_ERROR(table.SelectColumns(common.columns));
  for (size_t i = 0; i < shown; ++i) {
    const Row row = Examine(entries[i]);
    if (common.json) {
      WriteJson(output, RowJson(row));
      continue;
    }
    const bool known = row.tables.has_value();
    table.Add({Printable(row.entry.name), FormatLocal(row.entry.start_wall_ns, false),
               row.header.has_value() ? FormatDuration(row.duration_ns, output.look().unicode) : "-",
               known ? absl::StrCat(row.tables->connection_size()) : "-",
               known ? absl::StrCat(row.tables->process_size()) : "-", FormatSize(row.size, common.exact_bytes),
               Cell(row.state, row.state == "recording" ? Style::kPlain : Style::kWarning), Command(row)});
  }
  if (common.json) return absl::OkStatus();
  if (entries.empty()) {
    Remark(common, "there are no traces yet; record one: socktale run CMD");
    return absl::OkStatus();
  }
  table.Print(output, 1, 2);
  if (shown < entries.size()) {
    Remark(common, absl::StrCat(shown, " of ", entries.size(), " traces; all: socktale ls -n ", entries.size()));
  }
  return absl::OkStatus();
}

int RunLs(const LsOptions&, const CommonOptions& common) {
  absl::StatusOr<std::unique_ptr<Output>> output = Output::Open(common);
  if (!output.ok()) return Trouble(output.status());
  const absl::Status done = (*output)->Close(PrintLs(common, **output));
  return done.ok() ? kExitDone : Trouble(done);
}

}  // namespace socktale
