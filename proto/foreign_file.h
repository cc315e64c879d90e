// SPDX-License-Identifier: Apache-2.0
//
// Tells traces from other files by their first bytes, and says what those look like, for the error message.

#ifndef SOCKTALE_PROTO_FOREIGN_FILE_H_
#define SOCKTALE_PROTO_FOREIGN_FILE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace socktale {

// first_bytes: the beginning of the file, a few hundred bytes are enough. Returns words that go on after "it looks
// like": "a gzip archive", "text", "nothing known".
std::string LooksLike(absl::string_view first_bytes);

// Whether a trace begins like this, whole or damaged further on: its first block is a header's.
// first_bytes: some hundred bytes are enough.
bool BeginsATrace(absl::string_view first_bytes);

}  // namespace socktale

#endif  // SOCKTALE_PROTO_FOREIGN_FILE_H_
