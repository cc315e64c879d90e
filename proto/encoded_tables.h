// SPDX-License-Identifier: Apache-2.0
//
// Tables as the payloads of blocks: cut to what a block can hold.

#ifndef SOCKTALE_PROTO_ENCODED_TABLES_H_
#define SOCKTALE_PROTO_ENCODED_TABLES_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "proto/trace.pb.h"

namespace socktale {

// Encodes tables in pieces of at most most_bytes, cut between rows; each is a message Tables (a protobuf message is the
// sum of its parts, wherever they stand), and says which part it is where there are several. A process whose row alone
// is longer loses arguments and working directories of its programs, first to last, then their paths; a row that is
// longer even so is left out. Both are counted in a Missing `row_cut`. meanwhile, if set: called every few thousand
// rows.
std::vector<std::string> EncodeTables(const Tables& tables, size_t most_bytes,
                                      const std::function<void()>& meanwhile = nullptr);

}  // namespace socktale

#endif  // SOCKTALE_PROTO_ENCODED_TABLES_H_
