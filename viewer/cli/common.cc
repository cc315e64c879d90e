// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/common.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace socktale {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr Unit kTimeUnits[] = {{"ns", 1},  {"us", 1e3}, {"µs", 1e3},   {"ms", 1e6},
                               {"s", 1e9}, {"m", 60e9}, {"min", 60e9}, {"h", 3600e9}};
constexpr Unit kSizeUnits[] = {{"", 1}, {"b", 1}, {"k", 1024.0}, {"m", 1024.0 * 1024}, {"g", 1024.0 * 1024 * 1024}};

// Splits "12.5ms" into number and unit, and multiplies. False: no number, no such unit, negative or too large.
template <size_t N>
bool ParseWithUnit(std::string_view text, const Unit (&units)[N], std::string_view unit_if_none, uint64_t& value) {
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  double number = 0;
  if (digits == 0 || !absl::SimpleAtod(absl::string_view(text.data(), digits), &number)) return false;
  std::string_view name = text.substr(digits);
  if (name.empty()) name = unit_if_none;
  for (const Unit& unit : units) {
    if (name != unit.name) continue;
    const double product = number * unit.factor + 0.5;
    if (product >= 0x1p63) return false;
    value = static_cast<uint64_t>(product);
    return true;
  }
  return false;
}

}  // namespace

int Trouble(const absl::Status& status) {
  return Trouble(std::string_view(status.message().data(), status.message().size()));
}

int Trouble(std::string_view message) {
  std::fprintf(stderr, "socktale: %.*s\n", static_cast<int>(message.size()), message.data());
  return kExitTrouble;
}

void Remark(const CommonOptions& common, std::string_view message) {
  if (!common.quiet) Trouble(message);
}

absl::StatusOr<uint64_t> ParseTime(std::string_view text) {
  const std::string_view number = !text.empty() && text.front() == '+' ? text.substr(1) : text;
  uint64_t ns = 0;
  if (ParseWithUnit(number, kTimeUnits, "s", ns)) return ns;
  return absl::InvalidArgumentError(
      absl::StrCat("'", Absl(text), "' is no time: seconds since the trace began (12.5), or with a unit (250ms)"));
}

absl::StatusOr<uint64_t> ParseDuration(std::string_view text) {
  uint64_t ns = 0;
  if (ParseWithUnit(text, kTimeUnits, "none", ns)) return ns;
  return absl::InvalidArgumentError(
      absl::StrCat("'", Absl(text), "' is no length of time: a number and a unit (10ms, 83us, 4.1s, 2m)"));
}

absl::StatusOr<uint64_t> ParseCount(std::string_view text) {
  uint64_t count = 0;
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  if (digits && absl::SimpleAtoi(Absl(text), &count)) return count;
  return absl::InvalidArgumentError(absl::StrCat("'", Absl(text), "' is no number: a number from 0 on is needed"));
}

absl::StatusOr<uint64_t> ParseSize(std::string_view text) {
  uint64_t bytes = 0;
  if (ParseWithUnit(absl::AsciiStrToLower(Absl(text)), kSizeUnits, "", bytes)) return bytes;
  return absl::InvalidArgumentError(
      absl::StrCat("'", Absl(text), "' is no size: a number of bytes (83, 4k, 1.5M, 2G)"));
}

std::string NearestWord(std::string_view word, const std::vector<std::string>& candidates) {
  // Up to a third of the letters may differ, but at least one.
  size_t best = std::max<size_t>(1, word.size() / 3) + 1;
  std::string nearest;
  for (const std::string& candidate : candidates) {
    // Levenshtein's distance with neighbours swapped counting once, three rows at a time.
    std::vector<size_t> before(candidate.size() + 1), last(candidate.size() + 1), row(candidate.size() + 1);
    std::iota(last.begin(), last.end(), size_t{0});
    for (size_t i = 1; i <= word.size(); ++i) {
      row[0] = i;
      for (size_t j = 1; j <= candidate.size(); ++j) {
        row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (word[i - 1] != candidate[j - 1])});
        if (i > 1 && j > 1 && word[i - 1] == candidate[j - 2] && word[i - 2] == candidate[j - 1]) {
          row[j] = std::min(row[j], before[j - 2] + 1);
        }
      }
      std::swap(before, last);
      std::swap(last, row);
    }
    if (last.back() < best) {
      best = last.back();
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace socktale
