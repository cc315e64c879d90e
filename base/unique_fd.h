// SPDX-License-Identifier: Apache-2.0
//
// A descriptor that closes itself.

#ifndef SOCKTALE_BASE_UNIQUE_FD_H_
#define SOCKTALE_BASE_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace socktale {

// Owns one descriptor, or none (-1).
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

  // Gives the descriptor up without closing it.
  int release() { return std::exchange(fd_, -1); }

  // Closes what is held and takes `fd`. An error of close(2) is not told: on network file systems it may be the first
  // word of bytes that are lost, so who must know calls fdatasync(2) before (as sealing a trace does).
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace socktale

#endif  // SOCKTALE_BASE_UNIQUE_FD_H_
