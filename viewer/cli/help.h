// SPDX-License-Identifier: Apache-2.0
//
// `socktale help [COMMAND]` and `--help`: the man page where it is installed, else the one-screen help.

#ifndef SOCKTALE_VIEWER_CLI_HELP_H_
#define SOCKTALE_VIEWER_CLI_HELP_H_

#include <string>

#include "viewer/cli/common.h"

namespace socktale {

struct HelpOptions {
  std::string command;     // empty: socktale itself
  std::string short_help;  // the one-screen help, shown where there is no man page
};

int RunHelp(const HelpOptions& options, const CommonOptions& common);

// Prints help that needs no manual. Returns the exit status; what could not be written is told.
int PrintHelp(const std::string& text);

// What `socktale` alone prints: what it is, three examples, the commands. At most 24 lines.
std::string Overview();

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_HELP_H_
