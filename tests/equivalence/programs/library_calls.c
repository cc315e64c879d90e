// SPDX-License-Identifier: Apache-2.0
//
// Functions of libc that make or end descriptors among other things: streams, directories, temporary files; and
// questions about names.

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netdb.h>
#include <pty.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "each_call.h"
#include "tests/workloads/check.h"

static void make_streams(void) {
  FILE* file = fopen("/dev/null", "r");
  CHECK(file != NULL && fclose(file) == 0);
  CHECK(fopen("/nowhere/at all", "r") == NULL && errno == ENOENT);
  const struct Ends ends = stream_ends();
  FILE* talk = fdopen(ends.a, "w");
  CHECK(talk != NULL && fputs("knock", talk) >= 0 && fclose(talk) == 0);
  char got[5];
  CHECK(recv(ends.b, got, OPAQUE(sizeof got), MSG_WAITALL) == 5 && close(ends.b) == 0);
  file = fopen("/dev/null", "r");
  file = freopen("/dev/zero", "r", file);
  CHECK(file != NULL && fclose(file) == 0);
  file = tmpfile();
  CHECK(file != NULL && fclose(file) == 0);
}

static void make_commands(void) {
  FILE* pipe = popen("exit 3", "r");
  CHECK(pipe != NULL && WEXITSTATUS(pclose(pipe)) == 3);
  CHECK(WEXITSTATUS(system("exit 4")) == 4);
}

static void make_directories(void) {
  DIR* directory = opendir("/");
  CHECK(directory != NULL && readdir(directory) != NULL && closedir(directory) == 0);
  CHECK(opendir("/nowhere/at all") == NULL && errno == ENOENT);
  directory = fdopendir(open("/", O_RDONLY | O_DIRECTORY));
  CHECK(directory != NULL && closedir(directory) == 0);
}

static void make_temporary_files(void) {
  char path[] = "/tmp/each_call_XXXXXX", nowhere_at_all[] = "/nowhere/at all/XXXXXX";
  const int fd = mkstemp(path);
  CHECK(fd >= 0 && close(fd) == 0 && unlink(path) == 0);
  CHECK_FAILS(mkstemp(nowhere_at_all), ENOENT);
  char name[64];
  CHECK(snprintf(name, sizeof name, "/each_call-%d", getpid()) > 0);
  const int shared = shm_open(name, O_CREAT | O_RDWR, 0600);
  CHECK(shared >= 0 && close(shared) == 0 && shm_unlink(name) == 0);
  CHECK_FAILS(shm_open(name, O_RDWR, 0600), ENOENT);
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  CHECK(terminal < 0 || close(terminal) == 0);  // there may be no terminals here
}

static void make_queues(void) {
  char name[64];
  CHECK(snprintf(name, sizeof name, "/each_call-%d", getpid()) > 0);
  struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 8};
  const mqd_t queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
  if (queue >= 0) {
    CHECK_FAILS(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes), EEXIST);
    CHECK(mq_unlink(name) == 0 && mq_close(queue) == 0);
  } else {
    CHECK(errno == ENOSYS || errno == EACCES || errno == EMFILE);  // the kernel has none for us
  }
  CHECK(mq_open(name, O_RDONLY) == -1 && (errno == ENOENT || errno == ENOSYS || errno == EACCES));
  CHECK_FAILS(mq_close(kNoDescriptor), EBADF);
}

static void make_openpty(void) {
  struct Ends ends;
  if (openpty(&ends.a, &ends.b, NULL, NULL, NULL) == 0) {  // there may be no terminals here
    char got[5];
    CHECK(isatty(ends.b) && write(ends.b, "knock", 5) == 5 && read(ends.a, got, OPAQUE(sizeof got)) == 5);
    close_ends(ends);
  }
  struct rlimit limit, none;
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  none = limit;
  none.rlim_cur = 0;
  CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
  CHECK(openpty(&ends.a, &ends.b, NULL, NULL, NULL) == -1);
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void make_names(void) {
  const struct sockaddr_in name = loopback();
  char host[NI_MAXHOST];
  CHECK(getnameinfo((const struct sockaddr*)&name, sizeof name, host, sizeof host, NULL, 0, NI_NUMERICHOST) == 0);
  CHECK(gethostbyname("127.0.0.1") != NULL);
  (void)gethostbyaddr(&name.sin_addr, sizeof name.sin_addr, AF_INET);  // whatever the machine calls itself
}

static void make_libraries(void) {
  void* const usual = dlopen("libm.so.6", RTLD_NOW);
  void* const deep = dlopen("libm.so.6", RTLD_NOW | RTLD_DEEPBIND);
  void* const apart = dlmopen(LM_ID_NEWLM, "libm.so.6", RTLD_NOW);
  CHECK(usual != NULL && dlclose(usual) == 0 && deep != NULL && dlclose(deep) == 0);
  CHECK(apart != NULL && dlclose(apart) == 0);
}

const struct EachCall kLibraryCalls[] = {{"fopen", make_streams},
                                         {"fdopen", make_streams},
                                         {"freopen", make_streams},
                                         {"fclose", make_streams},
                                         {"tmpfile", make_streams},
                                         {"popen", make_commands},
                                         {"pclose", make_commands},
                                         {"system", make_commands},
                                         {"opendir", make_directories},
                                         {"fdopendir", make_directories},
                                         {"closedir", make_directories},
                                         {"mkstemp", make_temporary_files},
                                         {"shm_open", make_temporary_files},
                                         {"posix_openpt", make_temporary_files},
                                         {"mq_open", make_queues},
                                         {"mq_close", make_queues},
                                         {"openpty", make_openpty},
                                         {"getnameinfo", make_names},
                                         {"gethostbyname", make_names},
                                         {"gethostbyaddr", make_names},
                                         {"dlopen", make_libraries},
                                         {"dlmopen", make_libraries},
                                         {NULL, NULL}};
