// SPDX-License-Identifier: Apache-2.0
//
// Whole reads and writes at a place in a file: interrupted and short ones are gone on with.

#ifndef SOCKTALE_BASE_FILE_IO_H_
#define SOCKTALE_BASE_FILE_IO_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace socktale {

// Reads up to `size` bytes at `offset` into `buffer`. Returns how many there were before the end of the file, or -1
// with errno set.
int64_t ReadAt(int fd, void* buffer, size_t size, uint64_t offset);

// Writes all pieces, one behind the other, at `offset`; by one system call unless the kernel takes less at once.
// Returns 0, or errno; a part may then have been written. The pieces' list is consumed.
int WriteAt(int fd, absl::Span<iovec> pieces, uint64_t offset);

}  // namespace socktale

#endif  // SOCKTALE_BASE_FILE_IO_H_
