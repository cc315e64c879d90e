// SPDX-License-Identifier: Apache-2.0
//
// Descriptors made by other names than open(): temporary files, shared memory, message queues, terminals, directories,
// mounts. What the machine does not allow fails as the kernel has it.

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pty.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <utmp.h>

#include "check.h"

mqd_t __mq_open_2(const char* name, int flags);

static int lowest;  // the lowest free number

static void expect_lowest(int fd) {
  CHECK(fd == lowest);
  CHECK(close(fd) == 0);
}

// The call makes a file by a template that ends in `suffix`, and fills it in.
#define EXPECT_TEMPORARY(suffix, call)                          \
  do {                                                          \
    char name[] = "/tmp/socktale-makers-XXXXXX" suffix;         \
    expect_lowest(call);                                        \
    CHECK(strstr(name, "XXXXXX") == NULL && unlink(name) == 0); \
  } while (0)

static void temporary(void) {
  EXPECT_TEMPORARY("", mkstemp(name));
  EXPECT_TEMPORARY("", mkstemp64(name));
  EXPECT_TEMPORARY("", mkostemp(name, O_CLOEXEC));
  EXPECT_TEMPORARY("", mkostemp64(name, O_APPEND));
  EXPECT_TEMPORARY(".c", mkstemps(name, 2));
  EXPECT_TEMPORARY(".c", mkstemps64(name, 2));
  EXPECT_TEMPORARY(".c", mkostemps(name, 2, O_CLOEXEC));
  EXPECT_TEMPORARY(".c", mkostemps64(name, 2, O_CLOEXEC));
  char bad[] = "/tmp/none";
  CHECK_FAILS(mkstemp(bad), EINVAL);
}

static void shared(void) {
  char name[64];
  snprintf(name, sizeof name, "/socktale-makers-%d", (int)getpid());
  const int fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
  if (fd >= 0) {
    CHECK(fd == lowest && fcntl(fd, F_GETFD) == FD_CLOEXEC && shm_unlink(name) == 0);
    expect_lowest(fd);
  } else {
    CHECK(errno == ENOENT || errno == EACCES);  // no /dev/shm
  }
  CHECK_FAILS(shm_open(name, O_RDWR, 0), ENOENT);
}

static void queues(void) {
  char name[64];
  snprintf(name, sizeof name, "/socktale-makers-%d", (int)getpid());
  struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 8};
  const mqd_t queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
  if (queue < 0) {
    CHECK(errno == ENOSYS || errno == EACCES || errno == EMFILE);  // the kernel has none for us
  } else {
    CHECK(queue == lowest && mq_getattr(queue, &attributes) == 0 && attributes.mq_msgsize == 8);
    const mqd_t again = __mq_open_2(name, O_RDONLY);
    CHECK(again == lowest + 1 && mq_close(again) == 0 && mq_close(queue) == 0 && mq_unlink(name) == 0);
  }
  CHECK_FAILS(mq_close(-1), EBADF);
}

static void terminals(void) {
  const int first = posix_openpt(O_RDWR | O_NOCTTY);
  if (first < 0) return;  // no /dev/ptmx
  expect_lowest(first);
  expect_lowest(getpt());
  int master, slave;
  CHECK(openpty(&master, &slave, NULL, NULL, NULL) == 0 && isatty(slave));
  int status;
  const pid_t child = fork();
  if (child == 0) {
    close(master);
    if (login_tty(slave) != 0 || !isatty(0) || fcntl(slave, F_GETFD) != -1) _exit(1);
    _exit(isatty(2) ? 0 : 2);
  }
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(close(master) == 0 && close(slave) == 0);
  CHECK_FAILS(login_tty(-1), EBADF);

  const pid_t pid = forkpty(&master, NULL, NULL, NULL);
  if (pid == 0) _exit(isatty(0) && isatty(1) && socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 5 : 1);
  CHECK(pid > 0 && master == lowest && waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
  expect_lowest(master);
}

static void directories(void) {
  DIR* const directory = opendir("/");
  CHECK(directory != NULL && dirfd(directory) == lowest && readdir(directory) != NULL);
  CHECK(closedir(directory) == 0 && fcntl(lowest, F_GETFD) == -1);
  const int fd = open("/tmp", O_RDONLY | O_DIRECTORY);
  DIR* const taken = fdopendir(fd);
  CHECK(taken != NULL && dirfd(taken) == fd && closedir(taken) == 0 && fcntl(fd, F_GETFD) == -1);
  CHECK(opendir("/no/such/directory") == NULL && errno == ENOENT);
  CHECK(fdopendir(-1) == NULL && errno == EBADF);
  CHECK_FAILS(closedir((DIR*)OPAQUE((void*)NULL)), EINVAL);
}

// As root these make descriptors; nobody else may, and old kernels lack them.
static void expect_made_or_refused(int fd) {
  if (fd >= 0) {
    expect_lowest(fd);
  } else {
    CHECK(errno == EPERM || errno == ENOSYS || errno == EOPNOTSUPP || errno == EINVAL || errno == EBADF);
  }
}

static void mounts(void) {
  char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
  struct file_handle* const handle = (struct file_handle*)room;
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount_id;
  if (name_to_handle_at(AT_FDCWD, "/tmp", handle, &mount_id, 0) == 0) {
    const int fd = open_by_handle_at(AT_FDCWD, handle, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      expect_lowest(fd);
    } else {
      CHECK(errno == EPERM || errno == ESTALE);
    }
  }
  CHECK(open_by_handle_at(-1, handle, O_RDONLY) == -1);
  expect_made_or_refused(open_tree(AT_FDCWD, "/tmp", OPEN_TREE_CLOEXEC));
  expect_made_or_refused(fsopen("tmpfs", FSOPEN_CLOEXEC));
  expect_made_or_refused(fspick(AT_FDCWD, "/", FSPICK_CLOEXEC));
  expect_made_or_refused(fsmount(-1, FSMOUNT_CLOEXEC, 0));
}

int main(void) {
  lowest = dup(0);
  CHECK(lowest >= 0 && close(lowest) == 0);
  temporary();
  shared();
  queues();
  terminals();
  directories();
  mounts();
  return 0;
}
