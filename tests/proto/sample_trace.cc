// SPDX-License-Identifier: Apache-2.0

#include "tests/proto/sample_trace.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "proto/trace_file_writer.h"

namespace socktale {

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "socktale-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder at " + name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path);
}

TraceHeader SampleHeader() {
  TraceHeader header;
  header.set_version("0.1.0");
  header.set_session("0123456789abcdef");
  header.set_start_wall_ns(1'700'000'000'000'000'000);
  header.set_base_ns(5'000'000'000);
  header.add_command("curl");
  header.add_command("http://localhost:8080/hello");
  header.set_host("example");
  header.set_kernel("6.1.0");
  header.set_io("sockets");
  header.set_name("curl-1");
  return header;
}

std::string SampleEvents(uint64_t block, uint64_t count) {
  Events events;
  Run& run = *events.add_run();
  run.set_image(static_cast<uint32_t>(1 + block % 4));
  run.set_base_ns(block * 1000);
  run.set_tid(4242);
  run.set_chunk_sequence(block);
  uint32_t state = static_cast<uint32_t>(block) * 2654435761u + 1;
  for (uint64_t i = 0; i < count; ++i) {
    Event& event = *run.add_event();
    event.set_call(CALL_SEND);
    event.set_fd(3 + static_cast<int32_t>(i % 5));
    event.set_start_ns(i * (900 / (count + 1)));
    event.set_duration_ns(1);
    state = state * 1664525u + 1013904223u;
    const std::string line = "event " + std::to_string(i) + " of block " + std::to_string(block) + "\r\n";
    std::string payload;
    for (uint32_t size = 40 + (state >> 16) % 260; payload.size() < size;) payload += line;
    event.set_result(static_cast<int64_t>(payload.size()));
    event.set_payload(payload);
  }
  return events.SerializeAsString();
}

Tables SampleTables(uint64_t connections) {
  Tables tables;
  Process& process = *tables.add_process();
  process.set_id(1);
  process.set_pid(4242);
  process.set_pid_use(1);
  process.set_name("curl");
  for (uint32_t id = 1; id <= connections; ++id) {
    Connection& connection = *tables.add_connection();
    connection.set_id(id);
    connection.set_domain(2);
    connection.set_type(1);
    connection.mutable_client()->set_process(1);
    connection.mutable_client()->set_sent(100 + id);
    connection.set_start_ns(id * 10);
  }
  return tables;
}

std::string WriteSample(const std::string& path, uint64_t blocks, bool seal) {
  absl::StatusOr<TraceFileWriter> writer = TraceFileWriter::Create(path, SampleHeader(), /*overwrite=*/true);
  if (!writer.ok()) throw std::runtime_error(writer.status().ToString());
  std::vector<ConnectionBlocks> connections(3);
  for (uint32_t i = 0; i < 3; ++i) connections[i].set_connection(i + 1);
  for (uint64_t i = 1; i <= blocks; ++i) {
    EventBlockInfo info{i * 1000, i * 1000 + 900, kSampleEvents, {static_cast<uint32_t>(1 + i % 4)}};
    connections[i % 3].add_block(static_cast<uint32_t>(writer->next_sequence()));
    const auto first = writer->AppendEvents(SampleEvents(i, kSampleEvents), info, i % 2 == 0);
    if (!first.ok()) throw std::runtime_error(first.status().ToString());
  }
  if (!seal) return writer->part_path();
  const absl::Status sealed = writer->Seal(SampleTables(3), connections);
  if (!sealed.ok()) throw std::runtime_error(sealed.ToString());
  return path;
}

}  // namespace socktale
