// SPDX-License-Identifier: Apache-2.0
//
// wiped TALKER: a program that has wiped its environment starts others in every way there is: by the exec and spawn
// calls with an empty environment, and by those inside of which libc takes `environ`. Its own environment stays wiped.

#define _GNU_SOURCE
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "environment.h"

static char* talker;

static void say_status(const char* how, int status) {
  say("%s: status %d, environ %s", how, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
      environ == NULL    ? "null"
      : *environ == NULL ? "empty"
                         : *environ);
}

static int status_of(pid_t pid) {
  int status;
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
  return status;
}

static void by_popen(const char* word) {
  char command[600], line[100];
  snprintf(command, sizeof command, "%s '%s' 3", talker, word);
  FILE* const stream = popen(command, "r");
  CHECK(stream != NULL);
  while (fgets(line, sizeof line, stream) != NULL) say("popen read: %.*s", (int)strcspn(line, "\n"), line);
  say_status("popen", pclose(stream));
}

static void by_system(const char* word) {
  char command[600];
  snprintf(command, sizeof command, "%s '%s' 4", talker, word);
  say_status("system", system(command));
}

#define IN_CHILD(word, fork_call, exec_call)                  \
  do {                                                        \
    char* argv[] = {talker, (char*)(word), (char*)"5", NULL}; \
    const pid_t pid = fork_call;                              \
    if (pid == 0) {                                           \
      exec_call;                                              \
      _exit(99);                                              \
    }                                                         \
    say_status(word, status_of(pid));                         \
  } while (0)

int main(int argc, char** argv_of_main) {
  CHECK(argc == 2);
  talker = argv_of_main[1];
  char* nothing[] = {NULL};
  pid_t spawned;

  CHECK(clearenv() == 0);
  by_system("system after clearenv");
  by_popen("popen after clearenv");
  by_system("system again");
  environ = nothing;
  by_system("system with an empty array");
  by_popen("popen with an empty array");
  char* own[] = {(char*)"OWN=1", (char*)"LD_PRELOAD=", (char*)"SOCKTALE_ATTACH=nothing of the kind", NULL};
  environ = own;
  by_system("system with an own array");
  CHECK(environ == own && strcmp(own[1], "LD_PRELOAD=") == 0 && strcmp(own[2] + 16, "nothing of the kind") == 0);
  environ = nothing;

  IN_CHILD("execve", fork(), execve(talker, argv, nothing));
  IN_CHILD("execve with null", fork(), execve(talker, argv, OPAQUE((char**)NULL)));
  IN_CHILD("execv", fork(), execv(talker, argv));
  IN_CHILD("execvp", fork(), execvp(talker, argv));
  IN_CHILD("execl", fork(), execl(talker, talker, argv[1], "5", (char*)NULL));
  IN_CHILD("execle", fork(), execle(talker, talker, argv[1], "5", (char*)NULL, nothing));
  IN_CHILD("execve after vfork", vfork(), execve(talker, argv, nothing));
  IN_CHILD("execve by number", fork(), syscall(SYS_execve, talker, argv, nothing));
  char* argv[] = {talker, (char*)"posix_spawn", (char*)"6", NULL};
  CHECK(posix_spawn(&spawned, talker, NULL, NULL, argv, nothing) == 0);
  say_status("posix_spawn", status_of(spawned));
  argv[1] = (char*)"posix_spawnp";
  CHECK(posix_spawnp(&spawned, talker, NULL, NULL, argv, environ) == 0);
  say_status("posix_spawnp", status_of(spawned));

  environ = NULL;
  say_environment();
  CHECK(setenv("ONE", "1", 1) == 0);  // libc makes a new array
  by_system("system with one entry");
  CHECK(unsetenv("ONE") == 0);
  by_system("system with none");
  say_environment();
  return 0;
}
