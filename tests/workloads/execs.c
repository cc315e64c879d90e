// SPDX-License-Identifier: Apache-2.0
//
// Every form of exec and posix_spawn starts this same program again, which checks its arguments and its environment:
// all that was given and in the same order, whatever else (LD_PRELOAD, SOCKTALE_ATTACH) a tracer put in. Then execs
// that fail.

#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "check.h"

extern char** environ;

static char self[4096];

static bool of_a_tracer(const char* entry) {
  return strncmp(entry, "LD_PRELOAD=", 11) == 0 || strncmp(entry, "SOCKTALE_", 9) == 0;
}

// In the new program: argv is {self, "child", number, "last"}, the environment N0=…, N1=…, in order, `number` of them.
static int child(int argc, char** argv) {
  CHECK(argc == 4 && strcmp(argv[3], "last") == 0);
  const int expected = atoi(argv[2]);
  int found = 0;
  for (char** entry = environ; *entry != NULL; ++entry) {
    if (of_a_tracer(*entry)) continue;
    char name[32];
    snprintf(name, sizeof name, "N%d=value", found);
    CHECK(strcmp(*entry, name) == 0);
    ++found;
  }
  CHECK(found == expected);
  return 42;
}

static char** make_environment(int count) {
  char** const result = calloc((size_t)count + 1, sizeof *result);
  CHECK(result != NULL);
  for (int i = 0; i < count; ++i) CHECK(asprintf(&result[i], "N%d=value", i) > 0);
  return result;
}

static void expect_42(pid_t pid) {
  int status;
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

// Runs `call`, an exec, in a child.
#define IN_CHILD(call)        \
  do {                        \
    const pid_t pid = fork(); \
    if (pid == 0) {           \
      call;                   \
      perror(#call);          \
      _exit(1);               \
    }                         \
    expect_42(pid);           \
  } while (0)

#define IN_VFORK_CHILD(call)   \
  do {                         \
    const pid_t pid = vfork(); \
    if (pid == 0) {            \
      call;                    \
      _exit(1);                \
    }                          \
    expect_42(pid);            \
  } while (0)

static void all_forms(int count) {
  char number[16];
  snprintf(number, sizeof number, "%d", count);
  char* argv[] = {self, (char*)"child", number, (char*)"last", NULL};
  char** const envp = make_environment(count);

  IN_CHILD(execve(self, argv, envp));
  IN_CHILD(execvpe(self, argv, envp));
  IN_CHILD(execle(self, self, "child", number, "last", (char*)NULL, envp));
  IN_CHILD(fexecve(open(self, O_RDONLY | O_CLOEXEC), argv, envp));
  IN_CHILD(execveat(AT_FDCWD, self, argv, envp, 0));
  IN_CHILD(execveat(open(self, O_PATH | O_CLOEXEC), "", argv, envp, AT_EMPTY_PATH));
  IN_CHILD((environ = envp, execv(self, argv)));
  IN_CHILD((environ = envp, execvp(self, argv)));
  IN_CHILD((environ = envp, execl(self, self, "child", number, "last", (char*)NULL)));
  IN_CHILD((environ = envp, execlp(self, self, "child", number, "last", (char*)NULL)));
  IN_VFORK_CHILD(execve(self, argv, envp));
  IN_VFORK_CHILD(execle(self, self, "child", number, "last", (char*)NULL, envp));

  pid_t pid = 0;
  CHECK(posix_spawn(&pid, self, NULL, NULL, argv, envp) == 0);
  expect_42(pid);
  CHECK(posix_spawnp(&pid, self, NULL, NULL, argv, envp) == 0);
  expect_42(pid);
  CHECK(posix_spawn(NULL, self, NULL, NULL, argv, envp) == 0);
  int status;
  CHECK(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 42);
  for (int i = 0; i < count; ++i) free(envp[i]);
  free(envp);
}

static void along_path(void) {
  char* const slash = strrchr(self, '/');
  CHECK(slash != NULL);
  char path[4200];
  snprintf(path, sizeof path, "/nowhere::%.*s:/bin", (int)(slash - self), self);
  char* argv[] = {self, (char*)"child", (char*)"0", (char*)"last", NULL};
  char* nothing[] = {NULL};
  char* const before = strdup(getenv("PATH") == NULL ? "" : getenv("PATH"));
  CHECK(setenv("PATH", path, 1) == 0);
  IN_CHILD(execvpe(slash + 1, argv, nothing));
  pid_t pid;
  CHECK(posix_spawnp(&pid, slash + 1, NULL, NULL, argv, nothing) == 0);
  expect_42(pid);
  CHECK(setenv("PATH", before, 1) == 0);
  free(before);
}

static void failures(void) {
  char* argv[] = {self, NULL};
  char* nothing[] = {NULL};
  char* const bad = unmapped_after_64();
  CHECK_FAILS(execve("/no/such/program", argv, nothing), ENOENT);
  CHECK_FAILS(execv("/", argv), EACCES);
  CHECK_FAILS(execvp("no-such-program-anywhere", argv), ENOENT);
  CHECK_FAILS(execve(OPAQUE(bad), argv, nothing), EFAULT);
  CHECK_FAILS(execve(self, (char**)(void*)OPAQUE(bad), nothing), EFAULT);
  CHECK_FAILS(execve(self, argv, (char**)(void*)OPAQUE(bad)), EFAULT);
  char* with_bad[] = {OPAQUE(bad), NULL};
  CHECK_FAILS(execve(self, argv, with_bad), EFAULT);
  CHECK_FAILS(execve(self, with_bad, nothing), EFAULT);
  memset(bad - 64, 'x', 64);  // a path that runs into unmapped memory
  CHECK_FAILS(execve(OPAQUE(bad - 64), argv, nothing), EFAULT);
  CHECK_FAILS(fexecve(-1, argv, nothing), EINVAL);
  CHECK_FAILS(execveat(-1, "", argv, nothing, AT_EMPTY_PATH), EBADF);
  pid_t pid = -5;
  CHECK(posix_spawn(&pid, "/no/such/program", NULL, NULL, argv, nothing) == ENOENT);
  CHECK(pid == -5);
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "child") == 0) return child(argc, argv);
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  CHECK(length > 0);
  self[length] = '\0';
  all_forms(0);
  all_forms(3);
  all_forms(3000);  // more than fits on a tracer's stack

  char* null_environment[] = {self, (char*)"child", (char*)"0", (char*)"last", NULL};
  IN_CHILD(execve(self, null_environment, OPAQUE((char**)NULL)));  // Linux takes null for empty
  along_path();
  failures();
  return 0;
}
