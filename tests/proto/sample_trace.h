// SPDX-License-Identifier: Apache-2.0
//
// Traces for tests: events as the shim writes them, whole files of them, and the verbs that spoil a file.

#ifndef SOCKTALE_TESTS_PROTO_SAMPLE_TRACE_H_
#define SOCKTALE_TESTS_PROTO_SAMPLE_TRACE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "proto/trace.pb.h"

namespace socktale {

// A folder of its own for each, removed with everything in it at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& bytes);

// A header that depends on nothing but this text.
TraceHeader SampleHeader();

// An encoded Events message of one Run with `count` sends of 40 to 300 bytes; no two blocks are alike.
std::string SampleEvents(uint64_t block, uint64_t count);

// Tables that name block_count's connections.
Tables SampleTables(uint64_t connections);

// Events in each block of a sample trace.
inline constexpr uint64_t kSampleEvents = 20;

// Writes a trace of `blocks` blocks of events, every second one compressed; block i (from 1) lasts from i·1000 to
// i·1000 + 900 ns and belongs to connection 1 + i % 3. Sealed or left as part file; returns the path of what it wrote.
std::string WriteSample(const std::string& path, uint64_t blocks, bool seal);

}  // namespace socktale

#endif  // SOCKTALE_TESTS_PROTO_SAMPLE_TRACE_H_
