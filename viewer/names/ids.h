// SPDX-License-Identifier: Apache-2.0
//
// Ids as every view writes them: "api[512#2]", "512#2/7#3".

#ifndef SOCKTALE_VIEWER_NAMES_IDS_H_
#define SOCKTALE_VIEWER_NAMES_IDS_H_

#include <cstdint>
#include <string>

#include "proto/trace.pb.h"

namespace socktale {

// "curl[4242]", "api[512#2]" for the second process with that pid. Safe on a terminal, whatever the program's name.
std::string ProcessLabel(const Process& process);

// "512/7", "512#2/7", "512/7#3" for the third thing with number 7. process: null when it is not known, "?/7".
// generation: DescriptorLife.generation; 0 where the life is not known.
std::string DescriptorId(const Process* process, int32_t fd, uint32_t generation);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_NAMES_IDS_H_
