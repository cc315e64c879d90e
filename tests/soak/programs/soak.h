// SPDX-License-Identifier: Apache-2.0
//
// What the recorded programs of the soak tests send, and what they say they did, for check_soak to hold the trace
// against.

#ifndef SOCKTALE_TESTS_SOAK_PROGRAMS_SOAK_H_
#define SOCKTALE_TESTS_SOAK_PROGRAMS_SOAK_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
  kSoakThreads = 3,
  kSoakStreams = 2 * kSoakThreads,  // of each thread: its own messages, and those of its signal handlers
  kSmallestMessage = 32,
  kLargestMessage = 3000,
};

// A message: this header, then bytes that follow from it.
struct Message {
  uint32_t magic;
  uint32_t round;   // of the kills; the child's number in a swarm
  uint32_t stream;  // thread, or kSoakThreads + thread for its handlers'
  uint32_t size;    // bytes, this header included
  uint64_t number;  // in the stream, from 1
};
#define kMessageMagic 0x4b414f53u

// One life of the killed program, in a file that it and its killer share: the number of the last message of each stream
// whose send and recv came back to the program, so that the trace must hold both.
struct Round {
  volatile uint64_t done[kSoakStreams];
};

static inline unsigned char MessageByte(const struct Message* message, uint32_t at) {
  const uint64_t mixed = (message->number * 0x9e3779b97f4a7c15u) ^ (message->round * 2654435761u) ^ message->stream;
  return (unsigned char)((mixed >> (at % 57)) + at);
}

static inline uint32_t MessageSize(uint32_t stream, uint64_t number) {
  // Most are small; every 50th is larger than what is left of most chunks.
  return number % 50 == 0 ? (uint32_t)(kLargestMessage - number % 977)
                          : (uint32_t)(kSmallestMessage + (number * 7 + stream) % 150);
}

static inline void MakeMessage(unsigned char* bytes, uint32_t round, uint32_t stream, uint64_t number) {
  const struct Message message = {kMessageMagic, round, stream, MessageSize(stream, number), number};
  memcpy(bytes, &message, sizeof message);
  for (uint32_t i = sizeof message; i < message.size; ++i) bytes[i] = MessageByte(&message, i);
}

#endif  // SOCKTALE_TESTS_SOAK_PROGRAMS_SOAK_H_
