// SPDX-License-Identifier: Apache-2.0
//
// The calls that make up a connection's conversation: what each end sent and received, call by call and in stream
// order, where the bytes stand in the file, and when each end was asking for more.

#ifndef SOCKTALE_VIEWER_MODEL_EXCHANGE_H_
#define SOCKTALE_VIEWER_MODEL_EXCHANGE_H_

#include <cstdint>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "viewer/model/event_source.h"
#include "viewer/model/trace.h"

namespace socktale {

// What one call moved on the connection: some bytes of a stream, or one datagram.
struct Piece {
  bool client = false;          // the end that made the call
  bool out = false;             // it sent
  bool recorded_sender = true;  // false: told by the call that received it
  uint64_t start_ns = 0;
  uint64_t end_ns = 0;
  uint64_t number = 0;  // eN
  uint64_t offset = 0;  // of its first byte in its direction's stream
  uint64_t size = 0;
  uint64_t kept = 0;  // bytes that `fragments` hold
  uint32_t notes = 0;
  absl::InlinedVector<Fragment, 1> fragments;  // in order; what is cut is cut at the end
};

// Any other call on the connection, a receive of the end of stream and failed calls among them.
struct Act {
  bool client = false;
  Call call = CALL_UNKNOWN;
  uint64_t start_ns = 0;
  uint64_t end_ns = 0;
  uint64_t number = 0;
  uint32_t error = 0;
  uint32_t flags = 0;
  bool end_of_stream = false;
};

// A stretch in which an end waited for something to come, blocked in a receive or in poll and its kin.
struct Asked {
  uint64_t start_ns = 0;
  uint64_t end_ns = 0;
};

struct Exchange {
  const Connection* connection = nullptr;
  bool datagrams = false;
  std::vector<Piece> sent[2];      // by the server, by the client: in stream order
  std::vector<Piece> received[2];  // by the server, by the client
  std::vector<Act> acts;           // in order of return
  std::vector<Asked> asked[2];     // of the server, of the client: in order
  uint64_t resolve_ns = 0;         // how long the client's resolution of the server's address took; 0: none seen

  bool recorded(bool client) const { return (client ? connection->client() : connection->server()).object() != 0; }
};

// Reads the connection's calls. Payload stays in the file.
absl::StatusOr<Exchange> ReadExchange(Trace& trace, const Connection& connection);

// One direction in stream order: what the sender's calls tell, with holes filled from the receiver's; or what the
// receiver's calls tell where that is more, for then the sender sent where it was not seen.
std::vector<Piece> Direction(const Exchange& exchange, bool from_client);

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_MODEL_EXCHANGE_H_
