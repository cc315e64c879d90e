// SPDX-License-Identifier: Apache-2.0
//
// check_many_calls TRACE REPORT: holds the trace of programs/many_calls against the workload's own report and against
// the records in the payload: no call lost, none torn, each thread's order kept, nothing dropped, every connection's
// ends joined and counted right. Says on stdout what it compared; exit status 1 with the first contradiction on stderr.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "proto/event_view.h"
#include "proto/trace_file_reader.h"
#include "tests/e2e/programs/many_calls.h"

namespace socktale {
namespace {

template <typename... Words>
absl::Status Contradiction(const Words&... words) {
  return absl::DataLossError(absl::StrCat(words...));
}

// A line of the workload's report.
struct Report {
  uint32_t number = 0;
  uint64_t calls = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;
  std::map<Call, uint64_t> made;
};

// tid → what that thread says it did.
absl::StatusOr<std::map<uint32_t, Report>> ReadReport(const char* path) {
  std::ifstream file(path);
  std::map<uint32_t, Report> reports;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    Report report;
    uint32_t tid = 0;
    std::string name;
    words >> name >> report.number >> name >> tid >> name >> report.calls >> name >> report.records >> name >>
        report.bytes;
    for (uint64_t count = 0; words >> name >> count;) {
      Call call = CALL_UNKNOWN;
      if (!Call_Parse("CALL_" + name, &call)) return absl::InvalidArgumentError(absl::StrCat("no call ", name));
      report.made[call] = count;
    }
    if (report.made.empty() || !reports.emplace(tid, report).second) return absl::InvalidArgumentError(line);
  }
  if (reports.empty()) return absl::NotFoundError(absl::StrCat(path, ": no report"));
  return reports;
}

bool IsSend(Call call) {
  return call == CALL_SEND || call == CALL_WRITE || call == CALL_WRITEV || call == CALL_SENDTO || call == CALL_SENDMSG;
}

bool IsReceive(Call call) {
  return call == CALL_RECV || call == CALL_READ || call == CALL_READV || call == CALL_RECVFROM || call == CALL_RECVMSG;
}

// The bytes and descriptors of one connection, as the events of its thread tell them.
struct Link {
  int32_t client_fd = -1;
  int32_t server_fd = -1;
  uint64_t up = 0;
  uint64_t down = 0;
};

// Follows one thread's events in the order of the file.
class ThreadCheck {
 public:
  absl::Status Take(const RunView& run, const EventView& event) {
    if (event.continuation > 0) return Continue(event);
    RETURN_IF_ERROR(EndCall());
    if (event.call >= CALL_ATTACHED) return absl::OkStatus();  // a note of the shim, not a call of the program
    if (event.start_ns < last_end_ns_) {
      return Contradiction("thread ", run.tid, ": a call began at ", event.start_ns, " ns, the one before it ended at ",
                           last_end_ns_);
    }
    last_end_ns_ = event.end_ns();
    ++calls_[event.call];
    open_ = true;
    call_ = event.call;
    fd_ = event.fd;
    result_ = event.result;
    payload_size_ = event.payload_size;
    more_ = (event.notes & EVENT_NOTE_MORE) != 0;
    payload_.assign(event.payload.data(), event.payload.size());
    return absl::OkStatus();
  }

  absl::Status Finish(const Report& report) {
    RETURN_IF_ERROR(EndCall());
    uint64_t total = 0;
    for (const auto& [call, count] : calls_) total += count;
    for (const auto& [call, count] : report.made) {
      if (calls_[call] != count) {
        return Contradiction("thread ", report.number, " made ", count, " calls of ", Call_Name(call),
                             ", recorded: ", calls_[call]);
      }
    }
    if (total != report.calls || records_ != report.records || bytes_ != report.bytes || !in_flight_.empty()) {
      return Contradiction("thread ", report.number, ": ", report.calls, " calls, ", report.records, " records, ",
                           report.bytes, " bytes; recorded: ", total, ", ", records_, ", ", bytes_, ", and ",
                           in_flight_.size(), " bytes that nobody received");
    }
    if (number_ != report.number) return Contradiction("thread ", report.number, " sent records of thread ", number_);
    return absl::OkStatus();
  }

  const std::map<uint32_t, Link>& links() const { return links_; }
  uint64_t continued() const { return continued_; }

 private:
  absl::Status Continue(const EventView& event) {
    ++continued_;
    if (!open_ || !more_ || event.call != call_ || event.fd != fd_ || event.continuation != payload_.size()) {
      return Contradiction("a continuation at byte ", event.continuation, " of ", Call_Name(event.call), " on ",
                           event.fd, " follows ", payload_.size(), " bytes of ", Call_Name(call_), " on ", fd_);
    }
    payload_.append(event.payload.data(), event.payload.size());
    more_ = (event.notes & EVENT_NOTE_MORE) != 0;
    return absl::OkStatus();
  }

  // The call is whole now: what did it move?
  absl::Status EndCall() {
    if (!open_) return absl::OkStatus();
    open_ = false;
    if (!IsSend(call_) && !IsReceive(call_)) return absl::OkStatus();
    if (result_ < 0) return payload_.empty() ? absl::OkStatus() : Contradiction("a failed call with payload");
    if (more_ || payload_.size() != payload_size_ || payload_size_ != static_cast<uint64_t>(result_)) {
      return Contradiction(Call_Name(call_), " returned ", result_, ", payload_size ", payload_size_, ", payload ",
                           payload_.size(), more_ ? ", and more was announced" : "");
    }
    return IsSend(call_) ? Sent() : Received();
  }

  absl::Status Sent() {
    RecordHeader header{};
    if (payload_.size() < sizeof(header)) return Contradiction("a record of ", payload_.size(), " bytes");
    memcpy(&header, payload_.data(), sizeof(header));
    std::string blank = payload_;
    memset(blank.data() + offsetof(RecordHeader, checksum), 0, sizeof(header.checksum));
    const uint32_t checksum = RecordChecksum(reinterpret_cast<const unsigned char*>(blank.data()), blank.size());
    if (header.magic != kRecordMagic || header.size != payload_.size() || header.checksum != checksum) {
      return Contradiction("a torn record: size ", header.size, " in ", payload_.size(), " bytes, checksum ",
                           header.checksum, ", computed ", checksum);
    }
    if (records_ == 0) number_ = header.thread;
    if (header.thread != number_ || header.sequence != records_ || !in_flight_.empty()) {
      return Contradiction("thread ", number_, " sent record ", header.sequence, " of thread ", header.thread,
                           " where its record ", records_, " was due; ", in_flight_.size(), " bytes in flight");
    }
    ++records_;
    bytes_ += payload_.size();
    in_flight_ = payload_;
    Link& link = links_[header.connection];
    to_server_ = header.to_server != 0;
    connection_ = header.connection;
    (to_server_ ? link.up : link.down) += payload_.size();
    return SameDescriptor(to_server_ ? link.client_fd : link.server_fd);
  }

  absl::Status Received() {
    if (in_flight_.compare(0, payload_.size(), payload_) != 0) {
      return Contradiction("record ", records_ - 1, " of thread ", number_, " came in changed");
    }
    in_flight_.erase(0, payload_.size());
    Link& link = links_[connection_];
    return SameDescriptor(to_server_ ? link.server_fd : link.client_fd);
  }

  absl::Status SameDescriptor(int32_t& known) {
    if (known == -1) known = fd_;
    if (known != fd_) return Contradiction("connection ", connection_, " moved from descriptor ", known, " to ", fd_);
    return absl::OkStatus();
  }

  std::map<Call, uint64_t> calls_;
  std::map<uint32_t, Link> links_;
  uint64_t last_end_ns_ = 0;
  uint64_t continued_ = 0;
  uint64_t records_ = 0;
  uint64_t bytes_ = 0;
  uint32_t number_ = 0;
  uint32_t connection_ = 0;
  bool to_server_ = false;
  std::string in_flight_;  // of the last record sent, what was not received yet

  bool open_ = false;  // a call whose payload may go on
  Call call_ = CALL_UNKNOWN;
  int32_t fd_ = -1;
  int64_t result_ = 0;
  uint64_t payload_size_ = 0;
  bool more_ = false;
  std::string payload_;
};

absl::Status ReadThreads(TraceFileReader& reader, std::map<uint32_t, ThreadCheck>& threads) {
  EventView event;
  for (size_t position = 0; position < reader.blocks().size(); ++position) {
    if (reader.blocks()[position].kind() != BLOCK_KIND_EVENTS) continue;
    ASSIGN_OR_RETURN(absl::string_view rest, reader.ReadBlock(position));
    RunView run;
    for (bool found = false;;) {
      RETURN_IF_ERROR(NextRun(rest, run, found));
      if (!found) break;
      const auto thread = threads.find(run.tid);
      if (thread == threads.end()) continue;  // main
      for (absl::string_view events = run.events, bytes;;) {
        RETURN_IF_ERROR(NextEvent(events, bytes, found));
        if (!found) break;
        RETURN_IF_ERROR(ParseEvent(bytes, run.base_ns, event));
        RETURN_IF_ERROR(thread->second.Take(run, event));
      }
    }
  }
  return absl::OkStatus();
}

// The tables tell the same connections: descriptors of both ends and bytes both ways.
absl::Status CheckTables(const Tables& tables, const std::map<uint32_t, ThreadCheck>& threads) {
  using Told = std::tuple<int32_t, int32_t, uint64_t, uint64_t, uint64_t, uint64_t>;
  std::multiset<Told> exchanged, told;
  for (const auto& [tid, thread] : threads) {
    for (const auto& [number, link] : thread.links()) {
      exchanged.emplace(link.client_fd, link.server_fd, link.up, link.up, link.down, link.down);
    }
  }
  for (const Connection& connection : tables.connection()) {
    const Endpoint &client = connection.client(), &server = connection.server();
    if (connection.join() != JOIN_KIND_ADDRESSES) return Contradiction("not joined: ", connection.ShortDebugString());
    told.emplace(client.fd(), server.fd(), client.sent(), server.received(), server.sent(), client.received());
  }
  if (told != exchanged) {
    return Contradiction("the tables tell ", told.size(), " connections, the threads ", exchanged.size(),
                         ", or other descriptors or byte counts");
  }
  for (const Drop& drop : tables.drop()) {
    if (drop.events() != 0) return Contradiction(drop.events(), " events dropped, cause ", drop.cause());
  }
  return absl::OkStatus();
}

absl::Status Check(const char* trace, const char* report) {
  ASSIGN_OR_RETURN(const auto reports, ReadReport(report));
  ASSIGN_OR_RETURN(TraceFileReader reader, TraceFileReader::Open(trace));
  if (!reader.sealed() || !reader.damage().empty()) return Contradiction("the trace is not sealed, or damaged");
  std::map<uint32_t, ThreadCheck> threads;
  for (const auto& [tid, said] : reports) threads[tid];
  RETURN_IF_ERROR(ReadThreads(reader, threads));
  uint64_t calls = 0, bytes = 0, continued = 0;
  for (const auto& [tid, said] : reports) {
    RETURN_IF_ERROR(threads[tid].Finish(said));
    calls += said.calls;
    bytes += said.bytes;
    continued += threads[tid].continued();
  }
  bool found = false;
  ASSIGN_OR_RETURN(const Tables tables, reader.ReadTables(&found));
  if (!found) return Contradiction("no tables");
  RETURN_IF_ERROR(CheckTables(tables, threads));
  printf("%" PRIu64 " calls of %zu threads, %" PRIu64 " bytes sent, %d connections; %" PRIu64
         " events continue another\n",
         calls, reports.size(), bytes, tables.connection_size(), continued);
  return absl::OkStatus();
}

}  // namespace
}  // namespace socktale

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: check_many_calls TRACE REPORT\n");
    return 2;
  }
  const absl::Status status = socktale::Check(argv[1], argv[2]);
  if (!status.ok()) fprintf(stderr, "check_many_calls: %s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
