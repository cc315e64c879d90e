// SPDX-License-Identifier: Apache-2.0
//
// The two versions of posix_spawn and posix_spawnp that libc has. Those of programs older than 2012 give a file that is
// neither a program nor has a #! line to the shell; the later ones say ENOEXEC.
//
//   versions SCRIPT     such a file, which exits with 5 and is on PATH

#define _GNU_SOURCE
#include <dlfcn.h>
#include <spawn.h>
#include <sys/wait.h>

#include "say.h"

typedef int Spawn(pid_t*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*, char* const[],
                  char* const[]);
Spawn old_posix_spawn, old_posix_spawnp;
__asm__(".symver old_posix_spawn, posix_spawn@GLIBC_2.2.5");
__asm__(".symver old_posix_spawnp, posix_spawnp@GLIBC_2.2.5");

extern char** environ;

static void try(const char* name, Spawn* spawn, const char* program) {
  char* argv[] = {(char*)program, NULL};
  pid_t pid = 0;
  const int error = spawn(&pid, program, NULL, NULL, argv, environ);
  int status = -1;
  if (error == 0) CHECK(waitpid(pid, &status, 0) == pid);
  say("%s: error %d, status %d", name, error, error == 0 ? WEXITSTATUS(status) : -1);
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  const char* const name = strrchr(argv[1], '/') + 1;
  try("posix_spawn", posix_spawn, argv[1]);
  try("posix_spawnp", posix_spawnp, name);
  try("old posix_spawn", old_posix_spawn, argv[1]);
  try("old posix_spawnp", old_posix_spawnp, name);
  try("old posix_spawn of nothing", old_posix_spawn, "/no/such/program");
  Spawn* const found = (Spawn*)dlvsym(RTLD_DEFAULT, "posix_spawn", "GLIBC_2.2.5");
  CHECK(found != NULL);
  try("old posix_spawn by name", found, argv[1]);
  return 0;
}
