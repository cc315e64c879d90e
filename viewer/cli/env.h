// SPDX-License-Identifier: Apache-2.0
//
// `socktale env`: the settings that make any program record into a running `collect`.

#ifndef SOCKTALE_VIEWER_CLI_ENV_H_
#define SOCKTALE_VIEWER_CLI_ENV_H_

#include <string>

#include "viewer/cli/common.h"

namespace socktale {

enum class EnvForm {
  kPlain,    // KEY=VALUE, one a line: env $(socktale env) CMD
  kShell,    // --sh: export KEY='VALUE', for eval
  kDocker,   // --docker: options of `docker run`
  kSystemd,  // --systemd: a unit's drop-in
  kJson,     // --json; CommonOptions::json means the same
};

struct EnvOptions {
  EnvForm form = EnvForm::kPlain;
  std::string into;  // --into NAME: which `collect`; empty: the only one, or the latest
};

// Exit status 0; 2 when no such `collect` is running.
int RunEnv(const EnvOptions& options, const CommonOptions& common);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_ENV_H_
