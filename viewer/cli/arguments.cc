// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/arguments.h"

namespace socktale {

CLI::Option* AddSwitch(CLI::App& app, const std::string& names, bool& value, const std::string& help) {
  return app.add_flag(names, value, help)->disable_flag_override();
}

CLI::Option* AddQuiet(CLI::App& app, CommonOptions& common) {
  return AddSwitch(app, "-q,--quiet", common.quiet, "no words about the results");
}

void AddDisplay(CLI::App& app, CommonOptions& common) {
  app.add_option("-o,--output", common.output, "write to FILE (- is standard output)")->type_name("FILE");
  AddSwitch(app, "--json", common.json, "JSON Lines, for scripts");
  AddChoice(app, "--color", {{"auto", ColorMode::kAuto}, {"always", ColorMode::kAlways}, {"never", ColorMode::kNever}},
            common.color, "colours");
  AddSwitch(app, "--ascii", common.ascii, "no signs beyond ASCII");
  AddQuiet(app, common);
}

void AddTrace(CLI::App& app, CommonOptions& common, bool positional) {
  app.add_option("-t,--trace", common.trace, "a path, a name from `ls`, @ the latest, @1 the one before, - stdin")
      ->type_name("TRACE");
  if (positional) app.add_option("TRACE", common.trace, "the trace; the latest if left out")->excludes("-t");
}

void AddTimeForm(CLI::App& app, CommonOptions& common) {
  AddChoice(app, "--time",
            {{"start", TimeForm::kSinceStart},
             {"delta", TimeForm::kDelta},
             {"wall", TimeForm::kWall},
             {"utc", TimeForm::kUtc},
             {"ns", TimeForm::kNs}},
            common.time, "how points in time are written");
}

void AddRange(CLI::App& app, CommonOptions& common) {
  AddParsed(app, "--from", "T", ParseTime, common.from_ns, "only from T on (12.5 or 250ms after the start)");
  AddParsed(app, "--to", "T", ParseTime, common.to_ns, "only up to T");
}

void AddLimit(CLI::App& app, CommonOptions& common, const std::string& help) {
  AddParsed(app, "-n,--limit", "N", ParseCount, common.limit, help);
}

void AddColumns(CLI::App& app, CommonOptions& common) {
  app.add_option("--columns", common.columns, "a,b: these; +a,b: these as well")->type_name("LIST");
}

void AddBytes(CLI::App& app, CommonOptions& common) {
  AddSwitch(app, "--bytes", common.exact_bytes, "exact numbers of bytes");
}

std::vector<CLI::Option*> AddRecording(CLI::App& app, RecordingOptions& recording) {
  CLI::Option* const max =
      app.add_option("--max", recording.max, "stop recording, not the program, when the trace has SIZE")
          ->type_name("SIZE");
  CLI::Option* const ring = app.add_option("--ring", recording.ring, "keep only the last SIZE of the trace")
                                ->type_name("SIZE")
                                ->excludes(max);
  return {max,
          ring,
          app.add_option("--payload", recording.payload,
                         "bytes kept per descriptor and direction: none, SIZE or full [64M]")
              ->type_name("SIZE"),
          app.add_option("--io", recording.io, "whose reads and writes are kept: sockets, pipes, files, all [sockets]")
              ->type_name("KINDS"),
          app.add_option("--on-full", recording.on_full,
                         "when recording falls behind: wait (nothing is lost) or drop [wait]")
              ->type_name("wait|drop"),
          app.add_option("--arena", recording.arena, "shared memory that may be used [1G]")->type_name("SIZE")};
}

}  // namespace socktale
