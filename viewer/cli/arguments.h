// SPDX-License-Identifier: Apache-2.0
//
// Options that several commands have, each written once: their names, what they take, what they say when it does not
// fit. Only main.cc and what belongs to it knows CLI11.

#ifndef SOCKTALE_VIEWER_CLI_ARGUMENTS_H_
#define SOCKTALE_VIEWER_CLI_ARGUMENTS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "viewer/cli/common.h"
#include "viewer/cli/recording.h"

namespace socktale {

// An option whose value `parse` (text → StatusOr) reads; what it cannot read is wrong usage, told with the option's
// name. names: as CLI11 has them, the long name last: "-n,--limit". type: what the help calls the value.
template <typename Parse, typename Value>
CLI::Option* AddParsed(CLI::App& app, const std::string& names, const char* type, Parse parse, Value& value,
                       const std::string& help) {
  return app
      .add_option_function<std::string>(
          names,
          [parse, &value, name = names.substr(names.rfind(',') + 1)](const std::string& text) {
            const auto parsed = parse(text);
            if (!parsed.ok()) throw CLI::ValidationError(absl::StrCat(name, " ", parsed.status().message()));
            value = *parsed;
          },
          help)
      ->type_name(type);
}

// An option that takes one of several words.
template <typename Value>
CLI::Option* AddChoice(CLI::App& app, const std::string& name,
                       const std::vector<std::pair<std::string, Value>>& choices, Value& value,
                       const std::string& help) {
  std::vector<std::string> words;
  for (const auto& [word, meaning] : choices) words.push_back(word);
  return app
      .add_option_function<std::string>(
          name,
          [name, choices, words, &value](const std::string& text) {
            for (const auto& [word, meaning] : choices) {
              if (word == text) {
                value = meaning;
                return;
              }
            }
            const std::string nearest = NearestWord(text, words);
            throw CLI::ValidationError(absl::StrCat(name, " ", text, ": ",
                                                    nearest.empty()
                                                        ? absl::StrCat("one of ", CLI::detail::join(words, ", "))
                                                        : absl::StrCat("did you mean ", nearest, "?")));
          },
          help)
      ->type_name(CLI::detail::join(words, "|"));
}

CLI::Option* AddSwitch(CLI::App& app, const std::string& names, bool& value, const std::string& help);
CLI::Option* AddQuiet(CLI::App& app, CommonOptions& common);

// What every command that prints results has.
void AddDisplay(CLI::App& app, CommonOptions& common);

// -t, and the same as an argument where the command's object is the trace.
void AddTrace(CLI::App& app, CommonOptions& common, bool positional);

void AddTimeForm(CLI::App& app, CommonOptions& common);
void AddRange(CLI::App& app, CommonOptions& common);
void AddLimit(CLI::App& app, CommonOptions& common, const std::string& help);
void AddColumns(CLI::App& app, CommonOptions& common);
void AddBytes(CLI::App& app, CommonOptions& common);

// Returns what it added.
std::vector<CLI::Option*> AddRecording(CLI::App& app, RecordingOptions& recording);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_ARGUMENTS_H_
