// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace socktale {
namespace {

constexpr size_t kBufferBytes = 64 << 10;

bool NonEmpty(const char* variable) {
  const char* value = getenv(variable);
  return value != nullptr && *value != '\0';
}

// Is the character set of the user's locale UTF-8? Asked of a locale of our own: the process's stays "C".
bool LocaleIsUtf8() {
  locale_t locale = newlocale(LC_CTYPE_MASK, "", static_cast<locale_t>(nullptr));
  if (locale == static_cast<locale_t>(nullptr)) return false;
  const bool utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
  freelocale(locale);
  return utf8;
}

size_t FromEnvironment(const char* variable) {
  uint32_t value = 0;
  const char* text = getenv(variable);
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : 0;
}

// Wide on terminals: East Asian wide forms and pictographs.
bool IsWide(uint32_t c) {
  return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
         (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1f64f) || (c >= 0x1f900 && c <= 0x1f9ff) ||
         (c >= 0x20000 && c <= 0x3fffd);
}

// Joins the character before it.
bool IsCombining(uint32_t c) {
  return (c >= 0x300 && c <= 0x36f) || (c >= 0x200b && c <= 0x200f) || (c >= 0xfe00 && c <= 0xfe0f) ||
         (c >= 0x20d0 && c <= 0x20ff);
}

// The next character at `position`, which moves behind it: its width, 0 for a colour sequence. A byte that is no UTF-8
// counts as one column.
size_t NextWidth(std::string_view text, size_t& position) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(position);
  if (lead == 0x1b && position + 1 < text.size() && text[position + 1] == '[') {
    position = std::min(text.find('m', position), text.size() - 1) + 1;
    return 0;
  }
  const size_t length = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (length == 1 || position + length > text.size()) {
    ++position;
    return 1;
  }
  uint32_t c = lead & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) c = c << 6 | (byte(position + i) & 0x3fu);
  position += length;
  return IsCombining(c) ? 0 : IsWide(c) ? 2 : 1;
}

// Every sign of ours that is not ASCII, and what stands for it.
constexpr struct {
  std::string_view sign;
  char ascii;
} kSigns[] = {{"→", '>'}, {"←", '<'}, {"⇄", '='}, {"─", '-'}, {"│", '|'}, {"┊", ':'}, {"░", '#'}, {"✗", 'x'},
              {"⚠", '!'}, {"·", '-'}, {"…", '~'}, {"µ", 'u'}, {"×", 'x'}, {"–", '-'}, {"▸", '>'}};

// The palette's nearest colours: vermillion, blue, magenta, grey.
const char* ColorOf(Style style) {
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kFromClient:
      return "\x1b[38;5;166m";
    case Style::kFromServer:
      return "\x1b[38;5;32m";
    case Style::kError:
      return "\x1b[1;38;5;175m";
    case Style::kWarning:
      return "\x1b[38;5;178m";
    case Style::kRemark:
      return "\x1b[38;5;245m";
    case Style::kTitle:
      return "\x1b[1m";
  }
  return "";
}

}  // namespace

Look LookOf(int fd, const CommonOptions& common) {
  Look look;
  look.terminal = isatty(fd) == 1;
  look.unicode = !common.ascii && LocaleIsUtf8();
  // Text in a file or pipe is UTF-8 whatever the locale of this moment (cron, CI: "C"), unless --ascii.
  if (!look.terminal && !common.ascii) look.unicode = true;
  if (look.terminal) {
    winsize size{};
    const bool known = ioctl(fd, TIOCGWINSZ, &size) == 0;
    look.width = known && size.ws_col > 0 ? size.ws_col : 80;
    look.height = known && size.ws_row > 0 ? size.ws_row : 24;
    if (const size_t columns = FromEnvironment("COLUMNS"); columns > 0) look.width = columns;
  }
  const char* term = getenv("TERM");
  const bool dumb = term != nullptr && strcmp(term, "dumb") == 0;
  switch (common.color) {
    case ColorMode::kAlways:
      look.color = true;
      break;
    case ColorMode::kNever:
      look.color = false;
      break;
    case ColorMode::kAuto:
      look.color = NonEmpty("FORCE_COLOR") || (look.terminal && !NonEmpty("NO_COLOR") && !dumb);
      break;
  }
  return look;
}

absl::StatusOr<std::unique_ptr<Output>> Output::Open(const CommonOptions& common, bool paging, bool growing) {
  // A reader that goes away must not kill us: the pager may still need the terminal put right.
  signal(SIGPIPE, SIG_IGN);
  if (common.output.empty() || common.output == "-") {
    const Look look = LookOf(STDOUT_FILENO, common);
    auto output = std::unique_ptr<Output>(new Output(look, STDOUT_FILENO, "standard output"));
    output->page_ = paging && !growing && look.terminal && isatty(STDIN_FILENO) == 1;
    return output;
  }
  absl::StatusOr<OutputFile> file = OutputFile::Open(common.output, growing);
  if (!file.ok()) return file.status();
  auto output = std::unique_ptr<Output>(new Output(LookOf(file->descriptor(), common), -1, common.output));
  output->file_.emplace(*std::move(file));
  return output;
}

Output::~Output() {
  if (file_.has_value()) return;  // not closed: not complete, so it is not kept
  Finish();
}

void Output::Write(std::string_view text) {
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  WriteBytes(look_.unicode || ascii ? text : ToAscii(text));
}

void Output::WriteBytes(std::string_view bytes) {
  if (text_ != nullptr) {
    text_->append(bytes);
    return;
  }
  if (done()) return;
  buffer_.append(bytes);
  if (page_) {
    // Nothing is shown before it is clear whether it fits the screen.
    lines_ += static_cast<size_t>(std::count(bytes.begin(), bytes.end(), '\n'));
    if (lines_ < look_.height) return;
    page_ = false;
    StartPager();
  }
  if (buffer_.size() >= kBufferBytes) Flush();
}

void Output::Line(std::string_view text) {
  Write(text.substr(0, text.find_last_not_of(' ') + 1));
  Write("\n");
}

void Output::Flush() {
  if (text_ != nullptr || buffer_.empty()) return;
  WriteOut(buffer_);
  buffer_.clear();
}

void Output::Finish() {
  Flush();
  if (pager_ <= 0) return;
  pager_input_.reset();
  fd_ = STDOUT_FILENO;
  while (waitpid(pager_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pager_ = -1;
}

absl::Status Output::Close(absl::Status printed) {
  if (!file_.has_value()) {
    Finish();
  } else if (printed.ok()) {
    Flush();
    if (status_.ok()) status_ = file_->Keep();
  }
  buffer_.clear();
  file_.reset();
  return printed.ok() ? status_ : printed;
}

std::string Output::Paint(Style style, std::string_view text) const {
  if (!look_.color || style == Style::kPlain || text.empty()) return std::string(text);
  return absl::StrCat(ColorOf(style), absl::string_view(text.data(), text.size()), "\x1b[0m");
}

void Output::StartPager() {
  const char* pager = getenv("PAGER");
  const std::string command = pager == nullptr || *pager == '\0' ? "less -FIRX" : pager;
  if (command == "cat") return;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return;  // then without a pager
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[0], STDIN_FILENO);
    signal(SIGPIPE, SIG_DFL);
    setenv("LESS", "FIRX", 0);
    // Where there is no such pager the text comes out as it is.
    const std::string script = absl::StrCat(command, "; [ $? -ne 127 ] || exec cat");
    execl("/bin/sh", "sh", "-c", script.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  close(ends[0]);
  if (child < 0) {
    close(ends[1]);
    return;
  }
  signal(SIGINT, SIG_IGN);  // Ctrl-C is the pager's
  pager_ = child;
  pager_input_.reset(ends[1]);
  fd_ = ends[1];
}

void Output::WriteOut(std::string_view bytes) {
  if (file_.has_value()) {
    const absl::StatusOr<int> fd = file_->Descriptor();
    if (!fd.ok()) {
      status_ = fd.status();
      return;
    }
    fd_ = *fd;
  }
  while (!bytes.empty() && !done()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EPIPE) {
      gone_ = true;
    } else if (errno != EINTR) {
      const int error = errno;
      status_ = absl::ErrnoToStatus(error, absl::StrCat("cannot write ", name_));
    }
  }
}

std::string ToAscii(std::string_view text) {
  std::string ascii;
  for (size_t position = 0; position < text.size();) {
    const size_t start = position;
    const size_t width = NextWidth(text, position);
    const std::string_view sign = text.substr(start, position - start);
    if (static_cast<unsigned char>(sign.front()) < 0x80) {
      ascii.append(sign);
      continue;
    }
    const auto* known =
        std::find_if(std::begin(kSigns), std::end(kSigns), [&](const auto& s) { return s.sign == sign; });
    ascii.append(width, known == std::end(kSigns) ? '?' : known->ascii);
  }
  return ascii;
}

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  for (size_t position = 0; position < text.size();) width += NextWidth(text, position);
  return width;
}

size_t BytesOfWidth(std::string_view text, size_t width) {
  size_t fits = 0;
  for (size_t position = 0, used = 0; position < text.size(); fits = position) {
    used += NextWidth(text, position);
    if (used > width) break;
  }
  return fits;
}

std::string CutToWidth(std::string_view text, size_t width, std::string_view mark) {
  if (DisplayWidth(text) <= width) return std::string(text);
  const size_t mark_width = DisplayWidth(mark);
  if (mark_width > width) return std::string(width, ' ');
  std::string cut;
  bool marked = false;
  for (size_t position = 0, used = 0; position < text.size();) {
    const size_t start = position;
    const size_t next = NextWidth(text, position);
    if (next == 0) {
      cut.append(text, start, position - start);  // colour sequences stay, or colour would run on
      continue;
    }
    if (marked) continue;
    if (used + next + mark_width > width) {
      cut.append(mark);
      marked = true;
      continue;
    }
    used += next;
    cut.append(text, start, position - start);
  }
  return cut;
}

std::string PadRight(std::string_view text, size_t width) {
  std::string padded(text);
  padded.append(width - std::min(width, DisplayWidth(text)), ' ');
  return padded;
}

std::string PadLeft(std::string_view text, size_t width) {
  std::string padded(width - std::min(width, DisplayWidth(text)), ' ');
  padded.append(text);
  return padded;
}

}  // namespace socktale
