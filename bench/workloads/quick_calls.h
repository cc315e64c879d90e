// SPDX-License-Identifier: Apache-2.0
//
// send, recv and read that do nothing on chosen descriptors and return at once; on all others they ask the kernel. The
// library stands behind the recorder's shim, as libc does, so what a recorded call costs beyond the real one can be
// measured to the nanosecond, and faster than this machine's kernel makes calls.

#ifndef SOCKTALE_BENCH_WORKLOADS_QUICK_CALLS_H_
#define SOCKTALE_BENCH_WORKLOADS_QUICK_CALLS_H_

#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

// From here on send, recv and read on `fd` (0 to 1023) return the size they were asked for and leave the buffer alone.
void make_quick(int fd);

#ifdef __cplusplus
}
#endif

#endif  // SOCKTALE_BENCH_WORKLOADS_QUICK_CALLS_H_
