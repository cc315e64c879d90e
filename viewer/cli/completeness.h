// SPDX-License-Identifier: Apache-2.0
//
// What a trace does not hold, in words: the completeness statement of `info`, and its worst part for every other view.

#ifndef SOCKTALE_VIEWER_CLI_COMPLETENESS_H_
#define SOCKTALE_VIEWER_CLI_COMPLETENESS_H_

#include <string>
#include <string_view>
#include <vector>

#include "proto/trace.pb.h"
#include "viewer/cli/common.h"
#include "viewer/cli/library.h"
#include "viewer/model/trace.h"

namespace socktale {

enum class Severity { kNote, kWarning, kError };  // in ascending order

// How bad a kind of Missing is, as proto/stats.def says; a kind that this version does not know is a warning.
Severity SeverityOf(std::string_view kind);

// "/usr/local/bin/gotool ×2: statically linked, so nothing can be preloaded into it (record its peer instead)".
// process: of row.process; null: the whole trace.
std::string MissingInWords(const Missing& row, const Process* process);

// The rows of the trace's completeness statement, the worst first.
std::vector<const Missing*> MissingBySeverity(const Trace& trace);

// The parts of the file that could not be read, as far as they have been tried: "412 events unreadable at 8.1-8.3 s
// (block 7 at byte 4096: …)". Where a cut file ends is not among them.
std::vector<std::string> DamageInWords(const TraceFileReader& file);

// Says on stderr which parts turned out to be unreadable while events were read. known: DamageInWords of before.
void TellNewDamage(const Trace& trace, const std::vector<std::string>& known, const CommonOptions& common);

// What became of the file itself: "make-1 was cut off at +31.2 s (recorder killed); 3 connections have no end.",
// "412 events unreadable at 8.1-8.3 s", "make-1 is being recorded". Empty for a whole file.
std::vector<std::string> FileInWords(const Trace& trace, std::string_view name, std::string_view path);

// The header of every view: FileInWords, and the worst row of the completeness statement if it is more than a note.
// Empty: nothing to say. more: the command that tells all.
std::vector<std::string> WhatIsMissing(const NamedTrace& named, std::string_view more = "socktale info");

// Says it on stderr, unless -q: every view's results on stdout are results only.
void TellWhatIsMissing(const NamedTrace& named, const CommonOptions& common);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_COMPLETENESS_H_
