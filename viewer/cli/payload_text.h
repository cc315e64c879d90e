// SPDX-License-Identifier: Apache-2.0
//
// Payload as lines of text: words where it is text, a hex dump where it is not.

#ifndef SOCKTALE_VIEWER_CLI_PAYLOAD_TEXT_H_
#define SOCKTALE_VIEWER_CLI_PAYLOAD_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace socktale {

enum class PayloadForm {
  kAuto,  // text as far as it is text, then hex
  kText,  // text, with \x1b and the like for what cannot be shown
  kHex,
  kJson,  // a JSON value (alone, or behind a header and an empty line) on several lines; else, and where it nests so
          // deeply that this would take many times its size, as kAuto
};

struct PayloadLines {
  std::vector<std::string> lines;  // safe to print, without ends of line
  std::string rest;                // what was left out: "+2 lines", "+1.2 MiB"; empty for nothing
};

// payload: the bytes kept. offset: of its first byte in the stream, for hex dumps. max_lines: 0 for all. width: columns
// that a hex dump should fit in (it takes 8 or 16 bytes a line). max_line: characters after which a line of text is cut
// and marked; 0: never. unseen: bytes that follow and are not among `payload`; `rest` then counts bytes alone. goes_on:
// those that follow come by another call, so that empty lines at the end of `payload` are lines like others.
PayloadLines PayloadAsLines(std::string_view payload, PayloadForm form, uint64_t offset, size_t max_lines, size_t width,
                            size_t max_line, uint64_t unseen = 0, bool goes_on = false);

// Text of any length in pieces of at most `width` columns; at least one.
std::vector<std::string> Wrapped(std::string_view text, size_t width);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_PAYLOAD_TEXT_H_
