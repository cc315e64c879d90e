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

// Local time: "2026-03-01 10:00:00", or without the seconds. wall_ns: ns since 1970.
std::string FormatLocal(uint64_t wall_ns, bool seconds);

// Payload as a C string, at most max_bytes of it: "GET /hello HTTP/1.1\r\nHost: localho"… (the mark is left out when
// it is whole). total: bytes that there were, if more than payload holds.
std::string QuotePayload(std::string_view payload, size_t max_bytes, uint64_t total = 0, bool unicode = true);

// "tcp", "udp", "unix", "unix dgram", "netlink" …
std::string ProtocolName(const Connection& connection);

// A word of a command line as people read it and can paste it: with quotes where a shell needs them, $'\x1b' where it
// holds what is not safe on a terminal.
std::string ShellQuote(std::string_view word);

// A command line of such words.
std::string CommandLine(const google::protobuf::RepeatedPtrField<std::string>& words);

// The same for a shell to read, any of them: between single quotes, every byte as it is.
std::string ShellQuoteBytes(std::string_view word);

// What a command that is proposed needs to look at the same trace: " -t x.tale", quoted for a shell; empty for the
// latest.
std::string TraceArgument(const CommonOptions& common);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_FORMAT_H_
