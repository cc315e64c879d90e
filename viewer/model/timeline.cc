// SPDX-License-Identifier: Apache-2.0
//
// Pieces → transfers, steps and pauses.

#include "viewer/model/timeline.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <tuple>
#include <utility>

#include "absl/hash/hash.h"
#include "base/status_macros.h"
#include "proto/call_families.h"
#include "viewer/model/exchange.h"
#include "viewer/model/phases.h"

namespace socktale {
namespace {

// So many datagrams may be overtaken by one that another thread sends or receives.
constexpr size_t kOvertaken = 64;

// What two records of one datagram have in common, whichever of them kept more of it.
struct Fingerprint {
  size_t kept = 0;    // bytes
  uint64_t hash = 0;  // of all that was kept
  std::string head;   // the first of them
};

Fingerprint FingerprintOf(absl::string_view payload) {
  constexpr size_t kHead = 64;
  return {payload.size(), absl::HashOf(payload), std::string(payload.substr(0, kHead))};
}

bool MayBeTheSame(const Fingerprint& a, const Fingerprint& b) {
  if (a.kept == b.kept) return a.hash == b.hash;
  const size_t comparable = std::min(a.head.size(), b.head.size());
  return a.head.compare(0, comparable, b.head, 0, comparable) == 0;
}

// A datagram that was sent and may yet come.
struct InFlight {
  size_t transfer = 0;  // index in Timeline::transfers
  uint64_t size = 0;
  Fingerprint fingerprint;
};

const Endpoint& End(const Connection& connection, bool client) {
  return client ? connection.client() : connection.server();
}

// Time at which a piece takes its place between those of the other direction: what is sent is there from the call's
// entry (the other end may answer before the call returns), what is received came by its return.
uint64_t PlaceOf(const Piece& piece) { return piece.out ? piece.start_ns : piece.end_ns; }

class Builder {
 public:
  Builder(Trace& trace, Exchange exchange, uint64_t merge_ns, uint64_t pause_ns)
      : trace_(trace), exchange_(std::move(exchange)), merge_ns_(merge_ns), pause_ns_(pause_ns) {}

  absl::StatusOr<Timeline> Run();

 private:
  bool both() const { return exchange_.recorded(true) && exchange_.recorded(false); }

  absl::Status Transfers();
  void AddPiece(const Piece& piece);
  void Receives(bool from_client);
  absl::Status Datagrams(bool from_client);
  absl::StatusOr<std::string> Load(const Piece& piece);
  void TransferSteps();
  bool EndReceived(bool client, uint64_t since_ns) const;
  void ActSteps();
  void Gaps();
  void Pauses();
  void Pause(uint64_t from_ns, uint64_t until_ns, PauseCause cause, bool client, std::vector<Step>& steps) const;
  PauseCause CauseBefore(const Step& next, uint64_t from_ns, uint64_t until_ns) const;

  Trace& trace_;
  Exchange exchange_;
  uint64_t merge_ns_;
  uint64_t pause_ns_;
  Timeline timeline_;
  std::vector<uint64_t> place_ns_;  // of each transfer
};

// See Timeline::dropped.
uint64_t DroppedNear(const Trace& trace, const Connection& connection) {
  uint64_t all = 0, told = 0, near = 0;
  for (const Drop& drop : trace.tables().drop()) all += drop.events();
  for (const Process& process : trace.tables().process()) told += process.drops();
  for (const bool client : {false, true}) {
    const uint32_t object = End(connection, client).object();
    if (object == 0) continue;
    for (const DescriptorLife* life : trace.lookup().LivesOfObject(object)) {
      const Process* process = trace.process(life->process());
      if (process != nullptr) near += process->drops();
    }
  }
  return all > told || near > 0 ? std::max(all, told) : 0;
}

absl::StatusOr<std::string> Builder::Load(const Piece& piece) {
  std::string payload;
  for (const Fragment& fragment : piece.fragments) {
    RunView run;
    EventView event;
    RETURN_IF_ERROR(trace_.ReadEvent(fragment.key, run, event));
    const absl::string_view bytes = event.payload.substr(fragment.begin, fragment.size);
    payload.append(bytes.data(), bytes.size());
  }
  return payload;
}

void Builder::AddPiece(const Piece& piece) {
  const bool from_client = piece.out ? piece.client : !piece.client;
  const bool known_sender = piece.recorded_sender;
  bool joins = false;
  if (!timeline_.transfers.empty() && !exchange_.datagrams) {
    const Transfer& last = timeline_.transfers.back();
    const uint64_t last_ns = known_sender ? last.send_end_ns : last.receive_end_ns;
    const uint64_t quiet_ns = piece.start_ns > last_ns ? piece.start_ns - last_ns : 0;
    joins = last.from_client == from_client && last.sender_recorded == known_sender && quiet_ns <= merge_ns_;
  }
  if (!joins) {
    Transfer& fresh = timeline_.transfers.emplace_back();
    fresh.from_client = from_client;
    fresh.offset = piece.offset;
    fresh.sender_recorded = known_sender;
    fresh.receiver_recorded = !known_sender;
    fresh.first_event = piece.number;
    (known_sender ? fresh.sent_ns : fresh.received_ns) = piece.end_ns;
    place_ns_.push_back(PlaceOf(piece));
  }
  Transfer& transfer = timeline_.transfers.back();
  if (transfer.kept == transfer.size) {
    transfer.fragments.insert(transfer.fragments.end(), piece.fragments.begin(), piece.fragments.end());
    transfer.kept += piece.kept;
  }
  transfer.size += piece.size;
  if (!known_sender) transfer.received_size += piece.size;
  transfer.last_event = piece.number;
  ++(known_sender ? transfer.sends : transfer.receives);
  (known_sender ? transfer.send_end_ns : transfer.receive_end_ns) = piece.end_ns;
  transfer.read_back = transfer.read_back || (piece.notes & EVENT_NOTE_READ_BACK) != 0;
  transfer.not_seen = transfer.not_seen || (piece.notes & EVENT_NOTE_NOT_SEEN) != 0;
}

absl::Status Builder::Transfers() {
  const std::vector<Piece> directions[2] = {Direction(exchange_, false), Direction(exchange_, true)};
  size_t at[2] = {0, 0};
  uint64_t place[2] = {0, 0};  // a direction's pieces keep their order
  while (at[0] < directions[0].size() || at[1] < directions[1].size()) {
    for (const int d : {0, 1}) {
      if (at[d] < directions[d].size()) place[d] = std::max(place[d], PlaceOf(directions[d][at[d]]));
    }
    const bool client = at[0] == directions[0].size() || (at[1] < directions[1].size() && place[1] <= place[0]);
    AddPiece(directions[client][at[client]++]);
  }
  for (const bool from_client : {false, true}) {
    if (!both()) continue;
    if (exchange_.datagrams) {
      RETURN_IF_ERROR(Datagrams(from_client));
    } else {
      Receives(from_client);
    }
  }
  return absl::OkStatus();
}

// The joined ends share offsets: byte n sent is byte n received.
void Builder::Receives(bool from_client) {
  const std::vector<Piece>& received = exchange_.received[!from_client];
  size_t first = 0;
  for (Transfer& transfer : timeline_.transfers) {
    if (transfer.from_client != from_client || !transfer.sender_recorded) continue;
    while (first < received.size() && received[first].offset + received[first].size <= transfer.offset) ++first;
    const uint64_t end = transfer.offset + transfer.size;
    for (size_t i = first; i < received.size() && received[i].offset < end; ++i) {
      if (transfer.receives == 0) transfer.received_ns = received[i].end_ns;
      transfer.receive_end_ns = received[i].end_ns;
      transfer.receiver_recorded = true;
      transfer.received_size +=
          std::min(received[i].offset + received[i].size, end) - std::max(received[i].offset, transfer.offset);
      ++transfer.receives;
    }
  }
}

// A datagram comes whole or not at all: the first sent behind the one that came last, of the same size, and the same
// bytes where both were kept. Delivery keeps the order in which they were sent, but for calls of several threads, which
// return in any order. What is passed over was lost.
absl::Status Builder::Datagrams(bool from_client) {
  std::vector<InFlight> sent;
  for (size_t i = 0; i < timeline_.transfers.size(); ++i) {
    const Transfer& transfer = timeline_.transfers[i];
    if (transfer.from_client != from_client || !transfer.sender_recorded) continue;
    ASSIGN_OR_RETURN(const std::string payload, ReadPayload(trace_, transfer));
    sent.push_back({i, transfer.size, FingerprintOf(payload)});
  }
  size_t front = 0;  // behind the last one that came
  for (const Piece& piece : exchange_.received[!from_client]) {
    ASSIGN_OR_RETURN(const std::string payload, Load(piece));
    const Fingerprint fingerprint = FingerprintOf(payload);
    const bool cut = (piece.notes & EVENT_NOTE_TRUNCATED) != 0;
    const auto came = [&](const InFlight& datagram) {
      return !timeline_.transfers[datagram.transfer].receiver_recorded &&
             (cut ? piece.size <= datagram.size : piece.size == datagram.size) &&
             MayBeTheSame(fingerprint, datagram.fingerprint);
    };
    size_t at = front;
    while (at < sent.size() && place_ns_[sent[at].transfer] <= piece.end_ns && !came(sent[at])) ++at;
    if (at == sent.size() || place_ns_[sent[at].transfer] > piece.end_ns) {
      const size_t first = front - std::min(front, kOvertaken);
      at = first;
      while (at < front && !came(sent[at])) ++at;
      if (at == front) continue;  // its sending was not recorded
    }
    front = std::max(front, at + 1);
    Transfer& transfer = timeline_.transfers[sent[at].transfer];
    transfer.receiver_recorded = true;
    transfer.received_ns = transfer.receive_end_ns = piece.end_ns;
    transfer.received_size = piece.size;
    transfer.receives = 1;
  }
  return absl::OkStatus();
}

void Builder::TransferSteps() {
  for (size_t i = 0; i < timeline_.transfers.size(); ++i) {
    const Transfer& transfer = timeline_.transfers[i];
    Step& step = timeline_.steps.emplace_back();
    step.kind = StepKind::kTransfer;
    step.at_ns = place_ns_[i];
    step.from_client = transfer.from_client;
    step.transfer = i;
    step.event = transfer.first_event;
    // The receiver may be back from its call before the sender is from its own.
    if (transfer.sender_recorded && transfer.receiver_recorded && transfer.received_ns > transfer.sent_ns) {
      step.duration_ns = transfer.received_ns - transfer.sent_ns;
    }
  }
}

bool IsPassing(uint32_t error) {
  return error == 0 || error == EAGAIN || error == EINTR || error == EINPROGRESS || error == EALREADY ||
         error == EISCONN || error == ENOTCONN;
}

// Whether an end was seen to receive the end of the stream, by a call that returned after `since_ns`.
bool Builder::EndReceived(bool client, uint64_t since_ns) const {
  return std::any_of(exchange_.acts.begin(), exchange_.acts.end(), [&](const Act& act) {
    return act.client == client && act.end_of_stream && act.end_ns >= since_ns;
  });
}

void Builder::ActSteps() {
  const Connection& connection = *exchange_.connection;
  const auto add = [this](StepKind kind, uint64_t at_ns, bool client, uint64_t event) -> Step& {
    Step& step = timeline_.steps.emplace_back();
    step.kind = kind;
    step.at_ns = at_ns;
    step.from_client = client;
    step.event = event;
    return step;
  };
  bool connected = false;
  const auto connect = [&](uint64_t event) {
    if (connected) return;
    connected = true;
    const bool client = exchange_.recorded(true);
    const Endpoint& end = client ? connection.client() : connection.server();
    Step& step = add(StepKind::kConnect, end.start_ns(), true, event);
    if (client && end.established_ns() > end.start_ns()) step.duration_ns = end.established_ns() - end.start_ns();
    // A refused connect of a socket that does not block is told by SO_ERROR.
    if (client && end.established_ns() == 0) {
      step.error = connection.error();
      if (connection.end_ns() > end.start_ns()) step.duration_ns = connection.end_ns() - end.start_ns();
    }
  };
  const Act* last_close[2] = {nullptr, nullptr};
  for (const Act& act : exchange_.acts) {
    switch (act.call) {
      case CALL_CONNECT:
        connect(act.number);
        break;
      case CALL_ACCEPT:
      case CALL_ACCEPT4:
        if (act.error == 0 && !exchange_.recorded(true)) connect(act.number);
        break;
      case CALL_SOCKETPAIR:
        connect(act.number);
        break;
      case CALL_SHUTDOWN:
        if (act.error == 0 && act.flags != SHUT_RD) {
          Step& step = add(StepKind::kShutdown, act.end_ns, act.client, act.number);
          step.end_received = EndReceived(!act.client, act.start_ns);
        }
        break;
      default:
        if (OnlyEndsDescriptors(act.call) && act.call != CALL_CLOSE_RANGE) {  // which may have left it open
          last_close[act.client] = &act;
        } else if (!IsPassing(act.error)) {
          Step& step = add(StepKind::kError, act.end_ns, act.client, act.number);
          step.error = act.error;
          step.call = act.call;
        }
        break;
    }
  }
  for (const bool client : {true, false}) {
    const Endpoint& end = End(connection, client);
    const bool failed = client && end.established_ns() == 0;
    if (end.object() == 0 || end.end_ns() == 0 || failed) continue;
    // Without a close the end of its last process ended it, which may be noticed after the other end has.
    const Act* close = last_close[client];
    Step& step = add(StepKind::kClose, close == nullptr ? end.end_ns() : close->start_ns, client,
                     close == nullptr ? 0 : close->number);
    step.end_received = EndReceived(!client, close == nullptr ? 0 : close->start_ns);
  }
}

// Stretches of the connection's life that the file does not hold.
void Builder::Gaps() {
  const Connection& connection = *exchange_.connection;
  const uint64_t end_ns = connection.end_ns() == 0 ? UINT64_MAX : connection.end_ns();
  if (trace_.file().given_back() > 0) {
    uint64_t kept_ns = UINT64_MAX;
    for (const BlockEntry& block : trace_.file().blocks()) {
      if (block.event_count() > 0) kept_ns = std::min(kept_ns, block.first_ns());
    }
    if (connection.start_ns() < kept_ns) {
      Step& step = timeline_.steps.emplace_back();
      step.kind = StepKind::kGap;
      step.at_ns = connection.start_ns();
      step.duration_ns = std::min(kept_ns, std::max(end_ns, step.at_ns)) - step.at_ns;
      step.given_back = true;
    }
  }
  for (const DamagedRange& range : trace_.file().damage()) {
    const uint64_t before_ns = range.before_ns == 0 ? UINT64_MAX : range.before_ns;
    if (before_ns < connection.start_ns() || range.after_ns > end_ns) continue;
    Step& step = timeline_.steps.emplace_back();
    step.kind = StepKind::kGap;
    step.at_ns = std::max(range.after_ns, connection.start_ns());
    step.duration_ns = before_ns == UINT64_MAX ? 0 : before_ns - std::min(before_ns, step.at_ns);
  }
}

void Builder::Pause(uint64_t from_ns, uint64_t until_ns, PauseCause cause, bool client,
                    std::vector<Step>& steps) const {
  if (until_ns <= from_ns || until_ns - from_ns < pause_ns_) return;
  Step& step = steps.emplace_back();
  step.kind = StepKind::kPause;
  step.at_ns = from_ns;
  step.duration_ns = until_ns - from_ns;
  step.from_client = client;
  step.pause = cause;
  if (cause != PauseCause::kUnknown && timeline_.dropped > 0) {
    step.pause = PauseCause::kUnknown;
    step.dropped = timeline_.dropped;
  }
}

// Why nothing happened in the time before `next`.
PauseCause Builder::CauseBefore(const Step& next, uint64_t from_ns, uint64_t until_ns) const {
  const uint64_t half_ns = (until_ns - from_ns) / 2;
  const bool actor = next.from_client;
  if (both()) {
    const bool other_asked = TimeAsked(exchange_.asked[!actor], from_ns, until_ns) > half_ns;
    if (other_asked) return actor ? PauseCause::kClientWorking : PauseCause::kServerWorking;
    return PauseCause::kIdle;
  }
  const bool recorded = exchange_.recorded(true);  // which end we know
  if (actor == recorded) return PauseCause::kIdle;
  return TimeAsked(exchange_.asked[recorded], from_ns, until_ns) > half_ns ? PauseCause::kWaitingForPeer
                                                                           : PauseCause::kNotReading;
}

void Builder::Pauses() {
  std::vector<Step> told;
  uint64_t quiet_since_ns = 0;
  for (const Step& step : timeline_.steps) {
    // With one end recorded a transfer's time is its receive's return: it may have been blocked in it until then.
    if (!told.empty() && step.at_ns > quiet_since_ns && step.kind != StepKind::kGap) {
      const PauseCause cause = CauseBefore(step, quiet_since_ns, step.at_ns);
      const bool client = both() || cause == PauseCause::kIdle ? step.from_client : exchange_.recorded(true);
      Pause(quiet_since_ns, step.at_ns, cause, client, told);
    }
    told.push_back(step);
    uint64_t until_ns = step.at_ns;
    if (step.kind == StepKind::kTransfer) {
      const Transfer& transfer = timeline_.transfers[step.transfer];
      const uint64_t sent_ns = std::max(step.at_ns, transfer.send_end_ns);
      until_ns = std::max(sent_ns, transfer.receive_end_ns);
      if (transfer.sender_recorded && transfer.receiver_recorded && transfer.received_ns > transfer.sent_ns) {
        // It lay there unread, or was long on the way.
        const bool reader = !transfer.from_client;
        const uint64_t way_ns = transfer.received_ns - transfer.sent_ns;
        const bool asked = TimeAsked(exchange_.asked[reader], transfer.sent_ns, transfer.received_ns) > way_ns / 2;
        Pause(transfer.sent_ns, transfer.received_ns, asked ? PauseCause::kUnknown : PauseCause::kNotReading, reader,
              told);
      }
    } else if (step.kind == StepKind::kConnect || step.kind == StepKind::kGap) {
      until_ns = step.at_ns + step.duration_ns;
    }
    quiet_since_ns = std::max(quiet_since_ns, until_ns);
  }
  timeline_.steps = std::move(told);
}

absl::StatusOr<Timeline> Builder::Run() {
  timeline_.connection = exchange_.connection;
  timeline_.dropped = DroppedNear(trace_, *exchange_.connection);
  RETURN_IF_ERROR(Transfers());
  ActSteps();
  TransferSteps();
  Gaps();
  std::stable_sort(timeline_.steps.begin(), timeline_.steps.end(),
                   [](const Step& a, const Step& b) { return a.at_ns < b.at_ns; });
  Pauses();
  timeline_.phases = MakePhases(exchange_);
  return std::move(timeline_);
}

}  // namespace

absl::StatusOr<Timeline> BuildTimeline(Trace& trace, const Connection& connection, uint64_t merge_ns,
                                       uint64_t pause_ns) {
  ASSIGN_OR_RETURN(Exchange exchange, ReadExchange(trace, connection));
  return Builder(trace, std::move(exchange), merge_ns, pause_ns).Run();
}

}  // namespace socktale
