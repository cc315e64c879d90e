// SPDX-License-Identifier: Apache-2.0
//
// talker WORD STATUS: sends the word over a pair of sockets, says it, and says its environment but for what a tracer
// put in; exits with the status.

#include "environment.h"

int main(int argc, char** argv) {
  CHECK(argc == 3);
  talk(argv[1]);
  say_environment();
  return atoi(argv[2]);
}
