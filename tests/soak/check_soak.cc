// SPDX-License-Identifier: Apache-2.0
//
// check_soak kills TRACE ROUNDS: holds the trace of programs/killer against what the killed programs had done.
// check_soak swarm TRACE PROCESSES: holds the trace of programs/swarm against what its children do.
// Says on stdout what it compared; exit status 1 with the first contradiction on stderr.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "proto/event_view.h"
#include "proto/trace_file_reader.h"
#include "tests/soak/programs/soak.h"

namespace socktale {
namespace {

template <typename... Words>
absl::Status Contradiction(const Words&... words) {
  return absl::DataLossError(absl::StrCat(words...));
}

// The numbers of the messages of one stream that one call moved.
struct Seen {
  std::vector<uint8_t> times;  // by number

  void Add(uint64_t number) {
    if (times.size() <= number) times.resize(number + 1);
    ++times[number];
  }
};

using StreamKey = std::tuple<uint32_t, uint32_t, Call>;  // round, stream, CALL_SEND or CALL_RECV

// Reads every message that the trace's sends and receives carry; none may be torn.
class Messages {
 public:
  absl::Status Read(TraceFileReader& reader) {
    EventView event;
    for (size_t position = 0; position < reader.blocks().size(); ++position) {
      if (reader.blocks()[position].kind() != BLOCK_KIND_EVENTS) continue;
      ASSIGN_OR_RETURN(absl::string_view rest, reader.ReadBlock(position));
      RunView run;
      for (bool found = false;;) {
        RETURN_IF_ERROR(NextRun(rest, run, found));
        if (!found) break;
        for (absl::string_view events = run.events, bytes;;) {
          RETURN_IF_ERROR(NextEvent(events, bytes, found));
          if (!found) break;
          RETURN_IF_ERROR(ParseEvent(bytes, run.base_ns, event));
          ++events_;
          RETURN_IF_ERROR(Take({run.image, run.tid, run.level}, event));
        }
      }
    }
    // What is open now was in the writing when its program was killed: the rest of a payload that did not fit a chunk.
    return absl::OkStatus();
  }

  uint64_t events() const { return events_; }
  uint64_t whole() const { return whole_; }
  uint64_t continued() const { return continued_; }
  uint64_t nested() const { return nested_; }  // messages of handlers that broke in on the writing of an event
  const std::map<StreamKey, Seen>& seen() const { return seen_; }

 private:
  using Writer = std::tuple<uint32_t, uint32_t, uint32_t>;  // image, thread, nesting level
  struct Open {
    Call call = CALL_UNKNOWN;
    uint64_t size = 0;
    std::string payload;
  };

  absl::Status Take(const Writer& writer, const EventView& event) {
    const auto open = open_.find(writer);
    if (event.continuation > 0) {
      ++continued_;
      if (open == open_.end() || open->second.call != event.call || event.continuation != open->second.payload.size()) {
        return Contradiction("a continuation at byte ", event.continuation, " of ", Call_Name(event.call),
                             " follows nothing of the kind");
      }
    } else if (open != open_.end()) {
      return Contradiction("an event follows ", open->second.payload.size(), " bytes of ", open->second.size);
    }
    if ((event.call != CALL_SEND && event.call != CALL_RECV) || event.result < 0) return absl::OkStatus();
    Open& whole = open_[writer];
    if (event.continuation == 0) {
      whole.call = event.call;
      whole.size = static_cast<uint64_t>(event.result);
    }
    whole.payload.append(event.payload.data(), event.payload.size());
    if ((event.notes & EVENT_NOTE_MORE) != 0) return absl::OkStatus();
    const Open complete = std::move(whole);
    open_.erase(writer);
    nested_ += std::get<2>(writer) > 0;
    return Check(complete);
  }

  absl::Status Check(const Open& message) {
    Message header{};
    const std::string& bytes = message.payload;
    if (bytes.size() != message.size || bytes.size() < sizeof header) {
      return Contradiction("torn: ", bytes.size(), " bytes of a message of ", message.size);
    }
    memcpy(&header, bytes.data(), sizeof header);
    if (header.magic != kMessageMagic || header.size != bytes.size() || header.stream >= kSoakStreams) {
      return Contradiction("torn: the head of a message of ", message.size, " bytes");
    }
    std::vector<unsigned char> expected(header.size);
    MakeMessage(expected.data(), header.round, header.stream, header.number);
    if (memcmp(expected.data(), bytes.data(), bytes.size()) != 0) {
      return Contradiction("torn: message ", header.number, " of stream ", header.stream, ", round ", header.round);
    }
    ++whole_;
    seen_[{header.round, header.stream, message.call}].Add(header.number);
    return absl::OkStatus();
  }

  uint64_t events_ = 0;
  uint64_t whole_ = 0;
  uint64_t continued_ = 0;
  uint64_t nested_ = 0;
  std::map<Writer, Open> open_;
  std::map<StreamKey, Seen> seen_;
};

absl::Status CheckDrops(TraceFileReader& reader, Tables& tables) {
  if (!reader.sealed() || !reader.damage().empty()) return Contradiction("the trace is not sealed, or damaged");
  bool found = false;
  ASSIGN_OR_RETURN(tables, reader.ReadTables(&found));
  if (!found) return Contradiction("no tables");
  for (const Drop& drop : tables.drop()) {
    if (drop.events() != 0) return Contradiction(drop.events(), " events dropped, cause ", drop.cause());
  }
  return absl::OkStatus();
}

// Of one stream: 1 to `done` once each; perhaps the one after it, in whose midst the program was killed.
absl::Status CheckStream(const StreamKey& key, const Seen& seen, uint64_t done) {
  const auto& [round, stream, call] = key;
  const auto where = absl::StrCat("round ", round, ", stream ", stream, ", ", Call_Name(call));
  for (uint64_t number = 1; number <= done; ++number) {
    const int times = number < seen.times.size() ? seen.times[number] : 0;
    if (times != 1) return Contradiction(where, ": message ", number, " of ", done, " is there ", times, " times");
  }
  if (seen.times.size() > done + 2) {
    return Contradiction(where, ": message ", seen.times.size() - 1, " is there, of ", done);
  }
  if (seen.times.size() > done + 1 && seen.times[done + 1] > 1) {
    return Contradiction(where, ": message ", done + 1, " is there ", seen.times[done + 1], " times");
  }
  return absl::OkStatus();
}

absl::Status CheckKills(const char* trace, const char* rounds_path) {
  std::ifstream file(rounds_path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t rounds = bytes.size() / sizeof(Round);
  if (rounds == 0) return absl::NotFoundError(absl::StrCat(rounds_path, ": no rounds"));
  ASSIGN_OR_RETURN(TraceFileReader reader, TraceFileReader::Open(trace));
  Tables tables;
  RETURN_IF_ERROR(CheckDrops(reader, tables));
  Messages messages;
  RETURN_IF_ERROR(messages.Read(reader));
  uint64_t committed = 0;
  for (size_t i = 0; i < rounds; ++i) {
    uint64_t done[kSoakStreams];
    memcpy(done, bytes.data() + i * sizeof(Round), sizeof done);
    if (done[0] == 0) return Contradiction("round ", i, " did nothing");
    for (uint32_t stream = 0; stream < kSoakStreams; ++stream) {
      for (const Call call : {CALL_SEND, CALL_RECV}) {
        const StreamKey key = {static_cast<uint32_t>(i), stream, call};
        const auto found = messages.seen().find(key);
        RETURN_IF_ERROR(CheckStream(key, found != messages.seen().end() ? found->second : Seen(), done[stream]));
        committed += done[stream];
      }
    }
  }
  // A storm without them would prove less than it says.
  if (messages.nested() == 0) return Contradiction("no handler wrote amid the writing of another event");
  if (messages.continued() == 0) return Contradiction("no event goes on in another");
  printf("%zu kills: %" PRIu64 " events, %" PRIu64 " of them known to be committed, 0 lost, 0 torn; %" PRIu64
         " by handlers amid the writing of another; %" PRIu64 " continue another\n",
         rounds, messages.events(), committed, messages.nested(), messages.continued());
  return absl::OkStatus();
}

absl::Status CheckSwarm(const char* trace, uint64_t processes) {
  ASSIGN_OR_RETURN(TraceFileReader reader, TraceFileReader::Open(trace));
  Tables tables;
  RETURN_IF_ERROR(CheckDrops(reader, tables));
  Messages messages;
  RETURN_IF_ERROR(messages.Read(reader));
  for (uint32_t number = 0; number < processes; ++number) {
    for (const Call call : {CALL_SEND, CALL_RECV}) {
      const auto found = messages.seen().find({number, 0, call});
      RETURN_IF_ERROR(CheckStream({number, 0, call}, found != messages.seen().end() ? found->second : Seen(), 1));
    }
  }
  if (messages.whole() != 2 * processes) {
    return Contradiction(messages.whole(), " messages of ", processes, " processes, sent and received");
  }
  if (static_cast<uint64_t>(tables.process_size()) != processes + 1) {
    return Contradiction("the tables have ", tables.process_size(), " processes, there were ", processes + 1);
  }
  printf("%" PRIu64 " processes: all in the tables, %" PRIu64 " events, %" PRIu64
         " messages sent and received, 0 lost, 0 torn\n",
         processes, messages.events(), messages.whole());
  return absl::OkStatus();
}

}  // namespace
}  // namespace socktale

int main(int argc, char** argv) {
  if (argc != 4 || (strcmp(argv[1], "kills") != 0 && strcmp(argv[1], "swarm") != 0)) {
    fprintf(stderr, "usage: check_soak kills TRACE ROUNDS\n       check_soak swarm TRACE PROCESSES\n");
    return 2;
  }
  const absl::Status status = strcmp(argv[1], "kills") == 0
                                  ? socktale::CheckKills(argv[2], argv[3])
                                  : socktale::CheckSwarm(argv[2], strtoull(argv[3], nullptr, 10));
  if (!status.ok()) fprintf(stderr, "check_soak: %s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
