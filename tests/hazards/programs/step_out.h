// SPDX-License-Identifier: Apache-2.0
//
// A stepped call that is left by siglongjmp behind one of its instructions.

#ifndef SOCKTALE_TESTS_HAZARDS_PROGRAMS_STEP_OUT_H_
#define SOCKTALE_TESTS_HAZARDS_PROGRAMS_STEP_OUT_H_

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>

#include "say.h"
#include "step.h"

static sigjmp_buf out;
static volatile uint32_t steps, leave_behind;

static void handle_step(int number) {
  (void)number;
  if (++steps == leave_behind) siglongjmp(out, 1);
}

// Makes a pair of sockets for datagrams, and readies SIGTRAP.
static void prepare_steps(int pair[2]) {
  CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
  const struct sigaction action = {.sa_handler = handle_step};
  CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
}

#endif  // SOCKTALE_TESTS_HAZARDS_PROGRAMS_STEP_OUT_H_
