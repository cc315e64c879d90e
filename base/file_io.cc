// SPDX-License-Identifier: Apache-2.0

#include "base/file_io.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace socktale {

int64_t ReadAt(int fd, void* buffer, size_t size, uint64_t offset) {
  size_t got = 0;
  while (got < size) {
    const ssize_t n = ::pread(fd, static_cast<char*>(buffer) + got, size - got, static_cast<off_t>(offset + got));
    if (n == 0) break;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    got += static_cast<size_t>(n);
  }
  return static_cast<int64_t>(got);
}

int WriteAt(int fd, absl::Span<iovec> pieces, uint64_t offset) {
  while (true) {
    while (!pieces.empty() && pieces.front().iov_len == 0) pieces.remove_prefix(1);
    if (pieces.empty()) return 0;
    const ssize_t n = ::pwritev(fd, pieces.data(), static_cast<int>(pieces.size()), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return EIO;  // no file system should take nothing and call it success; never spin on one that does
    offset += static_cast<uint64_t>(n);
    for (size_t left = static_cast<size_t>(n); left > 0;) {
      iovec& piece = pieces.front();
      const size_t taken = std::min(left, piece.iov_len);
      piece.iov_base = static_cast<char*>(piece.iov_base) + taken;
      piece.iov_len -= taken;
      left -= taken;
      if (piece.iov_len == 0) pieces.remove_prefix(1);
    }
  }
}

}  // namespace socktale
