// SPDX-License-Identifier: Apache-2.0
//
// Memory that ends at an unmapped page, so that one byte too many crashes the test.

#ifndef SOCKTALE_TESTS_PRELOAD_TAIL_BUFFER_H_
#define SOCKTALE_TESTS_PRELOAD_TAIL_BUFFER_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace socktale {

class TailBuffer {
 public:
  // capacity: the most bytes that Last() will be asked for.
  explicit TailBuffer(size_t capacity) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    bytes_ = (capacity + page - 1) / page * page;
    mapped_ = bytes_ + page;
    base_ = static_cast<uint8_t*>(mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || mprotect(base_ + bytes_, page, PROT_NONE) != 0) std::abort();
  }
  ~TailBuffer() { munmap(base_, mapped_); }
  TailBuffer(const TailBuffer&) = delete;
  TailBuffer& operator=(const TailBuffer&) = delete;

  // The last `size` bytes before the unmapped page.
  uint8_t* Last(size_t size) { return base_ + bytes_ - size; }

  // The unmapped page.
  uint8_t* Beyond() { return base_ + bytes_; }

 private:
  size_t bytes_;
  size_t mapped_;
  uint8_t* base_;
};

}  // namespace socktale

#endif  // SOCKTALE_TESTS_PRELOAD_TAIL_BUFFER_H_
