// SPDX-License-Identifier: Apache-2.0
//
// opened LIBRARY: opens it with RTLD_LOCAL, calls it, closes it, and once more; and looks libc's functions up as
// programs do that want to know what there is.

#define _GNU_SOURCE
#include <dlfcn.h>

#include "say.h"

int main(int argc, char** argv) {
  CHECK(argc == 2);
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
  for (int i = 0; i < 2; ++i) {
    void* const library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    CHECK(dlsym(RTLD_DEFAULT, "local_function") == NULL);
    int (*function)(int) = (int (*)(int))dlsym(library, "local_function");
    CHECK(function != NULL && function(pair[0]) == 0);
    char bytes[32];
    say("received %zd", recv(pair[1], bytes, sizeof bytes, 0));
    CHECK(dlclose(library) == 0);
  }
  // Found by name: each of these calls, when asked for in libc itself or in general, still does what it does.
  void* const libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
  CHECK(libc != NULL);
  const char* const names[] = {"send", "recv", "close", "no_such_function", "posix_spawn", "pidfd_spawn", "closefrom"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    say("%s: %d %d", names[i], dlsym(RTLD_DEFAULT, names[i]) != NULL, dlsym(libc, names[i]) != NULL);
  }
  ssize_t (*by_name)(int, const void*, size_t, int) =
      (ssize_t(*)(int, const void*, size_t, int))dlsym(RTLD_DEFAULT, "send");
  CHECK(by_name(pair[0], "by name", 7, 0) == 7);
  ssize_t (*by_version)(int, const void*, size_t, int) =
      (ssize_t(*)(int, const void*, size_t, int))dlvsym(RTLD_DEFAULT, "send", "GLIBC_2.2.5");
  CHECK(by_version != NULL && by_version(pair[0], "by version", 10, 0) == 10);
  return 0;
}
