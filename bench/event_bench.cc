// SPDX-License-Identifier: Apache-2.0
//
// What an event costs besides the call itself: writing it as the shim does, reading it as aggregation and viewer do,
// and its share of a block on its way into the file. libprotobuf stands beside each for comparison.

#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "preload/event_fields.h"
#include "preload/wire.h"
#include "proto/event_view.h"
#include "proto/trace_file_writer.h"

namespace socktale {
namespace {

constexpr size_t kEventsPerRun = 1000;

std::string Payload(int64_t size) {
  std::string payload;
  for (int64_t i = 0; i < size; ++i) payload.push_back(static_cast<char>('a' + i * 7 % 26));
  return payload;
}

// A recv of `payload`, in the order and with the padded length of the shim. Returns the end.
uint8_t* EncodeRecv(uint8_t* to, uint64_t start_ns, const std::string& payload) {
  wire::Writer writer(to);
  uint8_t* const length = writer.BeginReserved<3, 3>();
  writer.Uint<field::event::kCall>(CALL_RECV);
  writer.Sint<field::event::kFd>(7);
  writer.Uint<field::event::kStartNs>(start_ns);
  writer.Uint<field::event::kDurationNs>(1234);
  writer.Sint<field::event::kResult>(static_cast<int64_t>(payload.size()));
  writer.Bytes<field::event::kPayload>(payload.data(), payload.size());
  writer.Uint<field::event::kSize>(payload.size());
  writer.EndReserved<3>(length);
  return writer.position();
}

// kEventsPerRun of them, as `repeated event` of a Run.
std::string EncodedRun(int64_t payload_size) {
  const std::string payload = Payload(payload_size);
  std::string bytes(kEventsPerRun * (payload.size() + 64), '\0');
  auto* const begin = reinterpret_cast<uint8_t*>(bytes.data());
  uint8_t* at = begin;
  for (size_t i = 0; i < kEventsPerRun; ++i) at = EncodeRecv(at, i * 5000, payload);
  bytes.resize(static_cast<size_t>(at - begin));
  return bytes;
}

void WriteAsTheShim(benchmark::State& state) {
  const std::string payload = Payload(state.range(0));
  std::string buffer(payload.size() + 64, '\0');
  uint64_t start_ns = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(EncodeRecv(reinterpret_cast<uint8_t*>(buffer.data()), start_ns += 5000, payload));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(WriteAsTheShim)->Arg(0)->Arg(64)->Arg(1024);

void WriteByLibprotobuf(benchmark::State& state) {
  const std::string payload = Payload(state.range(0));
  std::string buffer(payload.size() + 64, '\0');
  Event event;
  uint64_t start_ns = 0;
  for (auto _ : state) {
    event.Clear();
    event.set_call(CALL_RECV);
    event.set_fd(7);
    event.set_start_ns(start_ns += 5000);
    event.set_duration_ns(1234);
    event.set_result(static_cast<int64_t>(payload.size()));
    event.set_payload(payload);
    event.set_size(payload.size());
    benchmark::DoNotOptimize(event.SerializeToArray(buffer.data(), static_cast<int>(buffer.size())));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(WriteByLibprotobuf)->Arg(0)->Arg(64)->Arg(1024);

void ReadByView(benchmark::State& state) {
  const std::string run = EncodedRun(state.range(0));
  EventView view;
  for (auto _ : state) {
    absl::string_view rest = run, bytes;
    uint64_t sum = 0;
    for (bool found = true; NextEvent(rest, bytes, found).ok() && found;) {
      if (!ParseEvent(bytes, 0, view).ok()) state.SkipWithError("no event");
      sum += view.payload.size();
    }
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kEventsPerRun));
}
BENCHMARK(ReadByView)->Arg(0)->Arg(64)->Arg(1024);

void ReadByLibprotobuf(benchmark::State& state) {
  const std::string run = EncodedRun(state.range(0));
  Event event;
  for (auto _ : state) {
    absl::string_view rest = run, bytes;
    uint64_t sum = 0;
    for (bool found = true; NextEvent(rest, bytes, found).ok() && found;) {
      if (!event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) state.SkipWithError("no event");
      sum += event.payload().size();
    }
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kEventsPerRun));
}
BENCHMARK(ReadByLibprotobuf)->Arg(0)->Arg(64)->Arg(1024);

void CountInChunk(benchmark::State& state) {
  const std::string run = EncodedRun(state.range(0));
  for (auto _ : state) {
    uint64_t count = 0;
    if (!CountEvents(run, count).ok()) state.SkipWithError("no events");
    benchmark::DoNotOptimize(count);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kEventsPerRun));
}
BENCHMARK(CountInChunk)->Arg(64)->Arg(1024);

// A block of about kBlockTargetBytes into a file in TMPDIR that begins anew every 64 blocks: its pages stay warm.
void AppendBlock(benchmark::State& state, bool compress) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("socktale-bench-" + std::to_string(getpid()) + ".tale");
  const std::string run = EncodedRun(64);
  std::string events;
  while (events.size() < kBlockTargetBytes) events += run;
  absl::StatusOr<TraceFileWriter> writer = absl::UnavailableError("not made yet");
  int blocks = 0;
  for (auto _ : state) {
    if (blocks++ % 64 == 0) {
      state.PauseTiming();
      writer = absl::UnavailableError("gives up its lock");
      writer = TraceFileWriter::Create(path, TraceHeader(), true);
      state.ResumeTiming();
    }
    if (!writer.ok() || !writer->AppendEvents(events, {0, 1, 1, {1}}, compress).ok()) {
      state.SkipWithError("cannot write");
      break;
    }
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * events.size()));
  std::filesystem::remove(path + kPartSuffix);
}
BENCHMARK_CAPTURE(AppendBlock, raw, false);
BENCHMARK_CAPTURE(AppendBlock, zstd, true);

}  // namespace
}  // namespace socktale
