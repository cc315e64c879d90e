// SPDX-License-Identifier: Apache-2.0
//
// Rows of the completeness statement that events do not tell, put beside those that they do: neither lost, when a file
// without an end is read or recovered, nor said twice.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_MISSING_ROWS_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_MISSING_ROWS_H_

#include <cstdint>
#include <string>
#include <tuple>

#include "absl/container/flat_hash_set.h"
#include "proto/trace.pb.h"

namespace socktale {

// Adds rows to tables, which outlive it and to which nobody else adds rows meanwhile.
class MissingRows {
 public:
  explicit MissingRows(Tables& tables);

  // Unless there is a row of this kind, process and detail: of io_uring both events and the recorder may tell.
  void Add(const Missing& row);

  // The rows of a recorder's last interim tables that only a recorder knows. Both numbered the processes in the order
  // they met them in: one is found again by its images.
  void AddFromInterim(const Tables& interim);

 private:
  using Key = std::tuple<std::string, uint32_t, std::string>;

  Tables& tables_;
  absl::flat_hash_set<Key> rows_;
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_MISSING_ROWS_H_
