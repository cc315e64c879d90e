// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/format.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace socktale {
namespace {

absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

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

// How many bytes the UTF-8 character at `position` takes; 0 when there is none. cut: set when the text ends inside it.
size_t Utf8Length(std::string_view text, size_t position, bool& cut) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(position);
  cut = false;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  for (size_t i = 1; i < length; ++i) {
    if (position + i >= text.size()) {
      cut = true;
      return 0;
    }
    // The second byte's range excludes overlong forms, surrogates and what is above U+10FFFF.
    const unsigned char low = i > 1 ? 0x80 : lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = i > 1 ? 0xbf : lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (byte(position + i) < low || byte(position + i) > high) return 0;
  }
  return length;
}

bool IsC1Control(std::string_view text, size_t position) {
  return text[position] == '\xc2' && static_cast<unsigned char>(text[position + 1]) < 0xa0;
}

void AppendEscaped(std::string& out, char c) {
  switch (c) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(c));
  }
}

// Escapes what is not to be shown as it is. quoted: also '"' and '\'.
std::string Escape(std::string_view bytes, bool quoted) {
  std::string out;
  for (size_t i = 0; i < bytes.size();) {
    bool cut = false;
    const size_t length = Utf8Length(bytes, i, cut);
    const char c = bytes[i];
    if (length == 1 && c >= ' ' && c != 0x7f) {
      if (quoted && (c == '"' || c == '\\')) out += '\\';
      out += c;
    } else if (length > 1 && !IsC1Control(bytes, i)) {
      out.append(bytes, i, length);
    } else {
      AppendEscaped(out, c);
      ++i;
      continue;
    }
    i += length;
  }
  return out;
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

std::string QuotePayload(std::string_view payload, size_t max_bytes, uint64_t total, bool unicode) {
  const std::string_view shown = payload.substr(0, max_bytes);
  std::string text = absl::StrCat("\"", Escape(shown, true), "\"");
  if (shown.size() < std::max<uint64_t>(payload.size(), total)) text += unicode ? "…" : "...";
  return text;
}

bool IsPrintableText(std::string_view bytes, bool partial_end) {
  for (size_t i = 0; i < bytes.size();) {
    bool cut = false;
    const size_t length = Utf8Length(bytes, i, cut);
    if (length == 0) return cut && partial_end;
    const char c = bytes[i];
    if (length == 1 && ((c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f)) return false;
    if (length > 1 && IsC1Control(bytes, i)) return false;
    i += length;
  }
  return true;
}

std::string Printable(std::string_view bytes) { return Escape(bytes, false); }

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
  return Printable(quoted + "'");
}

}  // namespace socktale
