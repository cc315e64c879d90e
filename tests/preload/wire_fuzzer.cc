// SPDX-License-Identifier: Apache-2.0
//
// Any Event that libprotobuf reads, the shim's writer writes as libprotobuf does, into exactly that many bytes.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/preload/event_encoder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  socktale::Event event;
  if (!event.ParseFromArray(data, static_cast<int>(size))) return 0;
  event.DiscardUnknownFields();
  const std::string expected = event.SerializeAsString();
  std::vector<uint8_t> bytes(expected.size());
  socktale::wire::Writer writer(bytes.data());
  socktale::EncodeEvent(event, writer);
  if (writer.position() != bytes.data() + bytes.size() || expected != std::string(bytes.begin(), bytes.end())) abort();
  return 0;
}
