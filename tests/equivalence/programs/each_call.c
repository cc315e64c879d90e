// SPDX-License-Identifier: Apache-2.0
//
// each_call [NAME...]: makes every call of the tables, or those named, on a stream, on datagrams and failing; checks
// that they do what they should. --list prints the names. Exit status 2 for a name that is in no table.

#include "each_call.h"

#include <stdbool.h>
#include <stdio.h>

#include "tests/workloads/check.h"

static const struct EachCall* const kTables[] = {kMovingCalls,  kMakingCalls, kAskingCalls,
                                                 kProcessCalls, kKernelCalls, kLibraryCalls};

struct sockaddr_in loopback(void) {
  return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static struct sockaddr_in bound_name(int fd) {
  struct sockaddr_in name = loopback();
  CHECK(bind(fd, (struct sockaddr*)&name, sizeof name) == 0);
  socklen_t size = sizeof name;
  CHECK(getsockname(fd, (struct sockaddr*)&name, &size) == 0);
  return name;
}

struct Ends stream_ends(void) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(listener >= 0);
  const struct sockaddr_in name = bound_name(listener);
  CHECK(listen(listener, 1) == 0);
  struct Ends ends = {.a = socket(AF_INET, SOCK_STREAM, 0)};
  CHECK(connect(ends.a, (const struct sockaddr*)&name, sizeof name) == 0);
  ends.b = accept(listener, NULL, NULL);
  CHECK(ends.b >= 0 && close(listener) == 0);
  return ends;
}

struct Ends datagram_ends(void) {
  const struct Ends ends = {socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_DGRAM, 0)};
  const struct sockaddr_in a = bound_name(ends.a), b = bound_name(ends.b);
  CHECK(connect(ends.a, (const struct sockaddr*)&b, sizeof b) == 0);
  CHECK(connect(ends.b, (const struct sockaddr*)&a, sizeof a) == 0);
  return ends;
}

void close_ends(struct Ends ends) { CHECK(close(ends.a) == 0 && close(ends.b) == 0); }

void* nowhere(void) { return unmapped_after_64(); }

// Returns whether there is such a call. name: NULL for all.
static bool make(const char* name, bool only_list) {
  bool found = false;
  for (size_t table = 0; table < sizeof kTables / sizeof kTables[0]; ++table) {
    void (*last)(void) = NULL;
    for (const struct EachCall* call = kTables[table]; call->name != NULL; ++call) {
      if (name != NULL && strcmp(name, call->name) != 0) continue;
      found = true;
      if (!only_list && call->make == last) continue;  // one function that makes several calls
      last = call->make;
      if (only_list) {
        CHECK(puts(call->name) >= 0);
      } else {
        call->make();
      }
    }
  }
  return found;
}

int main(int argc, char** argv) {
  if (argc == 1) return make(NULL, false) ? 0 : 2;
  if (strcmp(argv[1], "--list") == 0) return make(NULL, true) ? 0 : 2;
  for (int i = 1; i < argc; ++i) {
    if (make(argv[i], false)) continue;
    fprintf(stderr, "each_call: there is no %s in its tables\n", argv[i]);
    return 2;
  }
  return 0;
}
