// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/conversation.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "collector/aggregate/socket_type.h"
#include "viewer/cli/call_text.h"
#include "viewer/cli/format.h"
#include "viewer/names/calls.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

constexpr size_t kWidthInPipes = 108;  // nothing is cut there, but columns need a place
constexpr size_t kWidestScreen = 170;  // beyond this, the eye loses the way from left to right
constexpr size_t kRemarkWidth = 30;
constexpr size_t kNarrowest = 26;  // room between the two ends
constexpr size_t kLongLineInPipes = 512;
// Bytes of a transfer that are in memory at a time.
constexpr uint64_t kGlance = 256 << 10;       // to show its first lines and to count the others,
constexpr uint64_t kGlancePerLine = 4 << 10;  // and so many for each line that is wanted
constexpr size_t kMostLines = 1 << 16;
constexpr uint64_t kPart = 1 << 20;            // to show all of it, part by part
constexpr uint64_t kWhole = 16 << 20;          // the same where its form is found by looking at all of it
constexpr uint64_t kWorthTellingNs = 100'000;  // phases shorter than this are told of short lives only

// "0.3", "249": as many decimals as matter.
std::string Number(double value, double decimals_below) {
  std::string text = absl::StrFormat(value < decimals_below - 0.05 ? "%.1f" : "%.0f", value);
  return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

// "252 ms = connect 0.3 · wait 249 (network 0.4, httpd 248.9) · recv 0.4 · idle 2 ms"
std::string PhasesInWords(uint64_t life_ns, const Phases& phases, const std::string& peer) {
  const bool seconds = life_ns >= 999'500'000;
  const bool micros = life_ns < 99'500;
  const double unit_ns = seconds ? 1e9 : micros ? 1e3 : 1e6;
  const char* unit = seconds ? " s" : micros ? " µs" : " ms";
  // What would round to nothing is written in its own unit.
  const auto short_of_unit = [&](uint64_t ns) { return static_cast<double>(ns) < 0.05 * unit_ns; };
  const auto in_unit = [&](uint64_t ns, double decimals_below) {
    return short_of_unit(ns) ? FormatDuration(ns) : Number(static_cast<double>(ns) / unit_ns, decimals_below);
  };
  const std::pair<const char*, uint64_t> all[] = {{"resolve", phases.resolve_ns}, {"connect", phases.connect_ns},
                                                  {"send", phases.send_ns},       {"wait", phases.wait_ns},
                                                  {"recv", phases.recv_ns},       {"idle", phases.idle_ns}};
  std::vector<std::string> words;
  bool last_has_unit = false;
  for (const auto& [name, ns] : all) {
    if (ns == 0 || (short_of_unit(ns) && ns < kWorthTellingNs)) continue;
    words.push_back(absl::StrCat(name, " ", in_unit(ns, 10)));
    last_has_unit = short_of_unit(ns);
    if (std::string_view(name) == "wait" && phases.wait_peer_ns + phases.wait_network_ns > 0 && !peer.empty()) {
      absl::StrAppend(&words.back(), " (network ", in_unit(phases.wait_network_ns, 1000), ", ", peer, " ",
                      in_unit(phases.wait_peer_ns, 1000), ")");
    }
  }
  if (words.empty()) return FormatDuration(life_ns);
  return absl::StrCat(FormatDuration(life_ns), " = ", absl::StrJoin(words, " · "), last_has_unit ? "" : unit);
}

// One end in the first line: "curl[4242] fd 5  localhost:51544", or mirrored.
std::string EndpointInWords(const View& view, bool near) {
  const Endpoint& endpoint = near ? *view.near : *view.far;
  std::string address = AddressOfEnd(view, near);
  const bool server = near != view.near_is_client;
  if (const std::string host = Printable(view.connection->host());
      server && !host.empty() && !address.starts_with(host)) {
    absl::StrAppend(&address, " ", host);
  }
  if (address == "-") address.clear();
  if (!near && !view.both_recorded) return address.empty() ? "?" : address;
  const std::string process = ProcessInWords(near ? view.near_process : view.far_process);
  const std::string fd = absl::StrCat("fd ", endpoint.fd());
  const char* gap = address.empty() ? "" : "  ";
  return near ? absl::StrCat(process, " ", fd, gap, address) : absl::StrCat(address, gap, fd, " ", process);
}

enum class Arrow { kNone, kToRight, kToLeft, kBroken };

// Lays the steps out: a column of times, the near end, the far end, remarks.
class Picture {
 public:
  Picture(Trace& trace, const Timeline& timeline, const View& view, const ConversationOptions& options,
          const CommonOptions& common, Output& output)
      : trace_(trace),
        timeline_(timeline),
        view_(view),
        options_(options),
        common_(common),
        output_(output),
        time_(common.time, trace.header().start_wall_ns(), 4),
        near_name_(view.near_process == nullptr ? "this end" : Printable(view.near_process->name())),
        far_name_(view.far_process == nullptr ? AddressOfEnd(view, false) : Printable(view.far_process->name())) {
    if (far_name_ == "-") far_name_ = "the peer";
    const uint64_t last_ns = timeline.steps.empty() ? 0 : timeline.steps.back().at_ns;
    const size_t time_width = DisplayWidth(TimeFormat(common.time, trace.header().start_wall_ns(), 4).Format(last_ns));
    left_ = 1 + time_width + 3;
    const std::string far_label = FarLabel();
    const size_t far_width = std::clamp<size_t>(DisplayWidth(far_label), 11, 22);
    const Look& look = output.look();
    const size_t screen = look.terminal ? std::min(look.width, kWidestScreen) : kWidthInPipes;
    const size_t taken = left_ + far_width + 2 + kRemarkWidth;
    right_ = left_ + std::max(kNarrowest, screen - std::min(screen, taken));
    remark_ = right_ + far_width + 2;
  }

  absl::Status Print() {
    Line("", ProcessInWords(view_.near_process), FarLabel(), Arrow::kNone, "", Style::kPlain);
    for (const Step& step : timeline_.steps) {
      if (output_.done()) break;
      if (step.at_ns < common_.from_ns || step.at_ns > common_.to_ns) continue;
      const Step* before = std::exchange(before_, &step);
      if (step.kind == StepKind::kTransfer) {
        RETURN_IF_ERROR(PrintTransfer(step));
      } else {
        Print(step, before);
      }
    }
    return absl::OkStatus();
  }

 private:
  std::string FarLabel() const {
    if (view_.both_recorded) return ProcessInWords(view_.far_process);
    const std::string address = AddressOfEnd(view_, false);
    return address == "-" ? "?" : address;
  }

  bool IsNear(bool from_client) const { return from_client == view_.near_is_client; }
  Style StyleOf(bool from_client) const { return from_client ? Style::kFromClient : Style::kFromServer; }
  std::string Size(uint64_t bytes) const { return FormatSize(bytes, common_.exact_bytes); }

  // before: the step told before this one; null: none.
  void Print(const Step& step, const Step* before) {
    switch (step.kind) {
      case StepKind::kConnect:
        return PrintConnect(step);
      case StepKind::kTransfer:  // may fail, see Print()
        return;
      case StepKind::kPause:
        // The time on the way is told with the transfer.
        if (step.pause == PauseCause::kUnknown && step.dropped == 0 && before != nullptr &&
            before->kind == StepKind::kTransfer)
          return;
        return PrintPause(step);
      case StepKind::kShutdown:
        return PrintEnd(step, "shutdown", true);
      case StepKind::kClose:
        return PrintEnd(step, "close", before != nullptr && before->kind == StepKind::kPause);
      case StepKind::kError:
        return PrintError(step);
      case StepKind::kGap:
        return PrintGap(step);
    }
  }

  void PrintConnect(const Step& step) {
    const std::string time = time_.Format(step.at_ns);
    if (step.error != 0) {
      return Line(time, "connect", "", Arrow::kBroken,
                  absl::StrCat(ErrnoName(step.error), "  ", ErrorInWords(CALL_CONNECT, step.error)), Style::kError);
    }
    const bool accepts = IsStreamType(view_.connection->type());
    const char* server = accepts ? "accept" : "";
    const std::string remark = step.duration_ns == 0 ? "" : FormatDurationExactly(step.duration_ns);
    if (view_.pair) return Line(time, "socketpair", "", Arrow::kToRight, remark, Style::kFromClient);
    if (view_.near_is_client) {
      return Line(time, "connect", view_.both_recorded ? server : "", Arrow::kToRight, remark, Style::kFromClient);
    }
    Line(time, server, "", Arrow::kToLeft, remark, Style::kFromClient);
  }

  absl::Status PrintTransfer(const Step& step) {
    const Transfer& transfer = timeline_.transfers[step.transfer];
    if (!(transfer.from_client ? options_.show_client : options_.show_server)) return absl::OkStatus();
    const bool near_sends = IsNear(transfer.from_client);
    const std::string sent = transfer.sender_recorded ? absl::StrCat("send ", Size(transfer.size)) : "";
    const std::string received = transfer.receiver_recorded ? absl::StrCat("recv ", Size(transfer.received_size)) : "";
    // The column of times is the near end's.
    uint64_t at_ns = step.at_ns;
    if (near_sends && transfer.sender_recorded) at_ns = transfer.sent_ns;
    if (!near_sends && transfer.receiver_recorded) at_ns = transfer.received_ns;
    Line(time_.Format(at_ns), near_sends ? sent : received, near_sends ? received : sent,
         near_sends ? Arrow::kToRight : Arrow::kToLeft, TransferRemark(step, transfer), StyleOf(transfer.from_client));
    return PrintPayload(transfer, near_sends);
  }

  std::string TransferRemark(const Step& step, const Transfer& transfer) const {
    std::vector<std::string> words;
    const char* not_received = timeline_.dropped > 0 ? "not seen to be received" : "not received";
    if (transfer.sender_recorded && transfer.receiver_recorded) {
      if (step.duration_ns > 0) words.push_back(FormatDurationExactly(step.duration_ns) + " on the way");
      if (transfer.received_size < transfer.size) {
        words.push_back(absl::StrCat(Size(transfer.size - transfer.received_size), " ", not_received));
      }
    } else if (view_.both_recorded) {
      words.push_back(transfer.sender_recorded ? not_received : "its sending was not recorded");
    }
    if (transfer.sends > 1) words.push_back(CountOf(transfer.sends, "send"));
    if (transfer.read_back) words.push_back("from a file");
    if (transfer.not_seen) words.push_back("moved inside the kernel, not seen");
    return absl::StrJoin(words, ", ");
  }

  // What was kept of it, in parts that fit into memory: as many of its first lines as are wanted, or all.
  absl::Status PrintPayload(const Transfer& transfer, bool near_sends) {
    const bool all = options_.max_lines == 0;
    const bool laid_out = options_.form == PayloadForm::kAuto || options_.form == PayloadForm::kJson;
    const uint64_t most = !all       ? kGlance + kGlancePerLine * std::min(options_.max_lines, kMostLines)
                          : laid_out ? kWhole
                                     : kPart;
    uint64_t done = 0;
    do {
      ASSIGN_OR_RETURN(std::string bytes, ReadPayload(trace_, transfer, done, most));
      if (bytes.empty()) break;
      // Parts of text end where a line ends.
      const size_t newline = bytes.rfind('\n');
      const bool goes_on = done + bytes.size() < transfer.kept;
      if (all && goes_on && options_.form != PayloadForm::kHex && newline != std::string::npos) {
        bytes.resize(newline + 1);
      }
      const uint64_t at = done;
      done += bytes.size();
      PrintPart(transfer, near_sends, bytes, at);
    } while (all && done < transfer.kept && !output_.done());
    if (transfer.kept == 0) PrintPart(transfer, near_sends, "", 0);
    return absl::OkStatus();
  }

  // bytes: of what was kept, from `at` on.
  void PrintPart(const Transfer& transfer, bool near_sends, const std::string& bytes, uint64_t at) {
    const size_t room = right_ - left_ - 4;
    const bool terminal = output_.look().terminal;
    const size_t max_line = !options_.glance ? 0 : terminal ? room : kLongLineInPipes;
    const uint64_t behind = transfer.kept - at - bytes.size();
    const bool last = options_.max_lines > 0 || behind == 0;
    PayloadLines payload = PayloadAsLines(bytes, options_.form, transfer.offset + at, options_.max_lines, room,
                                          max_line, last ? behind : 0, !last);
    if (!options_.glance && terminal) {
      std::vector<std::string> wrapped;
      for (const std::string& line : payload.lines) {
        for (std::string& piece : Wrapped(line, room)) wrapped.push_back(std::move(piece));
      }
      payload.lines = std::move(wrapped);
    }
    std::string rest = payload.rest;
    if (last && transfer.kept < transfer.size) {
      absl::StrAppend(&rest, rest.empty() ? "" : ", ", Size(transfer.size - transfer.kept), " not kept");
    }
    if (!rest.empty()) rest = absl::StrCat("(", rest, ")");
    if (payload.lines.empty() && !rest.empty()) payload.lines.emplace_back();

    size_t widest = 0;
    for (const std::string& line : payload.lines) widest = std::max(widest, DisplayWidth(line));
    const size_t block = right_ - 2 - std::min(right_ - 2 - left_, widest + 1);  // where a far block begins
    for (size_t i = 0; i < payload.lines.size(); ++i) {
      std::string line;
      const std::string bar = output_.Paint(StyleOf(transfer.from_client), "│");
      if (near_sends) {
        line = absl::StrCat(std::string(left_, ' '), bar, " ", payload.lines[i]);
      } else {
        line = absl::StrCat(std::string(block, ' '), PadRight(payload.lines[i], std::min(widest, right_ - 3 - block)),
                            " ", bar);
      }
      if (i + 1 == payload.lines.size() && !rest.empty()) {
        line = absl::StrCat(PadRight(line, remark_), output_.Paint(Style::kRemark, rest));
      }
      output_.Line(line);
    }
  }

  void PrintPause(const Step& step) {
    const std::string& who = IsNear(step.from_client) ? near_name_ : far_name_;
    std::string words;
    switch (step.pause) {
      case PauseCause::kClientWorking:
        words = absl::StrCat(view_.near_is_client ? near_name_ : far_name_, " was working");
        break;
      case PauseCause::kServerWorking:
        words = absl::StrCat(view_.near_is_client ? far_name_ : near_name_, " was working");
        break;
      case PauseCause::kWaitingForPeer:
        words = absl::StrCat("waiting for ", far_name_);
        break;
      case PauseCause::kNotReading:
        words = absl::StrCat(who, " did not read");
        break;
      case PauseCause::kIdle:
        words = view_.both_recorded ? "idle: nobody asked" : absl::StrCat("idle: ", near_name_, " did not ask");
        break;
      case PauseCause::kUnknown:
        words = "quiet";
        if (step.dropped > 0) {
          absl::StrAppend(&words, ", ", CountOf(step.dropped, "event"), step.dropped == 1 ? " was" : " were",
                          " dropped in this trace");
        }
        break;
    }
    std::string line = absl::StrCat(std::string(left_, ' '), output_.Paint(Style::kRemark, "┊"));
    line = absl::StrCat(PadRight(line, right_), output_.Paint(Style::kRemark, "┊"));
    words = absl::StrCat(FormatDurationExactly(step.duration_ns), "  ", words);
    output_.Line(absl::StrCat(PadRight(line, remark_), output_.Paint(Style::kRemark, words)));
  }

  // Events that are not there: never drawn as a pause.
  void PrintGap(const Step& step) {
    Line(time_.Format(step.at_ns), step.given_back ? "░░ not kept (--ring) ░░" : "░░ events unreadable ░░", "",
         Arrow::kNone, step.duration_ns == 0 ? "" : FormatDurationExactly(step.duration_ns), Style::kWarning);
  }

  // A shutdown or close: an end of stream for the other side where it is this side's first. Others are told only where
  // they are news: a close right behind an end is what always happens.
  void PrintEnd(const Step& step, const char* word, bool is_news) {
    const bool near = IsNear(step.from_client);
    const bool tells = !ended_[near] && !closed_[!near];
    ended_[near] = true;
    closed_[near] = closed_[near] || step.kind == StepKind::kClose;
    if (!tells && !is_news) return;
    const std::string other = tells && step.end_received ? "recv end" : "";
    const bool arrives = tells && IsStreamType(view_.connection->type());  // a datagram socket's end reaches nobody
    const Arrow arrow = !arrives ? Arrow::kNone : near ? Arrow::kToRight : Arrow::kToLeft;
    Line(time_.Format(step.at_ns), near ? word : other, near ? other : word, arrow, "", StyleOf(step.from_client));
  }

  void PrintError(const Step& step) {
    const bool near = IsNear(step.from_client);
    const std::string word = absl::StrCat(CallName(step.call), " ✗ ", ErrnoName(step.error));
    Line(time_.Format(step.at_ns), near ? word : "", near ? "" : word, Arrow::kNone,
         ErrorInWords(step.call, step.error), Style::kError);
  }

  // One line of the picture: time, what the near end did, an arrow, what the far end did, a remark.
  void Line(const std::string& time, const std::string& near, const std::string& far, Arrow arrow,
            const std::string& remark, Style style) {
    std::string line = absl::StrCat(" ", time);
    line = PadRight(line, left_);
    const size_t used = DisplayWidth(near) + (near.empty() ? 0 : 1);
    const size_t room = right_ - left_ - 1;  // the last column before the far end stays free
    if (arrow == Arrow::kNone) {
      const Style words = style == Style::kPlain ? Style::kTitle : style;
      line = absl::StrCat(PadRight(absl::StrCat(line, output_.Paint(words, near)), right_), output_.Paint(words, far));
    } else {
      std::string shaft;
      for (size_t i = used + 1; i < room; ++i) shaft += "─";
      const std::string drawn = arrow == Arrow::kToLeft    ? "←" + shaft
                                : arrow == Arrow::kToRight ? shaft + "→"
                                                           : shaft + "✗";
      absl::StrAppend(&line, near, near.empty() ? "" : " ", output_.Paint(style, drawn), " ", far);
    }
    if (!remark.empty()) {
      const Style words = style == Style::kError ? style : Style::kRemark;
      line = absl::StrCat(PadRight(line, remark_), output_.Paint(words, remark));
    }
    output_.Line(line);
  }

  Trace& trace_;
  const Timeline& timeline_;
  const View& view_;
  const ConversationOptions& options_;
  const CommonOptions& common_;
  Output& output_;
  TimeFormat time_;
  std::string near_name_;
  std::string far_name_;
  size_t left_ = 0, right_ = 0, remark_ = 0;  // columns where near end, far end and remarks begin
  bool ended_[2] = {};                        // [near]: has shut down or closed
  bool closed_[2] = {};                       // [near]: has closed
  const Step* before_ = nullptr;              // the step before
};

}  // namespace

void PrintSummary(const Trace& trace, const Timeline& timeline, const View& view, const CommonOptions& common,
                  Output& output) {
  const Mark mark = MarkOf(view);
  std::string head =
      absl::StrCat("c", view.connection->id(), "  ", ProtocolName(*view.connection), "  ", EndpointInWords(view, true),
                   view.both_recorded    ? " ⇄ "
                   : view.near_is_client ? " → "
                                         : " ← ",
                   EndpointInWords(view, false), view.pair ? "  (socketpair)" : "");
  std::string end =
      absl::StrCat(mark == Mark::kError     ? "✗ "
                   : mark == Mark::kWarning ? "⚠ "
                                            : "",
                   EndInWords(view, true), view.both_recorded ? ", both ends recorded" : ", one end recorded",
                   view.guessed ? ", likely the same connection" : "");
  end = output.Paint(mark == Mark::kError     ? Style::kError
                     : mark == Mark::kWarning ? Style::kWarning
                                              : Style::kRemark,
                     end);
  const size_t width = output.look().width;
  const bool fits = width == 0 || DisplayWidth(head) + 5 + DisplayWidth(end) <= width;
  head = output.Paint(Style::kTitle, head);
  if (fits) {
    output.Line(absl::StrCat(head, "     ", end));
  } else {
    output.Line(head);
    output.Line(absl::StrCat("    ", end));
  }
  const std::string peer = view.both_recorded && view.far_process != nullptr ? Printable(view.far_process->name()) : "";
  const std::string phases = PhasesInWords(LifeNs(trace, view), timeline.phases, peer);
  const std::string moved = absl::StrCat("sent ", FormatSize(view.near->sent(), common.exact_bytes), " · received ",
                                         FormatSize(view.near->received(), common.exact_bytes));
  if (width == 0 || DisplayWidth(phases) + 6 + DisplayWidth(moved) <= width) {
    output.Line(absl::StrCat(phases, "      ", moved));
    return;
  }
  std::string line;
  for (const absl::string_view phase : absl::StrSplit(phases, " · ")) {
    const std::string next(phase);
    if (line.empty()) {
      line = next;
    } else if (DisplayWidth(line) + 3 + DisplayWidth(next) <= width) {
      absl::StrAppend(&line, " · ", next);
    } else {
      output.Line(line);
      line = "    " + next;
    }
  }
  output.Line(line);
  output.Line(absl::StrCat("    ", moved));
}

absl::Status PrintSteps(Trace& trace, const Timeline& timeline, const View& view, const ConversationOptions& options,
                        const CommonOptions& common, Output& output) {
  return Picture(trace, timeline, view, options, common, output).Print();
}

}  // namespace socktale
