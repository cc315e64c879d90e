// SPDX-License-Identifier: Apache-2.0
//
// The record path as shipped: what a recorded call costs the program beyond the real one. Run it under `socktale run`
// and by itself; the difference is the recorder's (bench/costs does it). The real calls are those of quick_calls.h,
// which return at once. Calls come in bursts, and between them is time for the collector, on another processor, to take
// what was written: what is measured is the way to the shared memory, and not waiting for room there.
//
//   record_bench [--processor=N] [--benchmark_...]   N: the one that it is pinned to
// At its end it tells what it did: CALLS recv N, with which a trace must agree.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "bench/workloads/quick_calls.h"

namespace socktale {
namespace {

constexpr size_t kBurstBytes = 128 << 10;  // below what a program in a hurry wakes the collector for
constexpr size_t kBurstCalls = 1024;
constexpr int kBursts = 300;
constexpr useconds_t kPauseUs = 1000;

int quick_socket = -1;
int quick_null = -1;
uint64_t recvs = 0;

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(2);
}

int Quick(int fd, const char* what) {
  if (fd < 0) Die(what);
  make_quick(fd);
  return fd;
}

// One iteration is a burst; its time is given for one call. The counter is the median over the bursts, which
// disturbances (another program had the processor) leave alone.
template <typename CallOnce>
void InBursts(benchmark::State& state, size_t calls, const CallOnce& call_once) {
  std::vector<double> times_ns;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    for (size_t i = 0; i < calls; ++i) call_once();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(taken.count() / static_cast<double>(calls));
    times_ns.push_back(taken.count() * 1e9 / static_cast<double>(calls));
    usleep(kPauseUs);
  }
  const auto middle = times_ns.begin() + static_cast<ptrdiff_t>(times_ns.size() / 2);
  std::nth_element(times_ns.begin(), middle, times_ns.end());
  state.counters["median_ns"] = *middle;
}

void Recorded(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  std::string buffer(size + 1, 'a');
  const size_t calls = std::min(kBurstCalls, kBurstBytes / (size + 1));
  InBursts(state, calls, [&] {
    if (recv(quick_socket, buffer.data(), size, 0) != static_cast<ssize_t>(size)) Die("recv");
  });
  recvs += static_cast<uint64_t>(state.iterations()) * calls;
}
BENCHMARK(Recorded)->Arg(0)->Arg(64)->Arg(1024)->Arg(16384)->UseManualTime()->Iterations(kBursts);

// A read of /dev/null, whose data `socktale run` keeps only when --io asks for that of files.
void NotRecorded(benchmark::State& state) {
  char buffer[64];
  InBursts(state, kBurstCalls, [&] {
    if (read(quick_null, buffer, sizeof buffer) != sizeof buffer) Die("read");
  });
}
BENCHMARK(NotRecorded)->UseManualTime()->Iterations(kBursts);

void PinTo(int processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(processor), &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) Die("sched_setaffinity");
}

}  // namespace
}  // namespace socktale

int main(int argc, char** argv) {
  constexpr char kProcessor[] = "--processor=";
  if (argc > 1 && std::strncmp(argv[1], kProcessor, sizeof kProcessor - 1) == 0) {
    socktale::PinTo(std::atoi(argv[1] + sizeof kProcessor - 1));
    std::copy(argv + 2, argv + argc + 1, argv + 1);
    --argc;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) socktale::Die("socketpair");
  socktale::quick_socket = socktale::Quick(pair[0], "socketpair");
  socktale::quick_null = socktale::Quick(open("/dev/null", O_RDONLY | O_CLOEXEC), "/dev/null");
  benchmark::RunSpecifiedBenchmarks();
  std::printf("CALLS recv %llu\n", static_cast<unsigned long long>(socktale::recvs));
  return 0;
}
