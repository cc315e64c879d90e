// SPDX-License-Identifier: Apache-2.0
//
// Where results go: standard output, a file, a pager. Knows what the reader's side can show.

#ifndef SOCKTALE_VIEWER_CLI_OUTPUT_H_
#define SOCKTALE_VIEWER_CLI_OUTPUT_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "viewer/cli/common.h"
#include "viewer/cli/output_file.h"

namespace socktale {

// What a piece of text is, for colour. Colour only helps: the text says the same without it.
enum class Style {
  kPlain,
  kFromClient,  // client → server
  kFromServer,  // server → client
  kError,
  kWarning,
  kRemark,  // our own words
  kTitle,   // headings
};

// What the reader's side can show.
struct Look {
  bool terminal = false;
  size_t width = 0;   // columns; 0: no limit (not a terminal)
  size_t height = 0;  // lines; 0: no limit
  bool color = false;
  bool unicode = true;
};

// Decides on the look of standard output (or of a file, which is never a terminal) from options and environment:
// --color, NO_COLOR, FORCE_COLOR, TERM, COLUMNS, --ascii and the locale.
Look LookOf(int fd, const CommonOptions& common);

// A sink of text. Errors are kept and come back from Close(); a reader that went away (EPIPE) is no error.
class Output {
 public:
  // Opens common.output. On a terminal, results longer than the screen go through $PAGER (`less -FIRX` if unset);
  // paging = false turns that off (raw bytes). growing: the output follows something alive, so it is not paged, and a
  // file has each part as soon as it is flushed; otherwise a file is as it was until Close. A file that is a trace is
  // refused.
  static absl::StatusOr<std::unique_ptr<Output>> Open(const CommonOptions& common, bool paging = true,
                                                      bool growing = false);

  // Appends to `text` and looks as told: for tests, and for text that is laid out further.
  Output(std::string* text, Look look) : look_(look), text_(text) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output();

  // Text in UTF-8; where only ASCII can be shown, as ToAscii makes it.
  void Write(std::string_view text);
  void Line(std::string_view text);         // with '\n'; spaces at its end are left out
  void WriteBytes(std::string_view bytes);  // as they are
  void Flush();

  // Writes what is left and waits for the pager. printed: how it went to make the results; if not well, a file stays
  // as it was before. Returns printed, or the first error of writing, with the file's name.
  absl::Status Close(absl::Status printed = absl::OkStatus());

  // Nobody reads any more: stop.
  bool gone() const { return gone_; }
  // Writing makes no sense any more: the reader has gone, or the file took no more.
  bool done() const { return gone_ || !status_.ok(); }

  const Look& look() const { return look_; }

  // The text in its style's colour, or as it is where there is no colour.
  std::string Paint(Style style, std::string_view text) const;

  // One of two forms of a sign, by what can be shown: Sign("→", ">").
  std::string_view Sign(std::string_view unicode, std::string_view ascii) const {
    return look_.unicode ? unicode : ascii;
  }

 private:
  Output(Look look, int fd, std::string name) : look_(look), fd_(fd), name_(std::move(name)) {}

  void StartPager();
  void Finish();
  void WriteOut(std::string_view bytes);

  Look look_;
  std::string* text_ = nullptr;
  int fd_ = -1;
  UniqueFd pager_input_;
  std::optional<OutputFile> file_;
  std::string name_;
  bool page_ = false;  // start a pager when the screen is full
  size_t lines_ = 0;   // written so far, while page_
  pid_t pager_ = -1;
  std::string buffer_;
  bool gone_ = false;
  absl::Status status_;
};

// Our signs as ASCII of the same width, "→" ">", "…" "~", "µ" "u"; every other character as "?" for each of its
// columns.
std::string ToAscii(std::string_view text);

// How many columns of a terminal UTF-8 text takes. Colour sequences take none.
size_t DisplayWidth(std::string_view text);

// How many bytes of `text`, from its start, take at most `width` columns: whole characters, and all that take none.
size_t BytesOfWidth(std::string_view text, size_t width);

// Text of at most `width` columns; what is cut is marked by `mark` ("…", or "~" in ASCII). Colour sequences are kept.
std::string CutToWidth(std::string_view text, size_t width, std::string_view mark);

// Text with spaces behind (or before) it up to `width` columns.
std::string PadRight(std::string_view text, size_t width);
std::string PadLeft(std::string_view text, size_t width);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_OUTPUT_H_
