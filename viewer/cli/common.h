// SPDX-License-Identifier: Apache-2.0
//
// What all subcommands share: their common options, exit statuses, and how trouble is told.
//
// Every subcommand NAME has a header NAME.h with `struct NameOptions` and
// `int RunName(const NameOptions&, const CommonOptions&)`, which returns the exit status. main.cc turns argv into these
// structures and accepts, for each command, only the options that the command honours.

#ifndef SOCKTALE_VIEWER_CLI_COMMON_H_
#define SOCKTALE_VIEWER_CLI_COMMON_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace socktale {

// Exit statuses of everything but `run`, whose status is the traced program's.
inline constexpr int kExitDone = 0;
inline constexpr int kExitNo = 1;       // the answer is "no"
inline constexpr int kExitTrouble = 2;  // wrong usage, unreadable trace

enum class ColorMode { kAuto, kAlways, kNever };

// How points in time are written.
enum class TimeForm {
  kSinceStart,  // +1.2503: seconds since the trace began
  kDelta,       // seconds since the line before
  kWall,        // local time of day
  kUtc,         // RFC 3339
  kNs,          // ns since the trace began
};

struct CommonOptions {
  std::string trace = "@";  // a path, a name from `ls`, "@" the latest, "@1" the one before, "-" standard input
  bool json = false;
  std::string output;   // -o: a file; empty or "-": standard output
  uint64_t limit = 0;   // -n: at most so many records. 0: all
  std::string sort;     // --sort: a column's key, "-key" for descending. Empty: the command's own order
  std::string columns;  // --columns: "a,b" these, "+a,b" these as well. Empty: the usual ones
  ColorMode color = ColorMode::kAuto;
  bool ascii = false;
  bool quiet = false;        // -q: no words about the results on stderr
  bool exact_bytes = false;  // --bytes: exact numbers
  TimeForm time = TimeForm::kSinceStart;
  uint64_t from_ns = 0;         // --from: ns since the trace began
  uint64_t to_ns = UINT64_MAX;  // --to
};

// Abseil's string_view is not std's here.
inline absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

// Tells what went wrong on stderr ("socktale: …") and returns kExitTrouble.
int Trouble(const absl::Status& status);
int Trouble(std::string_view message);

// Says something about the results on stderr ("socktale: …"), unless -q.
void Remark(const CommonOptions& common, std::string_view message);

// Reads a point in time as users write it: "12.5" or "+12.5" (seconds since the trace began), with a unit "83us",
// "249ms", "4.1s", "2m". Returns ns. kInvalidArgument with what was expected.
absl::StatusOr<uint64_t> ParseTime(std::string_view text);

// Reads a length of time; a unit is needed: "10ms", "83us", "4.1s", "2m". Returns ns.
absl::StatusOr<uint64_t> ParseDuration(std::string_view text);

// Reads a number from 0 on: "20".
absl::StatusOr<uint64_t> ParseCount(std::string_view text);

// Reads an amount of bytes: "83", "4k", "1.5M", "2G" (powers of 1024).
absl::StatusOr<uint64_t> ParseSize(std::string_view text);

// The candidate nearest to `word` by edit distance, if it is near enough to be what was meant; else empty.
std::string NearestWord(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_COMMON_H_
