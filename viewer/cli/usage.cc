// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/usage.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "viewer/cli/common.h"
#include "viewer/names/printable.h"

namespace socktale {

std::string ShortHelpFormatter::make_option_name(const CLI::Option* option, bool is_positional) const {
  std::string name = CLI::Formatter::make_option_name(option, is_positional);
  for (size_t at = name.find('{'); at != std::string::npos; at = name.find('{')) {
    name.erase(at, name.find('}', at) + 1 - at);  // "-l{-}": what a flag without a value stands for
  }
  return name;
}

std::string ShortHelpFormatter::make_option_opts(const CLI::Option* option) const {
  const std::string type = option->get_type_name();
  return option->get_type_size() == 0 || type.empty() || type == "TEXT" ? "" : " " + type;
}

std::string UsageInWords(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)) {
    for (const std::string& extra : app.remaining()) {
      if (!absl::StartsWith(extra, "-") || extra == "-") continue;
      if (absl::StartsWith(extra, "-=")) {
        return absl::StrCat("'", Printable(extra.substr(1)),
                            "' behind a short option: the long one takes it, as --live=FILE");
      }
      const std::string option = extra.substr(0, extra.find('='));
      std::vector<std::string> names;
      for (const CLI::Option* known : app.get_options()) {
        for (const std::string& name : known->get_lnames()) names.push_back("--" + name);
      }
      const std::string nearest = absl::StartsWith(option, "--") ? NearestWord(option, names) : "";
      return absl::StrCat("unknown option '", Printable(option), "'",
                          nearest.empty() ? "" : absl::StrCat(". Did you mean ", nearest, "?"));
    }
    const std::vector<std::string> extras = app.remaining();
    return absl::StrCat("one argument too many: '", extras.empty() ? "" : Printable(extras.back()), "'");
  }
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExcludesError)) {
    std::string words = error.what();  // "--keep excludes --into"
    if (absl::EndsWith(words, " excludes TRACE") || absl::StartsWith(words, "TRACE excludes ")) {
      return "the trace is named twice: once by -t, once as an argument";
    }
    words = absl::StrReplaceAll(words, {{" excludes ", " does not go with "}});
    if (absl::EndsWith(words, " --into")) words += ": the trace, and what goes into it, are those of the `collect`";
    return words;
  }
  // CLI11 puts the option's name first: "-n: 1 required N missing".
  return error.what();
}

}  // namespace socktale
