// SPDX-License-Identifier: Apache-2.0
//
// Walks one end's calls in order of time and gives each moment to one phase.

#include "viewer/model/phases.h"

#include <algorithm>
#include <tuple>

#include "proto/call_families.h"

namespace socktale {
namespace {

// One call of the end told from.
struct Busy {
  uint64_t start_ns = 0;
  uint64_t end_ns = 0;
  bool out = false;
  bool came = false;      // a receive that brought bytes, or the end of the stream
  uint64_t there_ns = 0;  // when its first byte was sent; 0: not known
};

uint64_t Overlap(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
  const uint64_t from = std::max(a, c);
  const uint64_t until = std::min(b, d);
  return until > from ? until - from : 0;
}

// When the byte at `offset` was sent: the entry of its send, after which the other end may have it at any moment.
// 0: not known.
uint64_t SentAt(const std::vector<Piece>& sent, uint64_t offset) {
  const auto it = std::upper_bound(sent.begin(), sent.end(), offset,
                                   [](uint64_t at, const Piece& piece) { return at < piece.offset + piece.size; });
  return it == sent.end() ? 0 : it->start_ns;
}

// Stretches in which the peer was at work: from a receive's return until its next send was under way.
std::vector<Asked> Work(const Exchange& exchange, bool client) {
  std::vector<std::pair<uint64_t, bool>> marks;  // time, whether something was received
  for (const Piece& piece : exchange.received[client]) marks.emplace_back(piece.end_ns, true);
  for (const Piece& piece : exchange.sent[client]) marks.emplace_back(piece.start_ns, false);
  std::sort(marks.begin(), marks.end());
  std::vector<Asked> work;
  uint64_t since_ns = 0;
  bool working = false;
  for (const auto& [time_ns, received] : marks) {
    if (received) {
      if (!working) since_ns = time_ns;
      working = true;
    } else if (working) {
      work.push_back({since_ns, time_ns});
      since_ns = time_ns;  // a second send without a receive between is work, too
    }
  }
  return work;
}

}  // namespace

uint64_t TimeAsked(const std::vector<Asked>& asked, uint64_t from_ns, uint64_t until_ns) {
  uint64_t total_ns = 0;
  uint64_t done_ns = from_ns;
  for (const Asked& stretch : asked) {
    if (stretch.start_ns >= until_ns) break;
    const uint64_t start_ns = std::max(done_ns, stretch.start_ns);
    const uint64_t end_ns = std::min(until_ns, stretch.end_ns);
    if (end_ns <= start_ns) continue;
    total_ns += end_ns - start_ns;
    done_ns = end_ns;
  }
  return total_ns;
}

Phases MakePhases(const Exchange& exchange) {
  const bool client = exchange.recorded(true);
  const Connection& connection = *exchange.connection;
  const Endpoint& end = client ? connection.client() : connection.server();
  const bool both = exchange.recorded(true) && exchange.recorded(false);
  Phases phases;
  phases.resolve_ns = exchange.resolve_ns;
  uint64_t at_ns = end.start_ns();
  if (client && end.established_ns() > end.start_ns()) {
    phases.connect_ns = end.established_ns() - end.start_ns();
    at_ns = end.established_ns();
  } else if (client && end.established_ns() == 0 && connection.end_ns() > at_ns) {
    phases.connect_ns = connection.end_ns() - at_ns;
    return phases;
  }

  std::vector<Busy> calls;
  for (const Piece& piece : exchange.sent[client]) calls.push_back({piece.start_ns, piece.end_ns, true, false, 0});
  for (const Piece& piece : exchange.received[client]) {
    const uint64_t there_ns = both && !exchange.datagrams ? SentAt(exchange.sent[!client], piece.offset) : 0;
    calls.push_back({piece.start_ns, piece.end_ns, false, true, there_ns});
  }
  for (const Act& act : exchange.acts) {
    if (act.client == client && IsReceive(act.call))
      calls.push_back({act.start_ns, act.end_ns, false, act.end_of_stream, 0});
  }
  std::sort(calls.begin(), calls.end(), [](const Busy& a, const Busy& b) {
    return std::tie(a.start_ns, a.end_ns) < std::tie(b.start_ns, b.end_ns);
  });

  const std::vector<Asked>& asked = exchange.asked[client];
  const std::vector<Asked> work = both ? Work(exchange, !client) : std::vector<Asked>();
  size_t first_work = 0;
  const auto wait = [&](uint64_t from_ns, uint64_t until_ns, uint64_t waited_ns) {
    phases.wait_ns += waited_ns;
    if (!both) return;
    while (first_work < work.size() && work[first_work].end_ns <= from_ns) ++first_work;
    uint64_t worked_ns = 0;
    for (size_t i = first_work; i < work.size() && work[i].start_ns < until_ns; ++i) {
      worked_ns += Overlap(from_ns, until_ns, work[i].start_ns, work[i].end_ns);
    }
    worked_ns = std::min(worked_ns, waited_ns);
    phases.wait_peer_ns += worked_ns;
    phases.wait_network_ns += waited_ns - worked_ns;
  };
  for (const Busy& call : calls) {
    const uint64_t start_ns = std::max(at_ns, call.start_ns);
    if (start_ns > at_ns) {
      // Polls count where something came of them; before an own send the end could as well have sent at once.
      const uint64_t waited_ns = call.came ? TimeAsked(asked, at_ns, start_ns) : 0;
      if (waited_ns > 0) wait(at_ns, start_ns, waited_ns);
      phases.idle_ns += start_ns - at_ns - waited_ns;
    }
    const uint64_t end_ns = std::max(start_ns, call.end_ns);
    if (call.out) {
      phases.send_ns += end_ns - start_ns;
    } else {
      uint64_t waited_ns = std::min(TimeAsked(asked, start_ns, end_ns), end_ns - start_ns);
      if (call.there_ns != 0) waited_ns = std::min(waited_ns, call.there_ns > start_ns ? call.there_ns - start_ns : 0);
      if (waited_ns > 0) wait(start_ns, start_ns + waited_ns, waited_ns);
      phases.recv_ns += end_ns - start_ns - waited_ns;
    }
    at_ns = end_ns;
  }
  const uint64_t life_end_ns = std::max(end.end_ns(), connection.end_ns());
  if (life_end_ns > at_ns) phases.idle_ns += life_end_ns - at_ns;
  return phases;
}

}  // namespace socktale
