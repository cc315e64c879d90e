// SPDX-License-Identifier: Apache-2.0
//
// `socktale doctor`: can this be recorded, what will be missing, and why.

#ifndef SOCKTALE_VIEWER_CLI_DOCTOR_H_
#define SOCKTALE_VIEWER_CLI_DOCTOR_H_

#include <string>
#include <vector>

#include "viewer/cli/common.h"

namespace socktale {

struct DoctorOptions {
  std::vector<std::string> target;  // CMD [ARG…] or a PID. Empty: checks the installation
};

// Exit status: 0 yes, 1 partly, 2 no.
int RunDoctor(const DoctorOptions& options, const CommonOptions& common);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_DOCTOR_H_
