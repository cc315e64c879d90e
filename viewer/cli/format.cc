// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/format.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

// "4.1", "4", "12": one decimal below ten (below `decimals_below`), none where it would be a zero.
std::string Short(double value, double decimals_below = 10) {
  if (value >= decimals_below - 0.05) return absl::StrFormat("%.0f", value);
  std::string text = absl::StrFormat("%.1f", value);
  return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

std::string DurationAboveMilliseconds(double seconds) {
  if (seconds < 119.5) return Short(seconds) + " s";
  if (seconds < 119.5 * 60) return Short(seconds / 60) + " min";
  if (seconds < 48 * 3600) return Short(seconds / 3600) + " h";
  return Short(seconds / 86400) + " days";
}

// ".1234": the digits of a second that are not whole, cut (not rounded) to `decimals`.
std::string Fraction(uint64_t ns, int decimals) {
  if (decimals <= 0) return "";
  return absl::StrFormat(".%09d", ns % 1'000'000'000).substr(0, static_cast<size_t>(decimals) + 1);
}

}  // namespace

std::string FormatDuration(uint64_t ns, bool unicode) {
  const auto value = static_cast<double>(ns);
  if (ns < 1000) return absl::StrCat(ns, " ns");
  if (value < 99.5e3) return Short(value / 1e3) + (unicode ? " µs" : " us");
  if (value < 999.5e6) return Short(value / 1e6) + " ms";
  return DurationAboveMilliseconds(value / 1e9);
}

std::string FormatDurationExactly(uint64_t ns, bool unicode) {
  const auto value = static_cast<double>(ns);
  if (value < 99.5e3 || value >= 999.95e6) return FormatDuration(ns, unicode);
  return Short(value / 1e6, 1000) + " ms";
}

std::string FormatBytes(uint64_t bytes, bool exact) {
  if (exact || bytes < 1024) return absl::StrCat(bytes);
  auto value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* next : {"K", "M", "G", "T", "P", "E"}) {
    if (value < 999.5) break;
    value /= 1024;
    unit = next;
  }
  return absl::StrFormat(value < 9.95 ? "%.1f%s" : "%.0f%s", value, unit);
}

std::string FormatSize(uint64_t bytes, bool exact) {
  if (exact || bytes < 1024) return absl::StrCat(bytes, " B");
  auto value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}) {
    if (value < 999.5) break;
    value /= 1024;
    unit = next;
  }
  return absl::StrCat(Short(value), " ", unit);
}

std::string FormatCount(uint64_t count) {
  std::string text = absl::StrCat(count);
  for (size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, 1, ' ');
  return text;
}

std::string CountOf(uint64_t count, std::string_view singular, std::string_view plural) {
  if (count == 1) return absl::StrCat("1 ", Absl(singular));
  if (plural.empty()) return absl::StrCat(FormatCount(count), " ", Absl(singular), "s");
  return absl::StrCat(FormatCount(count), " ", Absl(plural));
}

std::string TimeFormat::Format(uint64_t at_ns) {
  const auto seconds = [this](uint64_t ns) {
    return absl::StrFormat("+%.*f", decimals_, static_cast<double>(ns) / 1e9);
  };
  switch (form_) {
    case TimeForm::kSinceStart:
      return seconds(at_ns);
    case TimeForm::kDelta: {
      const uint64_t delta = first_ || at_ns < last_ns_ ? 0 : at_ns - last_ns_;
      first_ = false;
      last_ns_ = at_ns;
      return seconds(delta);
    }
    case TimeForm::kWall: {
      const uint64_t wall = start_wall_ns_ + at_ns;
      const auto second = static_cast<time_t>(wall / 1'000'000'000);
      tm local{};
      localtime_r(&second, &local);
      char text[16];
      const size_t length = strftime(text, sizeof(text), "%H:%M:%S", &local);
      return absl::StrCat(absl::string_view(text, length), Fraction(wall, decimals_));
    }
    case TimeForm::kUtc:
      return FormatUtc(start_wall_ns_ + at_ns, decimals_);
    case TimeForm::kNs:
      return absl::StrCat(at_ns);
  }
  return "";
}

std::string FormatUtc(uint64_t wall_ns, int decimals) {
  const auto second = static_cast<time_t>(wall_ns / 1'000'000'000);
  tm utc{};
  gmtime_r(&second, &utc);
  char text[64];
  const size_t length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
  return absl::StrCat(absl::string_view(text, length), Fraction(wall_ns, decimals), "Z");
}

std::string FormatLocal(uint64_t wall_ns, bool seconds) {
  const auto second = static_cast<time_t>(wall_ns / 1'000'000'000);
  tm local{};
  if (localtime_r(&second, &local) == nullptr) return "?";
  char text[64];
  return std::string(text, strftime(text, sizeof text, seconds ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M", &local));
}

std::string QuotePayload(std::string_view payload, size_t max_bytes, uint64_t total, bool unicode) {
  const std::string_view shown = payload.substr(0, max_bytes);
  std::string text = Quoted(shown);
  if (shown.size() < std::max<uint64_t>(payload.size(), total)) text += unicode ? "…" : "...";
  return text;
}

std::string ProtocolName(const Connection& connection) {
  const uint32_t type = connection.type() & 0xf;  // SOCK_TYPE_MASK
  const bool stream = type == SOCK_STREAM;
  switch (connection.domain()) {
    case AF_INET:
    case AF_INET6:
      if (type == SOCK_RAW) return "raw";
      if (connection.protocol() == IPPROTO_SCTP) return "sctp";
      return stream ? "tcp" : type == SOCK_DGRAM ? "udp" : absl::StrCat("ip ", connection.protocol());
    case AF_UNIX:
      return stream ? "unix" : type == SOCK_DGRAM ? "unix dgram" : "unix seqpacket";
    case AF_NETLINK:
      return "netlink";
    case AF_VSOCK:
      return "vsock";
    case AF_PACKET:
      return "packet";
    default:
      return absl::StrCat("family ", connection.domain());
  }
}

std::string ShellQuote(std::string_view word) {
  const std::string printable = Printable(word);
  if (printable == word) return ShellQuoteBytes(word);
  // Escapes are bash's, zsh's and ksh's $'…'; what was '\' or a quote before needs one of its own.
  std::string quoted = "$'";
  for (size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '\\' || word[i] == '\'') {
      absl::StrAppend(&quoted, "\\", std::string(1, word[i]));
      continue;
    }
    const size_t end = std::min(word.find_first_of("\\'", i), word.size());
    quoted += Printable(word.substr(i, end - i));
    i = end - 1;
  }
  return quoted + "'";
}

std::string ShellQuoteBytes(std::string_view word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) return std::string(word);
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string CommandLine(const google::protobuf::RepeatedPtrField<std::string>& words) {
  return absl::StrJoin(words, " ", [](std::string* out, const std::string& word) { out->append(ShellQuote(word)); });
}

std::string TraceArgument(const CommonOptions& common) {
  return common.trace.empty() || common.trace == "@" ? "" : absl::StrCat(" -t ", ShellQuote(common.trace));
}

}  // namespace socktale
