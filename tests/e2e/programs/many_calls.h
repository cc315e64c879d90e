// SPDX-License-Identifier: Apache-2.0
//
// What many_calls sends: records that say which thread sent them, over which connection, as which of its records, and
// whether they are whole. Shared by the workload (C) and by the check of its trace (C++).

#ifndef SOCKTALE_TESTS_E2E_PROGRAMS_MANY_CALLS_H_
#define SOCKTALE_TESTS_E2E_PROGRAMS_MANY_CALLS_H_

#include <stddef.h>
#include <stdint.h>

enum { kRecordMagic = 0x6c617465, kSmallestRecord = 32, kLargestRecord = 20000 };

// A record is this, then bytes that follow from `seed` up to `size`.
struct RecordHeader {
  uint32_t magic;
  uint32_t size;        // bytes of the whole record
  uint32_t thread;      // 0, 1, …
  uint32_t connection;  // 0, 1, … within the thread
  uint32_t to_server;   // 1: from the connecting end to the accepting one; 0: back
  uint32_t sequence;    // 0, 1, … of this thread's records, over all its connections
  uint32_t seed;
  uint32_t checksum;  // RecordChecksum of the record with 0 here
};

// FNV-1a.
static inline uint32_t RecordChecksum(const unsigned char* bytes, size_t size) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 16777619u;
  return hash;
}

#endif  // SOCKTALE_TESTS_E2E_PROGRAMS_MANY_CALLS_H_
