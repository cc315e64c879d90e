// SPDX-License-Identifier: Apache-2.0
//
// Bytes of others as text that is safe to show: names, paths and payload may hold what moves a terminal's cursor.

#ifndef SOCKTALE_VIEWER_NAMES_PRINTABLE_H_
#define SOCKTALE_VIEWER_NAMES_PRINTABLE_H_

#include <string>
#include <string_view>

namespace socktale {

// Text that is safe on a terminal: control characters (C1's too) and bytes that are no UTF-8 become \x1b and the like.
std::string Printable(std::string_view bytes);

// As Printable, between double quotes as in C: '"' and '\' are escaped too.
std::string Quoted(std::string_view bytes);

// True for valid UTF-8 without control characters other than tab, CR, LF (and ESC is not among them).
// partial_end: an incomplete character at the end does not count against it.
bool IsPrintableText(std::string_view bytes, bool partial_end = true);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_NAMES_PRINTABLE_H_
