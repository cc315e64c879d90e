// SPDX-License-Identifier: Apache-2.0
//
// For a process whose tables grow with what it records: where a page's first touch is dear (virtual machines: several
// microseconds), a heap that gives memory back and asks for it again, page by page, costs more than what it holds.

#ifndef SOCKTALE_BASE_LARGE_HEAP_H_
#define SOCKTALE_BASE_LARGE_HEAP_H_

namespace socktale {

// Makes malloc keep what was freed, take large blocks from the heap too, and grow it by 64 MiB of addresses at a time
// (what is not touched costs nothing). Call it before the process has much on its heap. Where the C library refuses,
// all stays as it was.
void UseLargeHeap();

// Asks for huge pages for what the heap grew by since the last call. No system call when it did not grow.
void AdviseLargeHeap();

}  // namespace socktale

#endif  // SOCKTALE_BASE_LARGE_HEAP_H_
