// SPDX-License-Identifier: Apache-2.0
//
// Early return on errors: RETURN_IF_ERROR(status) and ASSIGN_OR_RETURN(auto x, StatusOr).

#ifndef SOCKTALE_BASE_STATUS_MACROS_H_
#define SOCKTALE_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define SOCKTALE_CONCAT_INNER(a, b) a##b
#define SOCKTALE_CONCAT(a, b) SOCKTALE_CONCAT_INNER(a, b)

// Returns the status from the enclosing function when it is an error.
#define RETURN_IF_ERROR(expr)                                 \
  do {                                                        \
    if (absl::Status status_of_expr = (expr); !status_of_expr.ok()) return status_of_expr; \
  } while (false)

// Evaluates a StatusOr; returns its status when it is an error, else moves its value into lhs (which may declare).
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_INNER(SOCKTALE_CONCAT(status_or_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_INNER(name, lhs, expr) \
  auto name = (expr);                           \
  if (!name.ok()) return std::move(name).status(); \
  lhs = *std::move(name)

#endif  // SOCKTALE_BASE_STATUS_MACROS_H_
