// SPDX-License-Identifier: Apache-2.0
//
// Makes an io_uring, and ends at once. Exits with 77 where the kernel has none for us.

#include <linux/io_uring.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
  struct io_uring_params params;
  memset(&params, 0, sizeof params);
  return syscall(SYS_io_uring_setup, 4, &params) < 0 ? 77 : 0;
}
