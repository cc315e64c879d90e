// SPDX-License-Identifier: Apache-2.0
//
// Descriptors that the shim never saw made: asking the kernel what they are, and saying so in the trace (CALL_FOUND).

#ifndef SOCKTALE_PRELOAD_FOUND_H_
#define SOCKTALE_PRELOAD_FOUND_H_

#include <stdint.h>
#include <sys/stat.h>

namespace socktale {

// "/proc/self/fd/N".
struct DescriptorLink {
  explicit DescriptorLink(int fd);
  char text[32];
};

// The kind (field::DescriptorKind) of a descriptor from its fstat; where that does not tell (anonymous inodes), from
// /proc/self/fd: DESCRIPTOR_KIND_OTHER without /proc.
uint32_t AskKind(int fd, const struct stat& status);

// Writes CALL_FOUND for `fd`, which fstat described as `status`, and gives its entry in the table of descriptors. The
// caller puts that there.
uint8_t WriteFound(int fd, const struct stat& status);

// Writes CALL_FOUND for every open descriptor, by /proc/self/fd: the start of an image. Without /proc: none; they are
// found at first use then.
void FindAll();

}  // namespace socktale

#endif  // SOCKTALE_PRELOAD_FOUND_H_
