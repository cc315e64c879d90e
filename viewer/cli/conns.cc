// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/conns.h"

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "viewer/cli/completeness.h"
#include "viewer/cli/endpoints.h"
#include "viewer/cli/format.h"
#include "viewer/cli/json.h"
#include "viewer/cli/table.h"
#include "viewer/names/ids.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

// One line of the list: a connection with what it is shown and sorted by.
struct Row {
  View view;
  uint64_t life_ns = 0;
  std::string process;
  std::string peer;
  std::string protocol;
  std::string end;
};

std::string Id(const Row& row) { return absl::StrCat("c", row.view.connection->id()); }

// "localhost:8080 httpd[4100]", "10.0.0.7:5432 db.internal", "httpd[4100] (socketpair)", "/run/x.sock likely
// httpd[4100]".
std::string PeerInWords(const View& view) {
  const std::string process = view.far_process == nullptr ? "" : ProcessLabel(*view.far_process);
  if (view.pair) return absl::StrCat(process.empty() ? "?" : process, " (socketpair)");
  std::string words = AddressOfEnd(view, false);
  // A UNIX client has no name, its server's end carries the path.
  if (words == "-" && !view.connection->unix_path().empty()) words = Printable(view.connection->unix_path());
  const std::string host = Printable(view.connection->host());
  if (view.near_is_client && !host.empty() && !absl::StartsWith(words, host)) absl::StrAppend(&words, " ", host);
  if (view.both_recorded && !process.empty()) {
    if (words == "-") words.clear();
    absl::StrAppend(&words, words.empty() ? "" : " ", view.guessed ? "likely " : "", process);
  }
  return words;
}

std::vector<Row> Rows(const Trace& trace, const ConnsOptions& options, const CommonOptions& common) {
  std::vector<Row> rows;
  for (const Connection& connection : trace.tables().connection()) {
    Row row;
    row.view = ViewOf(trace, connection);
    row.life_ns = LifeNs(trace, row.view);
    if (connection.start_ns() > common.to_ns || connection.start_ns() + row.life_ns < common.from_ns) continue;
    row.process = ProcessInWords(row.view.near_process, options.wide);
    row.peer = PeerInWords(row.view);
    row.protocol = ProtocolName(connection);
    row.end = EndInWords(row.view, false);
    rows.push_back(std::move(row));
  }
  return rows;
}

// Sorts by --sort KEY or -KEY, stably.
absl::Status Sort(std::vector<Row>& rows, const std::string& sort) {
  if (sort.empty()) return absl::OkStatus();
  using Less = std::function<bool(const Row&, const Row&)>;
  const auto by = [](auto value) -> Less {
    return [value](const Row& a, const Row& b) { return value(a) < value(b); };
  };
  const std::pair<std::string_view, Less> keys[] = {
      {"id", by([](const Row& r) { return r.view.connection->id(); })},
      {"start", by([](const Row& r) { return r.view.connection->start_ns(); })},
      {"life", by([](const Row& r) { return r.life_ns; })},
      {"process", by([](const Row& r) -> const std::string& { return r.process; })},
      {"peer", by([](const Row& r) -> const std::string& { return r.peer; })},
      {"proto", by([](const Row& r) -> const std::string& { return r.protocol; })},
      {"sent", by([](const Row& r) { return r.view.near->sent(); })},
      {"recv", by([](const Row& r) { return r.view.near->received(); })},
      {"wait", by([](const Row& r) { return r.view.near->wait_ns(); })},
      {"end", by([](const Row& r) -> const std::string& { return r.end; })},
      {"events", by([](const Row& r) { return r.view.connection->event_count(); })},
  };
  const bool descending = sort.front() == '-';
  const std::string key = descending ? sort.substr(1) : sort;
  for (const auto& [name, less] : keys) {
    if (name != key) continue;
    std::stable_sort(rows.begin(), rows.end(), [&, &compare = less](const Row& a, const Row& b) {
      return descending ? compare(b, a) : compare(a, b);
    });
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "no sort key '", key, "'; there are: ", absl::StrJoin(keys, " ", [](std::string* out, const auto& k) {
        out->append(k.first.data(), k.first.size());
      })));
}

const char* Sign(Mark mark) {
  switch (mark) {
    case Mark::kNone:
      return "";
    case Mark::kWarning:
      return " ⚠";
    case Mark::kError:
      return " ✗";
  }
  return "";
}

Style StyleOf(Mark mark) {
  return mark == Mark::kError ? Style::kError : mark == Mark::kWarning ? Style::kWarning : Style::kPlain;
}

absl::Status PrintList(const Trace& trace, const std::vector<Row>& rows, const ConnsOptions& options,
                       const CommonOptions& common, Output& output) {
  Table table({{"id", "ID"},
               {"start", "START", Align::kRight},
               {"life", "LIFE", Align::kRight},
               {"process", "PROCESS", Align::kLeft, true, 8},
               {"arrow", ""},
               {"peer", "PEER", Align::kLeft, true, 12},
               {"proto", "PROTO"},
               {"sent", "SENT", Align::kRight},
               {"recv", "RECV", Align::kRight},
               {"wait", "WAIT", Align::kRight},
               {"end", "END", Align::kLeft, true, 8},
               {"local", "LOCAL", Align::kLeft, options.wide, 10},
               {"fd", "FD", Align::kLeft, options.wide},
               {"peerfd", "PEER FD", Align::kLeft, options.wide},
               {"events", "EVENTS", Align::kRight, options.wide}});
  RETURN_IF_ERROR(table.SelectColumns(common.columns));
  TimeFormat time(common.time, trace.header().start_wall_ns(), 3);
  for (const Row& row : rows) {
    const View& view = row.view;
    const Mark mark = MarkOf(view);
    table.Add({{Id(row) + Sign(mark), StyleOf(mark)},
               time.Format(view.connection->start_ns()),
               FormatDuration(row.life_ns),
               row.process,
               view.pair             ? "⇄"
               : view.near_is_client ? "→"
                                     : "←",
               row.peer,
               row.protocol,
               FormatBytes(view.near->sent(), common.exact_bytes),
               FormatBytes(view.near->received(), common.exact_bytes),
               view.near->wait_ns() == 0 ? "-" : FormatDuration(view.near->wait_ns()),
               {row.end, StyleOf(mark)},
               AddressOfEnd(view, true),
               DescriptorLabel(trace, *view.near),
               view.both_recorded ? DescriptorLabel(trace, *view.far) : "-",
               FormatCount(view.connection->event_count())});
  }
  table.Print(output, 1, 2);
  return absl::OkStatus();
}

// What connections have in common under --group.
std::string GroupOf(const Row& row, ConnsGroup group) {
  const View& view = row.view;
  const std::string process = view.near_process == nullptr ? "?" : Printable(view.near_process->name());
  // The server's address: that of a client changes from connection to connection.
  std::string server = AddressOfEnd(view, !view.near_is_client);
  if (view.pair) server = view.far_process == nullptr ? "?" : Printable(view.far_process->name());
  switch (group) {
    case ConnsGroup::kNone:
      break;
    case ConnsGroup::kPair:
      return absl::StrCat(process, view.near_is_client ? " → " : " ← ", server);
    case ConnsGroup::kPeer:
      return server;
    case ConnsGroup::kProcess:
      return ProcessInWords(view.near_process);
    case ConnsGroup::kPort: {
      const size_t colon = server.rfind(':');
      return colon == std::string::npos ? server : server.substr(colon);
    }
  }
  return "";
}

absl::Status PrintGroups(const std::vector<Row>& rows, ConnsGroup group, const CommonOptions& common, Output& output) {
  struct Sums {
    std::string name = {};
    uint64_t count = 0, sent = 0, received = 0, wait_ns = 0, marked = 0;
    std::vector<std::string> ids = {};
  };
  std::vector<Sums> groups;  // in order of first appearance
  for (const Row& row : rows) {
    const std::string name = GroupOf(row, group);
    auto sums = std::find_if(groups.begin(), groups.end(), [&](const Sums& s) { return s.name == name; });
    if (sums == groups.end()) sums = groups.insert(groups.end(), Sums{.name = name});
    ++sums->count;
    sums->sent += row.view.near->sent();
    sums->received += row.view.near->received();
    sums->wait_ns += row.view.near->wait_ns();
    sums->marked += MarkOf(row.view) != Mark::kNone;
    if (sums->ids.size() < 3) sums->ids.push_back(Id(row));
  }
  std::stable_sort(groups.begin(), groups.end(), [](const Sums& a, const Sums& b) { return a.count > b.count; });

  if (common.limit > 0 && groups.size() > common.limit) groups.resize(common.limit);

  constexpr const char* kTitles[] = {"", "PAIR", "PEER", "PROCESS", "PORT"};
  Table table({{"count", "CONNS", Align::kRight},
               {"group", kTitles[static_cast<size_t>(group)], Align::kLeft, true, 12},
               {"sent", "SENT", Align::kRight},
               {"recv", "RECV", Align::kRight},
               {"wait", "WAIT", Align::kRight},
               {"marked", "✗ ⚠", Align::kRight},
               {"ids", "IDS"}});
  RETURN_IF_ERROR(table.SelectColumns(common.columns));
  for (const Sums& sums : groups) {
    table.Add({FormatCount(sums.count), sums.name, FormatBytes(sums.sent, common.exact_bytes),
               FormatBytes(sums.received, common.exact_bytes), sums.wait_ns == 0 ? "-" : FormatDuration(sums.wait_ns),
               sums.marked == 0 ? "-" : FormatCount(sums.marked),
               absl::StrCat(absl::StrJoin(sums.ids, " "), sums.count > sums.ids.size() ? " …" : "")});
  }
  table.Print(output, 1, 2);
  return absl::OkStatus();
}

// What "nothing" is said of: " so far", " in the part that is readable", " (12 events dropped)"; empty: of all there
// was.
std::string HowFarInWords(const NamedTrace& named) {
  const Trace& trace = named.trace;
  uint64_t dropped = 0;
  for (const Drop& drop : trace.tables().drop()) dropped += drop.events();
  std::string words;
  if (!trace.file().sealed() && IsBeingRecorded(named.path)) {
    words = " so far";
  } else if (!trace.file().sealed() || trace.tables().recovered() || !trace.file().damage().empty()) {
    words = " in the part that is readable";
  }
  if (dropped > 0) absl::StrAppend(&words, " (", CountOf(dropped, "event"), " dropped)");
  return words;
}

// Why there is nothing to show, and what to do: never just an empty table. trace_argument: see TraceArgument.
std::string NothingInWords(const NamedTrace& named, const std::string& trace_argument) {
  const Trace& trace = named.trace;
  const Tables& tables = trace.tables();
  if (tables.connection_size() > 0) {
    const auto count = static_cast<uint64_t>(tables.connection_size());
    return absl::StrCat("0 of ", CountOf(count, "connection"), " in that time: --from and --to leave none");
  }
  const std::string command = trace.header().command().empty() ? "" : ShellQuote(trace.header().command(0));
  const std::string how_far = HowFarInWords(named);
  if (tables.process().empty()) {
    if (!how_far.empty()) return absl::StrCat("no program has joined this recording", how_far);
    if (command.empty()) return "no program has joined this recording";
    return absl::StrCat(command, " could not be traced: socktale doctor ", command);
  }
  const auto sockets =
      static_cast<uint64_t>(std::count_if(tables.object().begin(), tables.object().end(), [](const Object& object) {
        return object.kind() == DESCRIPTOR_KIND_SOCKET;
      }));
  const auto others = static_cast<uint64_t>(tables.object_size()) - sockets;
  const std::string subject = command.empty() ? "the recorded programs" : command;
  return sockets > 0 ? absl::StrCat(subject, " made ", CountOf(sockets, "socket"), " and no connection", how_far,
                                    ": socktale fds", trace_argument)
                     : absl::StrCat(subject, " made no socket calls", how_far, "; ", CountOf(others, "other thing"),
                                    " opened: socktale fds", trace_argument);
}

// The next commands, by what was found. trace_argument: see TraceArgument.
std::string NextInWords(const std::vector<Row>& rows, const std::string& trace_argument) {
  const auto marked =
      std::find_if(rows.begin(), rows.end(), [](const Row& r) { return MarkOf(r.view) == Mark::kError; });
  const auto busiest = std::max_element(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.view.near->sent() + a.view.near->received() < b.view.near->sent() + b.view.near->received();
  });
  std::vector<std::string> next;
  next.push_back(absl::StrCat("follow ", busiest->view.connection->id()));
  if (marked != rows.end() && marked != busiest) next.push_back(absl::StrCat("follow ", marked->view.connection->id()));
  const auto open = std::find_if(rows.begin(), rows.end(), [](const Row& r) { return r.view.never_closed; });
  const bool whose = open != rows.end() && open->view.near_process != nullptr;
  next.push_back(whose ? absl::StrCat("fds ", open->view.near_process->pid()) : "fds");
  for (std::string& command : next) command += trace_argument;
  return absl::StrCat("next: ", absl::StrJoin(next, " · "));
}

}  // namespace

absl::Status PrintConns(const NamedTrace& named, const ConnsOptions& options, const CommonOptions& common,
                        Output& output) {
  const Trace& trace = named.trace;
  std::vector<Row> rows = Rows(trace, options, common);
  RETURN_IF_ERROR(Sort(rows, common.sort));
  const bool grouped = options.group != ConnsGroup::kNone;
  if (grouped && (common.json || !common.sort.empty())) {
    return absl::InvalidArgumentError("--group goes with neither --json nor --sort: groups come by size, as text");
  }
  if (!grouped && common.limit > 0 && rows.size() > common.limit) rows.resize(common.limit);
  if (common.json) {
    if (rows.empty()) Remark(common, NothingInWords(named, TraceArgument(common)));
    WriteJson(output, TraceJson(trace));
    for (const Row& row : rows) {
      if (output.done()) break;
      WriteJson(output, ConnectionJson(trace, *row.view.connection));
    }
    return absl::OkStatus();
  }
  if (rows.empty()) {
    output.Line(NothingInWords(named, TraceArgument(common)));
    return absl::OkStatus();
  }
  if (grouped) return PrintGroups(rows, options.group, common, output);
  RETURN_IF_ERROR(PrintList(trace, rows, options, common, output));
  if (output.look().terminal && !common.quiet)
    output.Line(output.Paint(Style::kRemark, NextInWords(rows, TraceArgument(common))));
  return absl::OkStatus();
}

int RunConns(const ConnsOptions& options, const CommonOptions& common) {
  const absl::StatusOr<NamedTrace> trace = OpenNamedTrace(common.trace);
  if (!trace.ok()) return Trouble(trace.status());
  TellWhatIsMissing(*trace, common);
  absl::StatusOr<std::unique_ptr<Output>> output = Output::Open(common);
  if (!output.ok()) return Trouble(output.status());
  const absl::Status done = (*output)->Close(PrintConns(*trace, options, common, **output));
  return done.ok() ? kExitDone : Trouble(done);
}

}  // namespace socktale
