// SPDX-License-Identifier: Apache-2.0
//
// The completeness statement. An empty one is a promise, so every row stands for something that is not there.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "collector/aggregate/snapshot.h"

namespace socktale {
namespace {

void Add(Tables& tables, const char* kind, uint64_t count, uint32_t process, const std::string& detail = "") {
  if (count == 0) return;
  Missing& missing = *tables.add_missing();
  missing.set_kind(kind);
  missing.set_count(count);
  missing.set_process(process);
  missing.set_detail(detail);
}

}  // namespace

void AddMissing(const World& world, Tables& tables) {
  for (const Missing& missing : world.not_recorded) *tables.add_missing() = missing;
  for (uint32_t id = 1; id < world.processes.size(); ++id) {
    const ProcessState& process = world.processes[id];
    if (process.executing) Add(tables, "not_attached", 1, id, process.next_image.path());
    // What a child of fork only had from its parent goes with the exec that the child was made for.
    Add(tables, "io_uring", process.made_io_uring || (process.maps_io_uring && !process.executing), id);
    uint64_t plugins = 0;
    std::string named;
    for (const Plugin& plugin : process.plugins) {
      if (!plugin.opened && process.executing) continue;
      if (++plugins <= 3) absl::StrAppend(&named, named.empty() ? "" : ", ", plugin.path);
    }
    plugins += process.more_plugins;
    if (plugins > 3) absl::StrAppend(&named, ", …");
    Add(tables, "past_recorder", plugins, id, named);
    Add(tables, "left_call", process.left_calls, id);
    Add(tables, "implicit_close", process.implicit_closes, id);
    const uint64_t accounted = process.payload_kept + process.payload_not_seen + process.payload_awaited;
    if (process.payload_moved > accounted) Add(tables, "payload_cut", process.payload_moved - accounted, id);
    Add(tables, "payload_broken_off", process.payload_awaited, id);
    Add(tables, "payload_not_seen", process.payload_not_seen, id);
  }
  Add(tables, "left_out", world.left_out, 0);
  Add(tables, "many_peers", world.folded_datagrams, 0);
  uint64_t one_ended = 0;
  uint64_t guessed = 0;
  for (const Connection& connection : tables.connection()) {
    const bool failed = connection.end() >= CONNECTION_END_REFUSED && connection.client().established_ns() == 0;
    one_ended += connection.join() == JOIN_KIND_ONE_END && !failed;
    guessed += connection.join() == JOIN_KIND_GUESSED;
  }
  Add(tables, "one_ended", one_ended, 0);
  Add(tables, "guessed_join", guessed, 0);
}

}  // namespace socktale
