// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/follow.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "viewer/cli/completeness.h"
#include "viewer/cli/conversation.h"
#include "viewer/cli/endpoints.h"
#include "viewer/cli/format.h"
#include "viewer/cli/json.h"
#include "viewer/model/timeline.h"
#include "viewer/names/calls.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

constexpr uint64_t kMergeNs = 10'000'000;         // sends no further apart are one transfer
constexpr uint64_t kShortestPauseNs = 1'000'000;  // told by default: a hundredth of the life,
constexpr uint64_t kLongestPauseNs = 10'000'000;  // within these

// "c1", "c1 and c2", "c1 to c57".
std::string ConnectionsThereAre(const Tables& tables) {
  const int count = tables.connection_size();
  if (count == 0) return "there are none";
  const auto id = [&](int i) { return absl::StrCat("c", tables.connection(i).id()); };
  if (count == 1) return "there is only " + id(0);
  return absl::StrCat("there are ", id(0), count == 2 ? " and " : " to ", id(count - 1));
}

absl::StatusOr<const Connection*> FindConnection(const NamedTrace& named, const std::string& word) {
  uint32_t id = 0;
  const absl::string_view digits =
      word.empty() || word[0] != 'c' ? absl::string_view(word) : absl::string_view(word).substr(1);
  if (!absl::SimpleAtoi(digits, &id)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", Printable(word), "' is no connection: c17 or 17, as `socktale conns` lists them"));
  }
  if (const Connection* connection = named.trace.connection(id); connection != nullptr) return connection;
  return absl::NotFoundError(
      absl::StrCat("no connection c", id, " in ", named.name, ": ", ConnectionsThereAre(named.trace.tables())));
}

uint64_t PauseNs(const FollowOptions& options, uint64_t life_ns) {
  return options.pauses_ns.value_or(std::clamp(life_ns / 100, kShortestPauseNs, kLongestPauseNs));
}

bool InRange(const CommonOptions& common, const Step& step) {
  return step.at_ns >= common.from_ns && step.at_ns <= common.to_ns;
}

// Whether the range and the side that were asked for hold this step.
bool Shows(const FollowOptions& options, const CommonOptions& common, const Timeline& timeline, const Step& step) {
  if (!InRange(common, step)) return false;
  if (step.kind != StepKind::kTransfer || options.side == FollowSide::kBoth) return true;
  return timeline.transfers[step.transfer].from_client == (options.side == FollowSide::kClient);
}

bool HasRange(const CommonOptions& common) { return common.from_ns > 0 || common.to_ns < UINT64_MAX; }

// An empty answer is never left without a word.
void TellIfRangeHoldsNothing(const Timeline& timeline, const CommonOptions& common) {
  if (!HasRange(common) || timeline.steps.empty()) return;
  for (const Step& step : timeline.steps) {
    if (InRange(common, step)) return;
  }
  Remark(common, absl::StrCat("c", timeline.connection->id(), ": 0 of ", CountOf(timeline.steps.size(), "step"),
                              " in that time"));
}

// ---- --as raw -------------------------------------------------------------------------------------------------

// One side's bytes, in stream order and bounded memory.
absl::Status WriteSide(Trace& trace, const Connection& connection, bool client, const CommonOptions& common,
                       Output& output) {
  uint64_t missing = 0;
  const auto sink = [&](absl::string_view bytes) {
    output.WriteBytes({bytes.data(), bytes.size()});
    return output.done() ? absl::CancelledError() : absl::OkStatus();
  };
  const absl::Status streamed = StreamBytes(trace, connection, client, sink, &missing);
  if (!streamed.ok() && !absl::IsCancelled(streamed)) return streamed;  // cancelled: the reader has gone
  if (missing > 0) {
    Remark(common, absl::StrCat("c", connection.id(), ": ", CountOf(missing, "byte"), " of what the ",
                                client ? "client" : "server", " sent ", missing == 1 ? "is" : "are",
                                " not in the trace and left out here"));
  }
  return absl::OkStatus();
}

// The bytes of those transfers that are asked for, one by one.
absl::Status WriteTransfers(Trace& trace, const Timeline& timeline, const FollowOptions& options,
                            const CommonOptions& common, Output& output) {
  constexpr uint64_t kPart = 1 << 20;
  uint64_t missing = 0;
  uint64_t told[2] = {0, 0};  // bytes from the server, from the client
  for (const Step& step : timeline.steps) {
    if (step.kind != StepKind::kTransfer || !Shows(options, common, timeline, step)) continue;
    const Transfer& transfer = timeline.transfers[step.transfer];
    for (uint64_t done = 0; done < transfer.kept && !output.done(); done += kPart) {
      ASSIGN_OR_RETURN(const std::string bytes, ReadPayload(trace, transfer, done, kPart));
      output.WriteBytes(bytes);
    }
    missing += transfer.size - transfer.kept;
    told[transfer.from_client] += transfer.size;
  }
  // Of a stretch of time nobody knows how much moved in it.
  if (!HasRange(common)) {
    for (const bool client : {false, true}) missing += MovedUntold(*timeline.connection, client, told[client]);
  }
  if (missing > 0) {
    Remark(common, absl::StrCat("c", timeline.connection->id(), ": ", CountOf(missing, "byte"), " ",
                                missing == 1 ? "is" : "are", " not in the trace and left out here"));
  }
  return absl::OkStatus();
}

// ---- --json ---------------------------------------------------------------------------------------------------

const char* CauseName(PauseCause cause) {
  switch (cause) {
    case PauseCause::kUnknown:
      return "unknown";
    case PauseCause::kClientWorking:
      return "client_working";
    case PauseCause::kServerWorking:
      return "server_working";
    case PauseCause::kWaitingForPeer:
      return "waiting_for_peer";
    case PauseCause::kNotReading:
      return "not_reading";
    case PauseCause::kIdle:
      return "idle";
  }
  return "unknown";
}

void AddTransfer(Json& object, const Transfer& transfer, const std::string& payload) {
  object["from"] = transfer.from_client ? "client" : "server";
  if (transfer.sender_recorded) object["sent_ns"] = transfer.sent_ns;
  if (transfer.receiver_recorded) object["recv_ns"] = transfer.received_ns;
  object["offset"] = transfer.offset;
  if (transfer.sender_recorded) object["sends"] = transfer.sends;
  if (transfer.receiver_recorded) object["recvs"] = transfer.receives;
  // Where the sender is known, `len` is what it sent.
  if (transfer.sender_recorded && transfer.receiver_recorded) object["recv_len"] = transfer.received_size;
  if (transfer.read_back) object["read_back"] = true;
  if (transfer.not_seen) object["not_seen"] = true;
  if (transfer.first_event != 0) object["first_event"] = absl::StrCat("e", transfer.first_event);
  if (transfer.last_event != 0) object["last_event"] = absl::StrCat("e", transfer.last_event);
  AddPayload(object, payload, transfer.size);
}

// One step; its kind is the object's type.
absl::StatusOr<Json> StepJson(Trace& trace, const Timeline& timeline, const Step& step) {
  constexpr const char* kTypes[] = {"connect", "transfer", "pause", "shutdown", "close", "error", "gap"};
  Json object = {{"type", kTypes[static_cast<size_t>(step.kind)]},
                 {"conn", absl::StrCat("c", timeline.connection->id())},
                 {"t_ns", step.at_ns}};
  if (step.duration_ns != 0) object["dur_ns"] = step.duration_ns;
  switch (step.kind) {
    case StepKind::kTransfer: {
      const Transfer& transfer = timeline.transfers[step.transfer];
      ASSIGN_OR_RETURN(const std::string payload, ReadPayload(trace, transfer));
      AddTransfer(object, transfer, payload);
      break;
    }
    case StepKind::kPause:
      object["cause"] = CauseName(step.pause);
      if (step.dropped > 0) object["dropped"] = step.dropped;
      if (step.pause == PauseCause::kNotReading) object["who"] = step.from_client ? "client" : "server";
      break;
    case StepKind::kGap:
      object["why"] = step.given_back ? "ring" : "damaged";
      break;
    case StepKind::kShutdown:
    case StepKind::kClose:
      object["who"] = step.from_client ? "client" : "server";
      object["end_received"] = step.end_received;
      break;
    default:
      object["who"] = step.from_client ? "client" : "server";
      break;
  }
  if (step.call != CALL_UNKNOWN) object["call"] = CallName(step.call);
  if (step.error != 0) object["error"] = ErrnoName(step.error);
  if (step.event != 0) object["event"] = absl::StrCat("e", step.event);
  return object;
}

void AddPhases(Json& object, const Phases& phases) {
  Json times = Json::object();
  const std::pair<const char*, uint64_t> all[] = {{"resolve_ns", phases.resolve_ns},
                                                  {"connect_ns", phases.connect_ns},
                                                  {"send_ns", phases.send_ns},
                                                  {"wait_ns", phases.wait_ns},
                                                  {"wait_network_ns", phases.wait_network_ns},
                                                  {"wait_peer_ns", phases.wait_peer_ns},
                                                  {"recv_ns", phases.recv_ns},
                                                  {"idle_ns", phases.idle_ns}};
  for (const auto& [name, ns] : all) {
    if (ns != 0) times[name] = ns;
  }
  object["phases"] = std::move(times);
}

absl::Status PrintJson(Trace& trace, const Timeline& timeline, const FollowOptions& options,
                       const CommonOptions& common, Output& output) {
  Json object = ConnectionJson(trace, *timeline.connection);
  AddPhases(object, timeline.phases);
  WriteJson(output, object);
  for (const Step& step : timeline.steps) {
    if (output.done()) break;
    if (!Shows(options, common, timeline, step)) continue;
    ASSIGN_OR_RETURN(const Json object_of_step, StepJson(trace, timeline, step));
    WriteJson(output, object_of_step);
  }
  return absl::OkStatus();
}

// ---- Text -----------------------------------------------------------------------------------------------------

ConversationOptions MakeConversationOptions(const FollowOptions& options) {
  ConversationOptions conversation;
  conversation.form = options.as == FollowAs::kText   ? PayloadForm::kText
                      : options.as == FollowAs::kHex  ? PayloadForm::kHex
                      : options.as == FollowAs::kJson ? PayloadForm::kJson
                                                      : PayloadForm::kAuto;
  conversation.glance = options.as == FollowAs::kAuto && !options.lines.has_value();
  conversation.max_lines = options.lines.value_or(conversation.glance ? 2 : 0);
  conversation.show_client = options.side != FollowSide::kServer;
  conversation.show_server = options.side != FollowSide::kClient;
  return conversation;
}

// The next commands, by what was found. trace_argument: see TraceArgument.
std::string NextInWords(const Timeline& timeline, const FollowOptions& options, const std::string& trace_argument) {
  const Connection& connection = *timeline.connection;
  const uint32_t id = connection.id();
  uint64_t from_server = 0, from_client = 0;
  for (const Transfer& transfer : timeline.transfers)
    (transfer.from_client ? from_client : from_server) += transfer.size;
  if (from_server + from_client == 0) {
    return absl::StrCat("next: show", trace_argument, " · fds", trace_argument, " · conns", trace_argument);
  }
  const char* side = from_server >= from_client ? "server" : "client";
  const std::string follow = absl::StrCat("follow ", id, trace_argument);
  return absl::StrCat("next: ", options.as == FollowAs::kAuto ? absl::StrCat(follow, " --as text · ") : "", follow,
                      " --as raw --side ", side, " > ", side, ".bin · show", trace_argument);
}

absl::Status PrintText(NamedTrace& named, const Timeline& timeline, const View& view, const FollowOptions& options,
                       const CommonOptions& common, Output& output) {
  const ConversationOptions conversation = MakeConversationOptions(options);
  PrintSummary(named.trace, timeline, view, common, output);
  output.Line("");
  return PrintSteps(named.trace, timeline, view, conversation, common, output);
}

}  // namespace

absl::Status PrintFollow(NamedTrace& named, const FollowOptions& options, const CommonOptions& common, Output& output) {
  const bool raw = options.as == FollowAs::kRaw;
  if (raw && common.json) return absl::InvalidArgumentError("--as raw gives bytes, --json objects: choose one");
  if (common.json && options.as != FollowAs::kAuto) {
    return absl::InvalidArgumentError(
        "--as does not go with --json: objects hold all payload, as text where it is text, else in base64");
  }
  Trace& trace = named.trace;
  std::vector<const Connection*> connections;
  for (const std::string& word : options.connections) {
    ASSIGN_OR_RETURN(const Connection* connection, FindConnection(named, word));
    connections.push_back(connection);
  }
  if (common.json) WriteJson(output, TraceJson(trace));
  for (size_t i = 0; i < connections.size() && !output.done(); ++i) {
    const Connection& connection = *connections[i];
    if (raw && options.side != FollowSide::kBoth && !HasRange(common)) {
      RETURN_IF_ERROR(WriteSide(trace, connection, options.side == FollowSide::kClient, common, output));
      continue;
    }
    const View view = ViewOf(trace, connection);
    const uint64_t pause_ns = PauseNs(options, LifeNs(trace, view));
    ASSIGN_OR_RETURN(const Timeline timeline, BuildTimeline(trace, connection, std::min(kMergeNs, pause_ns), pause_ns));
    TellIfRangeHoldsNothing(timeline, common);
    if (raw) {
      RETURN_IF_ERROR(WriteTransfers(trace, timeline, options, common, output));
    } else if (common.json) {
      RETURN_IF_ERROR(PrintJson(trace, timeline, options, common, output));
    } else {
      if (i > 0) output.Line("");
      RETURN_IF_ERROR(PrintText(named, timeline, view, options, common, output));
      if (i + 1 == connections.size() && output.look().terminal && !common.quiet) {
        output.Line(output.Paint(Style::kRemark, NextInWords(timeline, options, TraceArgument(common))));
      }
    }
  }
  return absl::OkStatus();
}

int RunFollow(const FollowOptions& options, const CommonOptions& common) {
  absl::StatusOr<NamedTrace> trace = OpenNamedTrace(common.trace);
  if (!trace.ok()) return Trouble(trace.status());
  TellWhatIsMissing(*trace, common);
  const std::vector<std::string> known_damage = DamageInWords(trace->trace.file());
  absl::StatusOr<std::unique_ptr<Output>> output = Output::Open(common, options.as != FollowAs::kRaw);
  if (!output.ok()) return Trouble(output.status());
  const absl::Status done = (*output)->Close(PrintFollow(*trace, options, common, **output));
  TellNewDamage(trace->trace, known_damage, common);
  return done.ok() ? kExitDone : Trouble(done);
}

}  // namespace socktale
