// SPDX-License-Identifier: Apache-2.0
//
// otherwise PROGRAM: starts PROGRAM in the ways in which its path alone does not say where it is: by a descriptor, and
// by a relative path from a directory that the child goes to. Says how each ended.

#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <spawn.h>
#include <sys/wait.h>

#include "say.h"

extern char** environ;

static void await(const char* how, pid_t pid) {
  int status;
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
  say("%s: %s %d", how, WIFEXITED(status) ? "exit" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : status);
}

static void spawn(const char* how, const char* name, posix_spawn_file_actions_t* actions) {
  char* argv[] = {(char*)name, NULL};
  pid_t pid;
  CHECK(posix_spawn(&pid, name, actions, NULL, argv, environ) == 0);
  await(how, pid);
  CHECK(posix_spawnp(&pid, name, actions, NULL, argv, environ) == 0);
  await(how, pid);
  CHECK(posix_spawn_file_actions_destroy(actions) == 0);
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  char* arguments[] = {argv[1], NULL};
  for (int i = 0; i < 2; ++i) {
    const pid_t pid = fork();
    if (pid == 0) {
      const int fd = open(argv[1], (i == 0 ? O_PATH : O_RDONLY) | O_CLOEXEC);
      execveat(fd, "", arguments, environ, AT_EMPTY_PATH);
      _exit(1);
    }
    await(i == 0 ? "by a path's descriptor" : "by an open file", pid);
  }

  char* const directory = dirname(strdup(argv[1]));
  char name[300];
  snprintf(name, sizeof name, "./%s", basename(strdup(argv[1])));
  CHECK(chdir("/") == 0 && access(name, F_OK) != 0);
  posix_spawn_file_actions_t actions;
  CHECK(posix_spawn_file_actions_init(&actions) == 0);
  CHECK(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) == 0);
  CHECK(posix_spawn_file_actions_addchdir_np(&actions, directory) == 0);
  spawn("by chdir", name, &actions);
  const int fd = open(directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
  CHECK(fd >= 0 && posix_spawn_file_actions_init(&actions) == 0);
  CHECK(posix_spawn_file_actions_addfchdir_np(&actions, fd) == 0);
  spawn("by fchdir", name, &actions);
  // Here the shim is taken along: the program is looked at.
  CHECK(chdir(directory) == 0 && posix_spawn_file_actions_init(&actions) == 0);
  CHECK(posix_spawn_file_actions_addclose(&actions, fd) == 0);
  spawn("from here", name, &actions);
  return 3;
}
