// SPDX-License-Identifier: Apache-2.0
//
// A family of constants: a table of numbers and the names that C gives them, looked up both ways.

#ifndef SOCKTALE_VIEWER_NAMES_CONSTANTS_H_
#define SOCKTALE_VIEWER_NAMES_CONSTANTS_H_

#include <cstdint>
#include <string>

#include "absl/types/span.h"

namespace socktale {

struct Constant {
  uint32_t value;
  const char* name;
};

// A table's row: CONSTANT(AF_INET) is {AF_INET, "AF_INET"}.
#define CONSTANT(name) \
  { static_cast<uint32_t>(name), #name }

using Constants = absl::Span<const Constant>;

// The name of `value`, the first of several; null where the table has none.
const char* FindName(Constants table, uint32_t value);

// The name, or the number in decimal.
std::string NameOrNumber(Constants table, uint32_t value);

// The names of all bits, "MSG_PEEK|MSG_DONTWAIT"; bits without a name as one hexadecimal rest, "MSG_PEEK|0x80"; "0" for
// none. Members of several bits stand before their parts in the table (O_SYNC before O_DSYNC).
std::string BitNames(Constants table, uint32_t value);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_NAMES_CONSTANTS_H_
