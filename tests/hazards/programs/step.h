// SPDX-License-Identifier: Apache-2.0
//
// A call with the processor's trap flag set: SIGTRAP comes in behind every single instruction of it.

#ifndef SOCKTALE_TESTS_HAZARDS_PROGRAMS_STEP_H_
#define SOCKTALE_TESTS_HAZARDS_PROGRAMS_STEP_H_

#if !defined(__x86_64__)
#error "which flag makes this processor trap?"
#endif

// Sets or clears the flag. What lies below the stack pointer (the red zone) is passed by.
#define STEP(on)                                                                                 \
  __asm__ volatile(                                                                              \
      "leaq -128(%%rsp), %%rsp\n\tpushfq\n\tandq $~0x100, (%%rsp)\n\torq %0, (%%rsp)\n\tpopfq\n" \
      "\tleaq 128(%%rsp), %%rsp" ::"i"((on) ? 0x100 : 0)                                         \
      : "memory", "cc")

// The call's result, as a long.
#define STEPPED(call)            \
  ({                             \
    STEP(1);                     \
    const long outcome = (call); \
    STEP(0);                     \
    outcome;                     \
  })

#endif  // SOCKTALE_TESTS_HAZARDS_PROGRAMS_STEP_H_
