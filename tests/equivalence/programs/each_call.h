// SPDX-License-Identifier: Apache-2.0
//
// What the families of each_call share: the table of calls, and ends of conversations to call them on.

#ifndef SOCKTALE_TESTS_EQUIVALENCE_PROGRAMS_EACH_CALL_H_
#define SOCKTALE_TESTS_EQUIVALENCE_PROGRAMS_EACH_CALL_H_

#include <netinet/in.h>
#include <sys/socket.h>

// One call of preload/abi/hooks.def (its second column, in lower case) and what makes it: on a stream, on datagrams
// where the call has to do with them, and failing.
struct EachCall {
  const char* name;
  void (*make)(void);
};

// Tables, each ended by a null name.
extern const struct EachCall kMovingCalls[];
extern const struct EachCall kMakingCalls[];
extern const struct EachCall kAskingCalls[];
extern const struct EachCall kProcessCalls[];
extern const struct EachCall kKernelCalls[];
extern const struct EachCall kLibraryCalls[];

// Two ends of one conversation over the loopback: TCP (connected both ways) or UDP (each connected to the other).
struct Ends {
  int a, b;
};
struct Ends stream_ends(void);
struct Ends datagram_ends(void);
void close_ends(struct Ends ends);

// 127.0.0.1 and any port.
struct sockaddr_in loopback(void);

// A descriptor that is not open. Far from those in use, so that no other thread or library is given it meanwhile.
enum { kNoDescriptor = 987 };

// An address that nothing is mapped at.
void* nowhere(void);

#endif  // SOCKTALE_TESTS_EQUIVALENCE_PROGRAMS_EACH_CALL_H_
