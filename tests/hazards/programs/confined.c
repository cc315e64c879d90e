// SPDX-License-Identifier: Apache-2.0
//
// confined HOW ROUNDS: puts itself under seccomp, then does ROUNDS round trips over a pair of sockets, each with its
// number in it. Whatever else it asked of the kernel would kill it.
//   strict   read and write alone, and exit
//   filter   a list of calls, by prctl; everything else kills
//   number   the same by syscall(SYS_seccomp), twice: two filters, one on the other
//   handler  likewise, and a signal handler talks amid the calls
//   thread   likewise, the talking by a thread begun under the filter, which may not ask for its number
//   fork     likewise, the talking by a child, which may not ask for its number either
//   refused  the kernel refuses the filter; then rounds in freedom
//   another  another thread has a filter of its own, so the kernel refuses one for all; then rounds in freedom
//   vfork    a vfork child takes a filter, and executes a program; its parent does rounds in freedom, and another
//   program exec     everything is allowed but mremap and getpeername; then another program errors   what is not on the
//   list fails with EPERM; sockets are made, and one is passed on

#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "filter.h"
#include "say.h"

static int ends[2];
static long rounds;
static int handler_ends[2];
static atomic_int handled;

// The calls that a round trip, a thread, a child and an end are made of here.
static const long kWords[] = {SYS_read, SYS_write, SYS_exit, SYS_exit_group, SYS_rt_sigreturn};
static const long kThread[] = {
    SYS_clone3,  SYS_clone,           SYS_mmap, SYS_mprotect,     SYS_munmap,   SYS_rt_sigprocmask, SYS_futex, SYS_rseq,
    SYS_madvise, SYS_set_robust_list, SYS_brk,  SYS_rt_sigaction, SYS_getrandom};
static const long kSignal[] = {SYS_tgkill, SYS_kill};
static const long kFork[] = {SYS_clone, SYS_wait4, SYS_set_robust_list};

static void talk_on(const int* pair, long first, long count) {
  for (long i = first; i < first + count; ++i) {
    char words[64];
    const int size = snprintf(words, sizeof words, "round trip %ld of a program that may do little else", i);
    CHECK(write(pair[0], words, (size_t)size) == size);
    char back[64];
    CHECK(read(pair[1], back, sizeof back) == size && memcmp(words, back, (size_t)size) == 0);
  }
}

static void* talk_in_thread(void* unused) {
  talk_on(ends, 0, rounds);
  return unused;
}

static void on_signal(int signal) {
  (void)signal;
  talk_on(handler_ends, atomic_fetch_add(&handled, 1), 1);
}

static pthread_barrier_t barrier;

static void* take_filter(void* filter) {
  CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter) == 0);
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  return NULL;
}

// Executes a shell in a child, the caller's like. True: it ended as it should.
static bool shell_in_child(void) {
  const pid_t child = fork();
  if (child == 0) execl("/bin/sh", "sh", "-c", "echo executed; exit 3", NULL);
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 3;
}

// What the shim asks the kernel for when a descriptor is new, and not known from before.
static void talk_in_freedom(void) {
  CHECK(dup2(ends[0], 700) == 700 && dup2(ends[1], 701) == 701);
  ends[0] = 700;
  ends[1] = 701;
  talk_on(ends, 0, rounds);
  CHECK(shell_in_child());
}

static void join(long* list, size_t* size, const long* more, size_t count) {
  for (size_t i = 0; i < count; ++i) list[(*size)++] = more[i];
}

int main(int argc, char** argv) {
  CHECK(argc == 3);
  const char* const how = argv[1];
  rounds = atol(argv[2]);
#define IS(word) (strcmp(how, word) == 0)
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, handler_ends) == 0);
  say("%s: sockets %d %d, then %d %d", how, ends[0], ends[1], handler_ends[0], handler_ends[1]);
  if (IS("strict")) {
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    talk_on(ends, 0, rounds);
    say("strict: done");
    syscall(SYS_exit, 3);
  }
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  signal(SIGUSR1, on_signal);
  struct Filter filter;
  if (IS("refused")) {
    make_filter(&filter, kWords, COUNT_OF(kWords), SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS);
    filter.code[filter.program.len - 1].code = 0xffff;
    CHECK_FAILS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter.program), EINVAL);
    CHECK_FAILS(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (struct sock_fprog*)16), EFAULT);
    CHECK_FAILS(prctl(PR_SET_SECCOMP, 77, 0), EINVAL);
    CHECK(prctl(PR_GET_SECCOMP) == 0);
    CHECK(dup2(ends[0], 700) == 700 && dup2(ends[1], 701) == 701);
    ends[0] = 700;
    ends[1] = 701;
    talk_on(ends, 0, rounds);
    return 3;
  }
  if (IS("another")) {
    static const long kNone[] = {SYS_mount};
    struct Filter harmless;
    make_filter(&harmless, kNone, COUNT_OF(kNone), SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW);
    make_filter(&filter, kWords, COUNT_OF(kWords), SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS);
    pthread_t thread;
    CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, take_filter, &harmless.program) == 0);
    pthread_barrier_wait(&barrier);
    // (Its own thread's number, which is no error.)
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter.program) > 0);
    CHECK(prctl(PR_GET_SECCOMP) == 0);
    pthread_barrier_wait(&barrier);
    CHECK(pthread_join(thread, NULL) == 0);
    talk_in_freedom();
    return 3;
  }
  if (IS("vfork")) {
    static const long kDenied[] = {SYS_mremap, SYS_getpeername, SYS_futex, SYS_fstat};
    make_filter(&filter, kDenied, COUNT_OF(kDenied), SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW);
    const pid_t child = vfork();
    if (child == 0) {
      if (prctl(PR_SET_SECCOMP, 77, 0) != -1 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter.program) != 0)
        _exit(1);
      execl("/bin/true", "true", NULL);
      _exit(2);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    say("the child: %d", status);
    talk_in_freedom();
    return 3;
  }
  if (IS("exec")) {
    static const long kDenied[] = {SYS_mremap, SYS_getpeername};
    make_filter(&filter, kDenied, COUNT_OF(kDenied), SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter.program) == 0);
    talk_on(ends, 0, rounds);
    execl("/bin/sh", "sh", "-c", "echo executed; exit 3", NULL);
    CHECK(!"executed");
  }
  if (IS("errors")) {
    static const long kDenied[] = {SYS_getpeername, SYS_ptrace, SYS_mount};
    make_filter(&filter, kDenied, COUNT_OF(kDenied), SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter.program) == 0);
    CHECK_FAILS(syscall(SYS_mount, 0, 0, 0, 0, 0), EPERM);
    talk("made under the filter");
    talk_on(ends, 0, rounds);
    const pid_t child = fork();
    if (child == 0) execl("/bin/sh", "sh", "-c", "echo executed; exit 3", NULL);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
  }

  long list[kMostNumbers];
  size_t size = 0;
  join(list, &size, kWords, COUNT_OF(kWords));
  if (IS("thread")) join(list, &size, kThread, COUNT_OF(kThread));
  if (IS("handler")) join(list, &size, kSignal, COUNT_OF(kSignal));
  if (IS("fork")) join(list, &size, kFork, COUNT_OF(kFork));
  if (IS("number")) {
    static const long kFirst[] = {SYS_madvise};  // of the shim's own
    make_filter(&filter, kFirst, COUNT_OF(kFirst), SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW);
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter.program) == 0);
    talk_on(ends, 0, rounds);
    make_filter(&filter, list, size, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS);
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter.program) == 0);
  } else {
    make_filter(&filter, list, size, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS);
    const pid_t self = getpid();
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter.program) == 0);
    if (IS("handler")) {
      for (int i = 0; i < 100; ++i) {
        talk_on(ends, i, 1);
        CHECK(syscall(SYS_tgkill, self, self, SIGUSR1) == 0);
      }
      CHECK(atomic_load(&handled) == 100);
    }
  }
  if (IS("thread")) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, talk_in_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
  } else if (IS("fork")) {
    const pid_t child = fork();
    if (child == 0) {
      talk_on(ends, 0, rounds);
      _exit(3);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 3);
  } else {
    talk_on(ends, 0, rounds);
  }
  say("%s: done", how);
  _exit(3);
}
