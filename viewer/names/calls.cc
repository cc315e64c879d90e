// SPDX-License-Identifier: Apache-2.0
#include "viewer/names/calls.h"

#include <csignal>
#include <cstring>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace socktale {

std::string CallName(Call call) {
  if (call == CALL_EXIT) return "_exit";
  const std::string& symbol = Call_Name(call);
  if (symbol.empty()) return absl::StrCat("call ", static_cast<int>(call));
  std::string name = absl::AsciiStrToLower(absl::StripPrefix(symbol, "CALL_"));
  if (call >= CALL_ATTACHED) name = absl::StrReplaceAll(name, {{"_", " "}});
  return name;
}

std::string KindName(DescriptorKind kind) {
  if (kind == DESCRIPTOR_KIND_CHARACTER_DEVICE) return "char device";
  const std::string& symbol = DescriptorKind_Name(kind);
  if (symbol.empty()) return "unknown";
  return absl::StrReplaceAll(absl::AsciiStrToLower(absl::StripPrefix(symbol, "DESCRIPTOR_KIND_")), {{"_", " "}});
}

// The C library has these two tables itself: strerrorname_np and sigabbrev_np, glibc 2.32.
std::string ErrnoName(uint32_t error) {
  const char* name = strerrorname_np(static_cast<int>(error));
  return name != nullptr ? std::string(name) : absl::StrCat("errno ", error);
}

std::string SignalName(uint32_t signal) {
  const int number = static_cast<int>(signal);
  if (const char* name = sigabbrev_np(number); name != nullptr) return absl::StrCat("SIG", name);
  if (number >= SIGRTMIN && number <= SIGRTMAX) return absl::StrCat("SIGRTMIN+", number - SIGRTMIN);
  return absl::StrCat("signal ", signal);
}

std::string DropCauseName(uint32_t cause) {
  constexpr const char* kNames[] = {"full", "nested", "too big", "unattached", "no slot", "shared", "confined"};
  return cause < std::size(kNames) ? kNames[cause] : absl::StrCat("cause ", cause);
}

}  // namespace socktale
