// SPDX-License-Identifier: Apache-2.0
//
// Writes the seeds that the fuzzers begin with: make_corpus FOLDER fills FOLDER/trace_file and FOLDER/event_view.

#include <cstdio>
#include <filesystem>

#include "proto/event_view.h"
#include "tests/proto/sample_trace.h"

namespace {

using namespace socktale;

void Make(const std::string& folder) {
  const std::string files = folder + "/trace_file/", events = folder + "/event_view/";
  std::filesystem::create_directories(files);
  std::filesystem::create_directories(events);
  const std::string sealed = ReadFile(WriteSample(files + "sealed", 2, true));
  std::filesystem::rename(WriteSample(files + "unsealed", 2, false), files + "unsealed");
  WriteFile(files + "cut", sealed.substr(0, sealed.size() - 100));
  WriteFile(files + "two", sealed + ReadFile(files + "unsealed"));
  std::string damaged = sealed;
  damaged[sealed.size() / 3] = '\xff';
  damaged[2] = '\0';
  WriteFile(files + "damaged", damaged);

  Event call;
  call.set_call(CALL_ACCEPT4);
  call.set_fd(3);
  call.set_start_ns(123456);
  call.set_result(7);
  call.set_address(std::string("\x02\x00\x1f\x90\x7f\x00\x00\x01", 8));
  call.set_socket_id(1ull << 40);
  WriteFile(events + "accept", call.SerializeAsString());
  Event wait;
  wait.set_call(CALL_POLL);
  wait.set_timeout_ns(-1);
  wait.add_polled()->set_fd(5);
  wait.add_polled()->set_events(1);
  wait.add_passed(4);
  wait.add_passed(-1);
  wait.add_datagram()->set_size(12);
  wait.add_argv("curl");
  wait.add_answer("x");
  WriteFile(events + "wait", wait.SerializeAsString());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus FOLDER\n");
    return 2;
  }
  Make(argv[1]);
  return 0;
}
