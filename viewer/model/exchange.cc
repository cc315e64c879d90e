// SPDX-License-Identifier: Apache-2.0
//
// Events → pieces.

#include "viewer/model/exchange.h"

#include <sys/socket.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/status_macros.h"
#include "collector/aggregate/address.h"
#include "collector/aggregate/pending.h"
#include "collector/aggregate/socket_type.h"
#include "proto/call_families.h"

namespace socktale {
namespace {

// A receive that took longer was blocked (the aggregator's measure, too).
constexpr uint64_t kBlockedNs = 20'000;
// How long before a receive another thread's poll may have ended to count as what led to it.
constexpr uint64_t kHandOverNs = 10'000'000;

// What the kernel moves in one call at most (MAX_RW_COUNT). A damaged trace may say more, which would add up to
// nonsense.
constexpr uint64_t kMostOfACall = uint64_t{1} << 31;

// A message of the call: where in the call's payload it stands, and the piece that holds it.
struct OpenPiece {
  std::vector<Piece>* list = nullptr;
  size_t index = 0;
  uint64_t begin = 0;
  uint64_t end = 0;
};

struct ThreadInfo {
  std::vector<Asked> waits;     // since its last call on the connection
  std::vector<OpenPiece> open;  // pieces that a continuation may add to
};

class Reader {
 public:
  Reader(Trace& trace, const Connection& connection) : trace_(trace), connection_(connection) {
    exchange_.connection = &connection;
    exchange_.datagrams = !IsStreamType(connection.type());
  }

  absl::StatusOr<Exchange> Run();

 private:
  using ThreadKey = std::tuple<uint32_t, uint32_t, uint32_t, uint64_t>;

  void Take(const TracedEvent& traced);
  void Resolved(const TracedEvent& traced);
  // What a call did on one of the objects that it worked on. out: it sent, where it moves bytes.
  void On(const TracedEvent& traced, const Object* object, bool out, ThreadInfo& thread);
  void Transfer(const TracedEvent& traced, const Object& object, const Side& side, bool out, ThreadInfo& thread);
  void AddPiece(const TracedEvent& traced, const Side& side, bool out, uint64_t begin, uint64_t size,
                ThreadInfo& thread);
  void Continue(const TracedEvent& traced, ThreadInfo& thread);
  void Ask(const TracedEvent& traced, const Side& side, ThreadInfo& thread);
  uint64_t MovedBefore(const std::vector<Piece>& pieces, bool client) const;

  Trace& trace_;
  const Connection& connection_;
  Exchange exchange_;
  absl::flat_hash_map<ThreadKey, ThreadInfo> threads_;
  absl::flat_hash_map<uint32_t, Asked> last_wait_;  // by process
};

void AddFragment(Piece& piece, const EventKey& key, uint64_t begin, uint64_t size) {
  if (size == 0) return;
  piece.fragments.push_back({key, begin, size});
  piece.kept += size;
}

void Reader::AddPiece(const TracedEvent& traced, const Side& side, bool out, uint64_t begin, uint64_t size,
                      ThreadInfo& thread) {
  const EventView& event = *traced.event;
  std::vector<Piece>& list = (out ? exchange_.sent : exchange_.received)[side.client];
  Piece& piece = list.emplace_back();
  piece.client = side.client;
  piece.out = out;
  piece.recorded_sender = out;
  piece.start_ns = event.start_ns;
  piece.end_ns = event.end_ns();
  piece.number = traced.number;
  piece.size = std::min(size, kMostOfACall);
  piece.notes = event.notes;
  const uint64_t kept = event.payload.size();
  if (begin < kept) AddFragment(piece, traced.key, begin, std::min(piece.size, kept - begin));
  if ((event.notes & EVENT_NOTE_MORE) != 0) thread.open.push_back({&list, list.size() - 1, begin, begin + piece.size});
}

void Reader::Transfer(const TracedEvent& traced, const Object& object, const Side& side, bool out, ThreadInfo& thread) {
  const EventView& event = *traced.event;
  if (!out) Ask(traced, side, thread);
  thread.waits.clear();
  const bool peeked = (event.notes & EVENT_NOTE_PEEK) != 0;
  const uint64_t moved = MovedBytes(event);
  if (event.error != 0 || peeked || (moved == 0 && !exchange_.datagrams && event.datagrams.empty())) {
    Act act = {side.client, event.call, event.start_ns, event.end_ns(), traced.number, event.error, event.flags, false};
    act.end_of_stream = event.error == 0 && !peeked && !out && event.result == 0 && event.size > 0;
    exchange_.acts.push_back(act);
    return;
  }
  if (event.datagrams.empty()) return AddPiece(traced, side, out, 0, moved, thread);
  for (const auto& [begin, size] : trace_.lookup().MessagesOf(side, object, event)) {
    AddPiece(traced, side, out, begin, size, thread);
  }
}

void Reader::Continue(const TracedEvent& traced, ThreadInfo& thread) {
  const EventView& event = *traced.event;
  const uint64_t first = event.continuation;
  const uint64_t last = first + event.payload.size();
  for (const OpenPiece& open : thread.open) {
    // Only what follows without a hole: a damaged trace may repeat or leave out parts.
    Piece& piece = (*open.list)[open.index];
    const uint64_t next = open.begin + piece.kept;
    const uint64_t end = std::min(last, open.end);
    if (first <= next && next < end) AddFragment(piece, traced.key, next - first, end - next);
  }
  if ((event.notes & EVENT_NOTE_MORE) == 0) thread.open.clear();
}

// The end asked: from the polls that led to this receive, and in the receive itself where it was blocked.
void Reader::Ask(const TracedEvent& traced, const Side& side, ThreadInfo& thread) {
  const EventView& event = *traced.event;
  std::vector<Asked>& asked = exchange_.asked[side.client];
  if (thread.waits.empty() && traced.process != nullptr) {
    const auto last = last_wait_.find(traced.process->id());
    if (last != last_wait_.end() && last->second.end_ns <= event.start_ns &&
        event.start_ns - last->second.end_ns < kHandOverNs) {
      asked.push_back(last->second);
    }
  }
  asked.insert(asked.end(), thread.waits.begin(), thread.waits.end());
  if (event.duration_ns > kBlockedNs) asked.push_back({event.start_ns, event.end_ns()});
}

void Reader::Resolved(const TracedEvent& traced) {
  const EventView& event = *traced.event;
  if (traced.process == nullptr || traced.process->id() != connection_.client().process() || event.result != 0 ||
      event.end_ns() > connection_.client().start_ns()) {
    return;
  }
  const auto server = ParseInternetAddress(connection_.server().address());
  for (const absl::string_view answer : event.answers) {
    const auto address = ParseInternetAddress(answer);
    if (server && address && server->ip == address->ip) exchange_.resolve_ns = event.duration_ns;
  }
}

void Reader::Take(const TracedEvent& traced) {
  const EventView& event = *traced.event;
  const RunView& run = *traced.run;
  if (event.call == CALL_GETADDRINFO || event.call == CALL_GETHOSTBYNAME) return Resolved(traced);
  ThreadInfo& thread = threads_[{run.image, run.tid, run.level, run.thread_start_ns}];
  if (IsWait(event.call)) {
    const Asked wait = {event.start_ns, event.end_ns()};
    constexpr size_t kMostWaits = 4096;  // of a thread that does nothing else
    if (thread.waits.size() < kMostWaits) {
      thread.waits.push_back(wait);
    } else {
      thread.waits.back().end_ns = wait.end_ns;
    }
    if (traced.process != nullptr) last_wait_[traced.process->id()] = wait;
    return;
  }
  if (event.continuation != 0) return Continue(traced, thread);
  if (IsTransfer(event.call) || IsCopy(event.call)) thread.open.clear();
  On(traced, traced.source, false, thread);
  On(traced, traced.object, IsSend(event.call) || IsCopy(event.call), thread);
}

void Reader::On(const TracedEvent& traced, const Object* object, bool out, ThreadInfo& thread) {
  if (object == nullptr) return;
  const EventView& event = *traced.event;
  for (const Side& side : trace_.lookup().SidesOf(*object, event)) {
    if (side.connection != &connection_) continue;
    if (IsTransfer(event.call) || IsCopy(event.call)) {
      Transfer(traced, *object, side, out, thread);
    } else {
      exchange_.acts.push_back(
          {side.client, event.call, event.start_ns, event.end_ns(), traced.number, event.error, event.flags, false});
    }
  }
}

// Bytes of the stream before the first of these pieces, of one end. Where a ring gave back the connection's beginning,
// its end is here, and the tables know how much there was in all.
uint64_t Reader::MovedBefore(const std::vector<Piece>& pieces, bool client) const {
  if (trace_.file().given_back() == 0 || exchange_.datagrams || pieces.empty()) return 0;
  const Endpoint& end = client ? connection_.client() : connection_.server();
  const uint64_t all = pieces.front().out ? end.sent() : end.received();
  uint64_t told = 0;
  for (const Piece& piece : pieces) told += piece.size;
  return all - std::min(all, told);
}

absl::StatusOr<Exchange> Reader::Run() {
  RETURN_IF_ERROR(trace_.ForEachEventNear(connection_, [this](const TracedEvent& traced) {
    Take(traced);
    return true;
  }));
  // The kernel takes and gives bytes in the order in which calls return; calls of one thread are in order anyway.
  for (const bool client : {false, true}) {
    for (std::vector<Piece>* list : {&exchange_.sent[client], &exchange_.received[client]}) {
      std::sort(list->begin(), list->end(), [](const Piece& a, const Piece& b) {
        return std::tie(a.end_ns, a.number) < std::tie(b.end_ns, b.number);
      });
      uint64_t offset = MovedBefore(*list, client);
      for (Piece& piece : *list) {
        piece.offset = offset;
        offset += piece.size;
      }
    }
    std::sort(exchange_.asked[client].begin(), exchange_.asked[client].end(), [](const Asked& a, const Asked& b) {
      return std::tie(a.start_ns, a.end_ns) < std::tie(b.start_ns, b.end_ns);
    });
  }
  std::sort(exchange_.acts.begin(), exchange_.acts.end(),
            [](const Act& a, const Act& b) { return std::tie(a.end_ns, a.number) < std::tie(b.end_ns, b.number); });
  return std::move(exchange_);
}

// Bytes of a stream that the calls of one end tell of.
uint64_t StreamSize(const std::vector<Piece>& pieces) {
  return pieces.empty() ? 0 : pieces.back().offset + pieces.back().size;
}

// Appends to `piece` what the receives kept of the stream from `from` on, without a hole. received: by offset.
void FillFrom(const std::vector<Piece>& received, uint64_t from, Piece& piece) {
  const uint64_t end = piece.offset + piece.size;
  auto it = std::upper_bound(received.begin(), received.end(), from,
                             [](uint64_t offset, const Piece& r) { return offset < r.offset + r.size; });
  for (; it != received.end() && from < end && it->offset <= from; ++it) {
    uint64_t at = it->offset;
    for (const Fragment& fragment : it->fragments) {
      if (from >= at && from < at + fragment.size) {
        const uint64_t size = std::min(at + fragment.size, end) - from;
        AddFragment(piece, fragment.key, fragment.begin + (from - at), size);
        from += size;
      }
      at += fragment.size;
    }
    if (at < it->offset + it->size) return;  // a hole there, too
  }
}

}  // namespace

absl::StatusOr<Exchange> ReadExchange(Trace& trace, const Connection& connection) {
  return Reader(trace, connection).Run();
}

std::vector<Piece> Direction(const Exchange& exchange, bool from_client) {
  std::vector<Piece> pieces = exchange.sent[from_client];
  const std::vector<Piece>& received = exchange.received[!from_client];
  if (exchange.datagrams) return pieces.empty() ? received : pieces;
  // More came than was seen to go: some was sent inside libc (stdio) or by direct system calls, and the sends that were
  // seen cannot tell where between them. What came in tells all of it, in order.
  if (StreamSize(received) > StreamSize(pieces)) return received;
  for (Piece& piece : pieces) {
    if (piece.kept < piece.size) FillFrom(received, piece.offset + piece.kept, piece);
  }
  return pieces;
}

}  // namespace socktale
