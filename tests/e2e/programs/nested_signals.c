// SPDX-License-Identifier: Apache-2.0
//
// nested_signals: sends in a signal handler that interrupts the recording of a send, made in a handler that interrupts
// the recording of a send, and so on, five deep. What interrupts is SIGSEGV: as soon as the kernel has taken the first
// page of what is sent, another thread makes that page unreadable; so who reads it again, to keep it, faults.

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kDeepest = 4, kPage = 4096, kBytes = 1 << 20 };  // more than a socket takes at once

static int ends[2];
static char* sent[kDeepest];  // by depth
static volatile sig_atomic_t depth;

static void send_all(const char* bytes, size_t size) {
  if (send(ends[0], bytes, size, 0) != (ssize_t)size) _exit(10 + depth);
}

static void handle(int number) {
  (void)number;
  const int of = depth++;
  if (depth < kDeepest) {
    send_all(sent[depth], kBytes);
  } else if (depth == kDeepest) {
    send_all("deepest", 8);
  }
  if (mprotect(sent[of], kPage, PROT_READ | PROT_WRITE) != 0) _exit(3);
}

static void* receive(void* unused) {
  (void)unused;
  static char bytes[kBytes];
  for (int i = 0; i < kDeepest; ++i) {
    struct pollfd there = {.fd = ends[1], .events = POLLIN};
    while (poll(&there, 1, -1) != 1) continue;  // its first page is among what has come
    if (mprotect(sent[i], kPage, PROT_NONE) != 0) _exit(4);
    if (recv(ends[1], bytes, kBytes, MSG_WAITALL) != kBytes) _exit(5);
  }
  if (recv(ends[1], bytes, 8, MSG_WAITALL) != 8) _exit(6);
  return NULL;
}

int main(void) {
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 2;
  for (int i = 0; i < kDeepest; ++i) {
    sent[i] = mmap(NULL, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (sent[i] == MAP_FAILED) return 2;
    memset(sent[i], 'x', kBytes);
  }
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_NODEFER};
  sigaction(SIGSEGV, &action, NULL);
  pthread_t other;
  if (pthread_create(&other, NULL, receive, NULL) != 0) return 2;
  send_all(sent[0], kBytes);
  if (depth == 0) return 0;  // untraced: nobody reads a page twice
  pthread_join(other, NULL);
  return depth == kDeepest ? 0 : 7;
}
