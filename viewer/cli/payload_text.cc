// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/payload_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "viewer/cli/format.h"
#include "viewer/cli/json.h"
#include "viewer/cli/output.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

constexpr size_t kTabWidth = 4;

// One line without its end: printable, tabs as spaces.
std::string TextLine(std::string_view line, size_t max_line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::string text;
  size_t width = 0;  // of text, in columns
  for (size_t start = 0; start <= line.size();) {
    const size_t tab = std::min(line.find('\t', start), line.size());
    const std::string word = Printable(line.substr(start, tab - start));
    text += word;
    width += DisplayWidth(word);
    if (max_line > 0 && width > max_line) break;  // the rest will not be seen
    if (tab < line.size()) {
      const size_t gap = kTabWidth - width % kTabWidth;
      text.append(gap, ' ');
      width += gap;
    }
    start = tab + 1;
  }
  return max_line == 0 ? text : CutToWidth(text, max_line, "…");
}

// How many bytes from the start are text: all, or whole lines of it.
size_t TextPrefix(std::string_view payload) {
  if (IsPrintableText(payload)) return payload.size();
  size_t prefix = 0;
  for (size_t end = payload.find('\n'); end != std::string_view::npos; end = payload.find('\n', prefix)) {
    if (!IsPrintableText(payload.substr(prefix, end + 1 - prefix), false)) break;
    prefix = end + 1;
  }
  // A line or two of "text" at the head of binary data is chance; a protocol's header ends with an empty line.
  const std::string_view head = payload.substr(0, prefix);
  return head.ends_with("\n\n") || head.ends_with("\r\n\r\n") || prefix >= 64 ? prefix : 0;
}

std::string HexLine(std::string_view bytes, uint64_t offset, size_t per_line) {
  std::string line = absl::StrFormat("%04x ", offset);
  for (size_t i = 0; i < per_line; ++i) {
    if (i % 8 == 0) line += ' ';
    line += i < bytes.size() ? absl::StrFormat("%02x ", static_cast<unsigned char>(bytes[i])) : "   ";
  }
  line += ' ';
  for (const char c : bytes) line += c >= ' ' && c < 0x7f ? c : '.';
  return line;
}

// Adds lines up to `max` of them (0: all), and remembers what did not fit.
class Collector {
 public:
  // unseen: bytes that follow those that are added.
  Collector(size_t max, uint64_t unseen) : max_(max), unseen_(unseen) {}

  // goes_on: more text follows, in the next part of the payload.
  void AddText(std::string_view text, size_t max_line, bool goes_on = false) {
    // Empty lines at the end say nothing.
    const size_t last = text.find_last_not_of("\r\n");
    if (!goes_on) text = last == std::string_view::npos ? text.substr(0, 0) : text.substr(0, last + 1);
    for (size_t start = 0; start < text.size();) {
      const size_t end = std::min(text.find('\n', start), text.size());
      if (Full()) {
        lines_left_ +=
            1 + static_cast<size_t>(std::count(text.begin() + static_cast<ptrdiff_t>(start), text.end(), '\n'));
        text_left_ += text.size() - start;
        return;
      }
      result_.lines.push_back(TextLine(text.substr(start, end - start), max_line));
      start = end + 1;
    }
  }

  void AddHex(std::string_view bytes, uint64_t offset, size_t width) {
    const size_t per_line = width >= 76 ? 16 : 8;
    for (size_t start = 0; start < bytes.size(); start += per_line) {
      if (Full()) {
        bytes_left_ += bytes.size() - start;
        return;
      }
      result_.lines.push_back(HexLine(bytes.substr(start, per_line), offset + start, per_line));
    }
  }

  PayloadLines Take() {
    if (unseen_ > 0) {
      result_.rest = "+" + FormatSize(unseen_ + text_left_ + bytes_left_);
      return std::move(result_);
    }
    if (lines_left_ > 0) result_.rest = "+" + CountOf(lines_left_, "line");
    if (bytes_left_ > 0) absl::StrAppend(&result_.rest, result_.rest.empty() ? "+" : ", +", FormatSize(bytes_left_));
    return std::move(result_);
  }

 private:
  bool Full() const { return max_ > 0 && result_.lines.size() >= max_; }

  size_t max_;
  uint64_t unseen_;
  size_t lines_left_ = 0;
  uint64_t text_left_ = 0;  // bytes of those lines
  size_t bytes_left_ = 0;
  PayloadLines result_;
};

// JSON that a peer made to be a burden when laid out is left as it is: each level of nesting indents every line in it.
constexpr size_t kDeepest = 100;
constexpr size_t kWidening = 16;            // laid out it may take so many times its own size,
constexpr size_t kSmallAnyway = 64 * 1024;  // or this, bytes

// Whether `json` nests no deeper and grows no larger than that. Counts what a layout adds, without making it: a new
// line and its indent at each bracket and comma.
bool IsWorthLayingOut(std::string_view json) {
  size_t depth = 0, added = 0;
  bool quoted = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
      continue;
    }
    if (c == '"') quoted = true;
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (depth > kDeepest) return false;
    if (c == '[' || c == '{' || c == ']' || c == '}' || c == ',') added += 1 + 2 * depth;
  }
  return added <= std::max(kSmallAnyway, kWidening * json.size());
}

// The value that `text` is; a discarded one when it is none, or none to be laid out.
Json Parse(std::string_view text) {
  if (!IsWorthLayingOut(text)) return Json(Json::value_t::discarded);
  return Json::parse(text, nullptr, false);
}

// The JSON value that the payload is, or that stands behind a header and an empty line. False: there is none.
bool AddJson(std::string_view payload, size_t max_line, Collector& collector) {
  size_t body = 0;
  Json value = Parse(payload);
  if (value.is_discarded()) {
    const size_t header_end = payload.find("\r\n\r\n");
    if (header_end == std::string_view::npos) return false;
    body = header_end + 4;
    value = Parse(payload.substr(body));
  }
  if (value.is_discarded()) return false;
  collector.AddText(payload.substr(0, body), max_line);
  collector.AddText(value.dump(2, ' ', false, Json::error_handler_t::replace), max_line);
  return true;
}

}  // namespace

PayloadLines PayloadAsLines(std::string_view payload, PayloadForm form, uint64_t offset, size_t max_lines, size_t width,
                            size_t max_line, uint64_t unseen, bool goes_on) {
  Collector collector(max_lines, unseen);
  if (form == PayloadForm::kText) {
    collector.AddText(payload, max_line, goes_on);
  } else if (form == PayloadForm::kHex) {
    collector.AddHex(payload, offset, width);
  } else if (form != PayloadForm::kJson || !AddJson(payload, max_line, collector)) {
    const size_t text = TextPrefix(payload);
    collector.AddText(payload.substr(0, text), max_line, goes_on && text == payload.size());
    collector.AddHex(payload.substr(text), offset + text, width);
  }
  return collector.Take();
}

std::vector<std::string> Wrapped(std::string_view text, size_t width) {
  std::vector<std::string> pieces;
  while (true) {
    const size_t bytes = BytesOfWidth(text, width);
    if (bytes == 0 || bytes == text.size()) break;
    pieces.emplace_back(text.substr(0, bytes));
    text.remove_prefix(bytes);
  }
  pieces.emplace_back(text);
  return pieces;
}

}  // namespace socktale
