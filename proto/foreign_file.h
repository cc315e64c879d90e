// SPDX-License-Identifier: Apache-2.0
//
// Says what a file that is no trace looks like, for the error message.

#ifndef SOCKTALE_PROTO_FOREIGN_FILE_H_
#define SOCKTALE_PROTO_FOREIGN_FILE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace socktale {

// first_bytes: the beginning of the file, a few hundred bytes are enough. Returns words that go on after "it looks
// like": "a gzip archive", "text", "nothing known".
std::string LooksLike(absl::string_view first_bytes);

}  // namespace socktale

#endif  // SOCKTALE_PROTO_FOREIGN_FILE_H_
