// SPDX-License-Identifier: Apache-2.0
//
// The program that `socktale demo` records: a server with a helper behind a socketpair, a client that waits for a slow
// answer and is refused once, and a program that leaks descriptors. Loopback only, about one second. Each part is this
// file under another name (a symbolic link), so that the trace tells them apart.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kMaxConnections = 32, kLeaks = 9, kMessageBytes = 1024 };

static void Check(int ok, const char* what) {
  if (ok) return;
  fprintf(stderr, "socktale-demo: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void Pause(int milliseconds) { poll(NULL, 0, milliseconds); }

static struct sockaddr_in Loopback(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// ---- demo-server PIPE: writes its port to the descriptor PIPE, serves until the pipe's reader is gone --------------

// The helper behind the socketpair: turns a path into the page's text.
static void Helper(int fd) {
  char path[kMessageBytes];
  ssize_t n;
  while ((n = recv(fd, path, sizeof path - 1, 0)) > 0) {
    path[n] = '\0';
    if (strcmp(path, "/slow") == 0) Pause(250);
    const char* page = strcmp(path, "/hello") == 0  ? "hello, world\n"
                       : strcmp(path, "/slow") == 0 ? "good things take time\n"
                                                    : "there is no such page\n";
    Check(send(fd, page, strlen(page), 0) > 0, "helper: send");
  }
  exit(0);
}

// Answers one request. Returns 0 when the client has gone.
static int Answer(int client, int helper) {
  char request[kMessageBytes];
  char path[kMessageBytes] = "";
  char page[kMessageBytes];
  char answer[2 * kMessageBytes];
  const ssize_t n = recv(client, request, sizeof request - 1, 0);
  if (n <= 0) return 0;
  request[n] = '\0';
  if (sscanf(request, "GET %1000s", path) != 1) return 0;
  Check(send(helper, path, strlen(path), 0) > 0, "server: send to helper");
  const ssize_t size = recv(helper, page, sizeof page, 0);
  Check(size > 0, "server: recv from helper");
  const int length =
      snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zd\r\n\r\n%.*s",
               size, (int)size, page);
  return send(client, answer, (size_t)length, MSG_NOSIGNAL) == length;
}

static void Serve(int ready) {
  int pair[2];
  Check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
  const pid_t helper = fork();
  Check(helper >= 0, "fork");
  if (helper == 0) {
    close(pair[0]);
    Helper(pair[1]);
  }
  close(pair[1]);

  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  Check(listener >= 0, "socket");
  struct sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  Check(bind(listener, (struct sockaddr*)&address, size) == 0, "bind");
  Check(listen(listener, 16) == 0, "listen");
  Check(getsockname(listener, (struct sockaddr*)&address, &size) == 0, "getsockname");
  Check(dprintf(ready, "%d\n", ntohs(address.sin_port)) > 0, "write the port");

  struct pollfd polled[kMaxConnections] = {{.fd = ready, .events = 0}, {.fd = listener, .events = POLLIN}};
  nfds_t count = 2;
  while (poll(polled, count, -1) > 0) {
    for (nfds_t i = count; i-- > 2;) {
      if (polled[i].revents == 0 || Answer(polled[i].fd, pair[0])) continue;
      close(polled[i].fd);
      polled[i] = polled[--count];
    }
    // POLLERR: nobody reads the pipe any more. Looked at last: clients that ended before are closed first, always.
    if (polled[0].revents != 0) break;
    if (polled[1].revents != 0 && count < kMaxConnections) {
      const int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
      Check(client >= 0, "accept");
      polled[count++] = (struct pollfd){.fd = client, .events = POLLIN};
    }
  }
  close(pair[0]);
  Check(waitpid(helper, NULL, 0) == helper, "wait for the helper");
}

// ---- demo-client PORT, demo-leak PORT ------------------------------------------------------------------------------

static int Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  Check(fd >= 0, "socket");
  const struct sockaddr_in address = Loopback(port);
  if (connect(fd, (const struct sockaddr*)&address, sizeof address) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static void Get(int fd, const char* path) {
  char message[kMessageBytes];
  const int length = snprintf(message, sizeof message, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
  Check(send(fd, message, (size_t)length, 0) == length, "send");
  Check(recv(fd, message, sizeof message, 0) > 0, "recv");
}

// Asks for two pages on one connection, then tries a port where nothing listens.
static void Ask(int port) {
  const int fd = Connect(port);
  Check(fd >= 0, "connect");
  Get(fd, "/hello");
  Pause(60);  // nobody asks
  Get(fd, "/slow");
  close(fd);

  // Bound and closed again: nothing listens on that port now.
  struct sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  Check(probe >= 0 && bind(probe, (struct sockaddr*)&address, size) == 0 &&
            getsockname(probe, (struct sockaddr*)&address, &size) == 0,
        "find a free port");
  close(probe);
  Check(Connect(ntohs(address.sin_port)) < 0 && errno == ECONNREFUSED, "be refused");
}

// Opens a connection for each request and forgets to close it.
static void Leak(int port) {
  for (int i = 0; i < kLeaks; ++i) {
    const int fd = Connect(port);
    Check(fd >= 0, "connect");
    Get(fd, "/hello");
    if (i % 4 == 3) close(fd);
    Pause(20);
  }
  Check(open("/etc/passwd", O_RDONLY) >= 0, "/etc/passwd");
}

// ---- socktale-demo: starts the parts -------------------------------------------------------------------------------

static pid_t Start(const char* self, const char* part, int argument) {
  const pid_t child = fork();
  Check(child >= 0, "fork");
  if (child > 0) return child;
  char path[4096];
  char number[16];
  const int directory = (int)(strrchr(self, '/') - self);
  snprintf(path, sizeof path, "%.*s/%s", directory, self, part);
  snprintf(number, sizeof number, "%d", argument);
  execl(path, part, number, (char*)NULL);
  Check(0, path);
  return -1;
}

static void Await(pid_t child, const char* part) {
  int status = 0;
  errno = 0;
  Check(waitpid(child, &status, 0) == child && status == 0, part);
}

static void Direct(const char* self) {
  int ready[2];
  char port[16] = "";
  Check(pipe(ready) == 0, "pipe");
  Check(fcntl(ready[0], F_SETFD, FD_CLOEXEC) == 0, "fcntl");
  const pid_t server = Start(self, "demo-server", ready[1]);
  close(ready[1]);
  Check(read(ready[0], port, sizeof port - 1) > 0, "the server did not start");
  Await(Start(self, "demo-client", atoi(port)), "demo-client");
  Await(Start(self, "demo-leak", atoi(port)), "demo-leak");
  close(ready[0]);
  Await(server, "demo-server");
}

int main(int argc, char** argv) {
  const char* slash = strrchr(argv[0], '/');
  const char* name = slash != NULL ? slash + 1 : argv[0];
  if (strcmp(name, "demo-server") == 0 && argc == 2) {
    Serve(atoi(argv[1]));
  } else if (strcmp(name, "demo-client") == 0 && argc == 2) {
    Ask(atoi(argv[1]));
  } else if (strcmp(name, "demo-leak") == 0 && argc == 2) {
    Leak(atoi(argv[1]));
  } else if (slash != NULL) {
    Direct(argv[0]);
  } else {
    fprintf(stderr, "socktale-demo: to be started by its path\n");
    return 2;
  }
  return 0;
}
