// SPDX-License-Identifier: Apache-2.0
//
// How a command's options are listed, and what is said of a command line that does not fit them.

#ifndef SOCKTALE_VIEWER_CLI_USAGE_H_
#define SOCKTALE_VIEWER_CLI_USAGE_H_

#include <CLI/CLI.hpp>
#include <string>

namespace socktale {

// Options as "-n,--limit N", without CLI11's remarks on what they need, exclude and default to.
class ShortHelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
};

// What is wrong with a command line, and what may have been meant.
std::string UsageInWords(const CLI::App& app, const CLI::ParseError& error);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_USAGE_H_
