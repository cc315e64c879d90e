// SPDX-License-Identifier: Apache-2.0
//
// Numbers, times and payload as people read them. (Addresses: viewer/names/address.h.)

#ifndef SOCKTALE_VIEWER_CLI_FORMAT_H_
#define SOCKTALE_VIEWER_CLI_FORMAT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/trace.pb.h"
#include "viewer/cli/common.h"

namespace socktale {

// "83 µs", "0.3 ms", "249 ms", "4.1 s", "12 s", "2.5 min", "3.1 h". ascii: "83 us".
std::string FormatDuration(uint64_t ns, bool unicode = true);

// One digit more than FormatDuration below a second: "248.9 ms", "0.3 ms", "2 ms"; then the same.
std::string FormatDurationExactly(uint64_t ns, bool unicode = true);

// "83", "4.1K", "1.2M"; with exact: "4198". Powers of 1024.
std::string FormatBytes(uint64_t bytes, bool exact = false);

// "83 B", "4.1 KiB", "9 KiB", "18 MiB"; with exact: "4198 B".
std::string FormatSize(uint64_t bytes, bool exact = false);

// "81 904": groups of three digits, parted by a space.
std::string FormatCount(uint64_t count);

// "1 connection", "14 events", "2 processes". plural: where it is not singular + "s".
std::string CountOf(uint64_t count, std::string_view singular, std::string_view plural = "");

// Writes points in time in one of the forms of --time.
class TimeFormat {
 public:
  // start_wall_ns: TraceHeader.start_wall_ns. decimals: of a second, for the forms that count in seconds.
  TimeFormat(TimeForm form, uint64_t start_wall_ns, int decimals)
      : form_(form), start_wall_ns_(start_wall_ns), decimals_(decimals) {}

  // at_ns: ns since the trace began. With kDelta: since the last call of Format (0.0000 first).
  std::string Format(uint64_t at_ns);

 private:
  TimeForm form_;
  uint64_t start_wall_ns_;
  int decimals_;
  bool first_ = true;
  uint64_t last_ns_ = 0;
};

// RFC 3339 in UTC with `decimals` (0 to 9) of a second: "2026-03-01T10:00:00.123456789Z". wall_ns: ns since 1970.
std::string FormatUtc(uint64_t wall_ns, int decimals = 9);

// Payload as a C string, at most max_bytes of it: "GET /hello HTTP/1.1\r\nHost: localho"… (the mark is left out when
// it is whole). total: bytes that there were, if more than payload holds.
std::string QuotePayload(std::string_view payload, size_t max_bytes, uint64_t total = 0, bool unicode = true);

// True for valid UTF-8 without control characters other than tab, CR, LF (and ESC is not among them).
// partial_end: an incomplete character at the end does not count against it.
bool IsPrintableText(std::string_view bytes, bool partial_end = true);

// Text that is safe on a terminal: control characters and bytes that are no UTF-8 become \x1b and the like.
std::string Printable(std::string_view bytes);

// "tcp", "udp", "unix", "unix dgram", "netlink" …
std::string ProtocolName(const Connection& connection);

// The header's "socktale run ..." words: a command line with quotes where a shell would need them.
std::string ShellQuote(std::string_view word);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_FORMAT_H_
