// SPDX-License-Identifier: Apache-2.0
//
// How much one trace may make the tables hold. A trace is bytes that somebody chose: a small file that asks for very
// much must not eat memory. What is left out is counted, and the completeness statement says so.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_LIMITS_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace socktale {

struct Limits {
  // Descriptor lives that fork copied: one short event makes as many of them as its parent has descriptors.
  size_t copied_lives = size_t{1} << 22;
  // Processes, threads, descriptor lives, objects and ends of connections together. Each takes an event of its own (but
  // for the copies above), and some 100 to 600 bytes.
  size_t things = size_t{1} << 25;
  // Peers that one datagram socket has connections with; anyone can send it datagrams from any address.
  uint32_t peers = uint32_t{1} << 16;
  // Programs that one process executed and that are kept with their arguments: so many first ones and as many last
  // ones.
  size_t images = 64;
  // Plugins opened past the shim that are told apart, of each process.
  size_t plugins = 64;
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_LIMITS_H_
