// SPDX-License-Identifier: Apache-2.0
//
// flood [MIB]: sends that many MiB (4 by default) through a socketpair in messages of 32 KiB, reading each back.

#include <sys/socket.h>

#include "check.h"

static char bytes[32 << 10];

int main(int argc, char** argv) {
  const long mib = argc > 1 ? atol(argv[1]) : 4;
  int pair[2];
  CHECK(mib >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  for (long i = 0; i < mib * 32; ++i) {
    bytes[0] = (char)i;
    CHECK(send(pair[0], bytes, sizeof bytes, 0) == sizeof bytes);
    CHECK(recv(pair[1], bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes && bytes[0] == (char)i);
  }
  return 0;
}
