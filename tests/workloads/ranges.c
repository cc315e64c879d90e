// SPDX-License-Identifier: Apache-2.0
//
// Many descriptors closed by one call: all from one on, a few, none at all, and more than there can be. Prints nothing;
// what it closed is what it says, and what it left works.

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"

static int lowest;  // the lowest free number

static int is_open(int fd) { return fcntl(fd, F_GETFD) != -1; }

// Three sockets, at lowest, lowest + 1 and lowest + 2.
static void make_three(void) {
  for (int i = 0; i < 3; ++i) CHECK(socket(AF_UNIX, SOCK_DGRAM, 0) == lowest + i);
}

static void some(void) {
  make_three();
  CHECK(close_range((unsigned)lowest + 1, (unsigned)lowest + 1, 0) == 0);
  CHECK(is_open(lowest) && !is_open(lowest + 1) && is_open(lowest + 2));
  CHECK(close_range((unsigned)lowest, (unsigned)lowest + 2, 0) == 0);  // one of them is closed already
  CHECK(!is_open(lowest) && !is_open(lowest + 2));
}

static void refused(void) {
  make_three();
  CHECK_FAILS(close_range((unsigned)lowest + 2, (unsigned)lowest, 0), EINVAL);
  CHECK_FAILS(close_range((unsigned)lowest, ~0u, 0x100), EINVAL);
  CHECK(is_open(lowest) && is_open(lowest + 1) && is_open(lowest + 2));
  CHECK(close_range(~0u, ~0u, 0) == 0);  // nothing is there
  CHECK(close_range((unsigned)lowest, ~0u, CLOSE_RANGE_CLOEXEC) == 0);
  CHECK(fcntl(lowest, F_GETFD) == FD_CLOEXEC && fcntl(lowest + 2, F_GETFD) == FD_CLOEXEC);
  CHECK(sendto(lowest, "x", 1, 0, NULL, 0) == -1 && errno == ENOTCONN);
}

// `lowest` and all after it are sockets still.
static void from_one_on(void) {
  CHECK(dup2(lowest, 900) == 900);
  closefrom(lowest + 1);
  CHECK(is_open(lowest) && !is_open(lowest + 1) && !is_open(lowest + 2) && !is_open(900));
  closefrom(lowest);
  CHECK(!is_open(lowest));
  make_three();
  CHECK(close_range((unsigned)lowest, ~0u, CLOSE_RANGE_UNSHARE) == 0);
  CHECK(!is_open(lowest) && !is_open(lowest + 2));
}

// A number far up, where the limit allows it.
static void high(void) {
  struct rlimit limit;
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  if (limit.rlim_max < 5000) return;
  limit.rlim_cur = limit.rlim_max < 1 << 20 ? limit.rlim_max : 1 << 20;
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  const int top = (int)limit.rlim_cur - 1;
  CHECK(socket(AF_UNIX, SOCK_DGRAM, 0) == lowest && dup2(lowest, top) == top);
  closefrom(lowest);
  CHECK(!is_open(top) && !is_open(lowest));
}

// A connection that lived a while ends with the range it is in.
static void connection(void) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof name;
  CHECK(bind(listener, (struct sockaddr*)&name, size) == 0 && listen(listener, 1) == 0);
  CHECK(getsockname(listener, (struct sockaddr*)&name, &size) == 0);
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(connect(client, (struct sockaddr*)&name, sizeof name) == 0);
  const int served = accept(listener, NULL, NULL);
  CHECK(served == client + 1);
  const struct timespec a_while = {0, 60 * 1000 * 1000};  // its length is what makes the connection worth a summary
  nanosleep(&a_while, NULL);
  CHECK(close_range((unsigned)listener, (unsigned)served, 0) == 0);
  CHECK(!is_open(listener) && !is_open(client) && !is_open(served));
}

// A vfork child closes everything; its parent has it all still.
static void in_vfork_child(void) {
  make_three();
  const pid_t pid = vfork();
  if (pid == 0) {
    closefrom(lowest);
    _exit(0);
  }
  int status;
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
  CHECK(is_open(lowest) && is_open(lowest + 2));
  CHECK(close_range((unsigned)lowest, (unsigned)lowest + 2, 0) == 0);
}

int main(void) {
  closefrom(3);  // whatever the caller left open
  lowest = dup(0);
  CHECK(lowest >= 0 && close(lowest) == 0);
  some();
  refused();
  from_one_on();
  high();
  connection();
  in_vfork_child();
  return 0;
}
