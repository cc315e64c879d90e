// SPDX-License-Identifier: Apache-2.0
#include "viewer/names/constants.h"

#include "absl/strings/str_cat.h"

namespace socktale {

const char* FindName(Constants table, uint32_t value) {
  for (const Constant& constant : table) {
    if (constant.value == value) return constant.name;
  }
  return nullptr;
}

std::string NameOrNumber(Constants table, uint32_t value) {
  const char* name = FindName(table, value);
  return name != nullptr ? std::string(name) : absl::StrCat(value);
}

std::string BitNames(Constants table, uint32_t value) {
  std::string names;
  for (const Constant& constant : table) {
    if (constant.value == 0 || (value & constant.value) != constant.value) continue;
    absl::StrAppend(&names, names.empty() ? "" : "|", constant.name);
    value &= ~constant.value;
  }
  if (value != 0) absl::StrAppend(&names, names.empty() ? "" : "|", "0x", absl::Hex(value));
  return names.empty() ? "0" : names;
}

}  // namespace socktale
