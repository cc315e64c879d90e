// SPDX-License-Identifier: Apache-2.0
#include "viewer/names/printable.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace socktale {
namespace {

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

std::string Printable(std::string_view bytes) { return Escape(bytes, false); }

std::string Quoted(std::string_view bytes) { return absl::StrCat("\"", Escape(bytes, true), "\""); }

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

}  // namespace socktale
