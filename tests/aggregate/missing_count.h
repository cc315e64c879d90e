// SPDX-License-Identifier: Apache-2.0

#ifndef SOCKTALE_TESTS_AGGREGATE_MISSING_COUNT_H_
#define SOCKTALE_TESTS_AGGREGATE_MISSING_COUNT_H_

#include <cstdint>
#include <string>

#include "proto/trace.pb.h"

namespace socktale::testing {

// How much of `kind` the completeness statement says is missing.
inline uint64_t MissingCount(const Tables& tables, const std::string& kind) {
  uint64_t count = 0;
  for (const Missing& missing : tables.missing()) count += missing.kind() == kind ? missing.count() : 0;
  return count;
}

}  // namespace socktale::testing

#endif  // SOCKTALE_TESTS_AGGREGATE_MISSING_COUNT_H_
