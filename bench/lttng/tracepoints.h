// SPDX-License-Identifier: Apache-2.0
//
// The one tracepoint of shim.c: a call, with the bytes that it moved.

#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER sockets

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "bench/lttng/tracepoints.h"

// LTTng reads this file several times.
#if !defined(SOCKTALE_BENCH_LTTNG_TRACEPOINTS_H_) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define SOCKTALE_BENCH_LTTNG_TRACEPOINTS_H_

#include <lttng/tracepoint.h>
#include <stdint.h>

// entry_ns: CLOCK_MONOTONIC when the call was made; the time of its return is LTTng's own. error: errno, 0 for none.
LTTNG_UST_TRACEPOINT_EVENT(
    sockets, call,
    LTTNG_UST_TP_ARGS(int, function, int, fd, uint64_t, entry_ns, int64_t, result, int, error, const char*, bytes,
                      uint32_t, size),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(int, function, function)
        lttng_ust_field_integer(int, fd, fd)
        lttng_ust_field_integer(uint64_t, entry_ns, entry_ns)
        lttng_ust_field_integer(int64_t, result, result)
        lttng_ust_field_integer(int, error, error)
        lttng_ust_field_sequence(char, bytes, bytes, uint32_t, size)))

#endif  // SOCKTALE_BENCH_LTTNG_TRACEPOINTS_H_

#include <lttng/tracepoint-event.h>
