// SPDX-License-Identifier: Apache-2.0
//
// elsewhere HOW PROGRAM [ARGUMENTS…]: goes where the recording cannot be found by its path, talks, and has a child
// talk.
//   root DIRECTORY   another root, then another user
//   user             another user
//   namespaces       new mount, network, pid and user namespaces; the child is the pid namespace's first process
// Then executes PROGRAM, if there is one, in a child, and says how it ended.

#define _GNU_SOURCE
#include <grp.h>
#include <sched.h>
#include <sys/wait.h>

#include "say.h"

static void become_nobody(void) { CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0); }

int main(int argc, char** argv) {
  CHECK(argc >= 2);
  const char* const how = argv[1];
  char** program = argv + 2;
  talk("before");
  if (strcmp(how, "root") == 0) {
    CHECK(chroot(*program++) == 0 && chdir("/") == 0);
    become_nobody();
  } else if (strcmp(how, "user") == 0) {
    become_nobody();
  } else {
    const int spaces = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID;
    // In a chroot nobody gets a user namespace; root needs none for the others.
    CHECK(unshare(CLONE_NEWUSER | spaces) == 0 || (errno == EPERM && unshare(spaces) == 0));
  }
  talk("there");
  const pid_t child = fork();
  if (child == 0) {
    talk("child there");
    if (getpid() == 1) say("the child is 1");
    if (*program != NULL) {
      execv(*program, program);
      say("%s: errno %d", *program, errno);
    }
    _exit(0);
  }
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  say("the child ended with %d", status);
  return 3;
}
