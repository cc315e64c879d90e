// SPDX-License-Identifier: Apache-2.0
//
// Bytes moved by every call that moves them, over streams and datagrams: whole, in parts, in batches, peeked, cut,
// discarded, from files, with descriptors; and refused. Buffers end where memory ends.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "check.h"

ssize_t __read(int fd, void* buf, size_t size);
ssize_t __write(int fd, const void* buf, size_t size);
ssize_t __send(int fd, const void* buf, size_t size, int flags);

static void* bad;  // nothing is mapped here

// A buffer of `size` bytes (at most 64) that ends where memory ends.
static char* tail_buffer(size_t size) { return unmapped_after_64() - size; }

static void simple(int a, int b) {
  char* const out = tail_buffer(5);
  char* const in = tail_buffer(5);
  memcpy(out, "hello", 5);
  CHECK(write(a, out, 5) == 5 && read(b, in, OPAQUE((size_t)5)) == 5 && memcmp(in, "hello", 5) == 0);
  CHECK(__write(a, out, 5) == 5 && __read(b, in, 5) == 5);
  CHECK(send(a, out, 5, 0) == 5 && recv(b, in, OPAQUE((size_t)5), MSG_PEEK) == 5);
  CHECK(recv(b, in, OPAQUE((size_t)5), 0) == 5 && memcmp(in, "hello", 5) == 0);
  CHECK(__send(a, out, 5, MSG_NOSIGNAL) == 5 && recvfrom(b, in, OPAQUE((size_t)5), 0, NULL, NULL) == 5);
  // Fewer bytes than asked for: the rest of the buffer is not looked at.
  char* const longer = tail_buffer(64);
  CHECK(send(a, out, 2, 0) == 2 && recv(b, longer, OPAQUE((size_t)4096), 0) == 2);
  CHECK_FAILS(recv(b, in, OPAQUE((size_t)5), MSG_DONTWAIT), EAGAIN);
  CHECK_FAILS(recv(-1, in, OPAQUE((size_t)5), 0), EBADF);
  CHECK_FAILS(recv(0, in, OPAQUE((size_t)5), 0), ENOTSOCK);
  CHECK_FAILS(read(-1, in, OPAQUE((size_t)5)), EBADF);
  CHECK_FAILS(send(a, bad, 5, 0), EFAULT);
  CHECK(send(a, out, 5, 0) == 5);
  CHECK_FAILS(recv(b, OPAQUE(bad), OPAQUE((size_t)5), 0), EFAULT);
  CHECK(recv(b, in, OPAQUE((size_t)5), MSG_DONTWAIT) == 5 || errno == EAGAIN);
}

static void parts(int a, int b) {
  struct iovec out[3] = {{tail_buffer(3), 3}, {bad, 0}, {tail_buffer(4), 4}};
  memcpy(out[0].iov_base, "abc", 3);
  memcpy(out[2].iov_base, "defg", 4);
  struct iovec in[2] = {{tail_buffer(2), 2}, {tail_buffer(5), 5}};
  CHECK(writev(a, out, 3) == 7 && readv(b, in, 2) == 7 && memcmp(in[1].iov_base, "cdefg", 5) == 0);
  CHECK_FAILS(writev(a, bad, 3), EFAULT);
  CHECK_FAILS(readv(b, bad, 3), EFAULT);
  CHECK_FAILS(writev(a, out, OPAQUE(-1)), EINVAL);

  struct msghdr message = {.msg_iov = out, .msg_iovlen = 3};
  struct msghdr received = {.msg_iov = in, .msg_iovlen = 2};
  CHECK(sendmsg(a, &message, 0) == 7 && recvmsg(b, &received, 0) == 7 && memcmp(in[0].iov_base, "ab", 2) == 0);
  CHECK_FAILS(sendmsg(a, bad, 0), EFAULT);
  CHECK_FAILS(recvmsg(b, bad, MSG_DONTWAIT), EFAULT);
}

// More than any chunk holds at once, in one call on each side.
struct bulk {
  int fd;
  size_t size;
};
static void* send_bulk(void* argument) {
  const struct bulk* bulk = argument;
  char* const bytes = malloc(bulk->size);
  for (size_t i = 0; i < bulk->size; ++i) bytes[i] = (char)(i * 31 >> 3);
  for (size_t sent = 0; sent < bulk->size;) {
    const ssize_t n = send(bulk->fd, bytes + sent, bulk->size - sent, 0);
    CHECK(n > 0);
    sent += (size_t)n;
  }
  free(bytes);
  return NULL;
}
static void large(int a, int b) {
  struct bulk bulk = {a, 1 << 20};
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, send_bulk, &bulk) == 0);
  char* const bytes = malloc(bulk.size);
  CHECK(recv(b, bytes, OPAQUE(bulk.size), MSG_WAITALL) == (ssize_t)bulk.size);
  CHECK(pthread_join(thread, NULL) == 0);
  for (size_t i = 0; i < bulk.size; ++i) CHECK(bytes[i] == (char)(i * 31 >> 3));
  free(bytes);
}

static struct sockaddr_in loopback_name(int fd) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  CHECK(bind(fd, (struct sockaddr*)&name, sizeof name) == 0);
  socklen_t size = sizeof name;
  CHECK(getsockname(fd, (struct sockaddr*)&name, &size) == 0);
  return name;
}

static void datagrams(void) {
  const int server = socket(AF_INET, SOCK_DGRAM, 0);
  const int client = socket(AF_INET, SOCK_DGRAM, 0);
  const struct sockaddr_in name = loopback_name(server);
  char* const in = tail_buffer(8);
  struct sockaddr_in* const from = (void*)tail_buffer(sizeof *from);
  socklen_t size = sizeof *from;
  CHECK(sendto(client, "ping", 4, 0, (struct sockaddr*)&name, sizeof name) == 4);
  CHECK(recvfrom(server, in, OPAQUE((size_t)8), 0, (struct sockaddr*)from, &size) == 4 && size == sizeof *from);
  CHECK(sendto(server, "", 0, 0, (struct sockaddr*)from, sizeof *from) == 0);
  CHECK(recv(client, in, OPAQUE((size_t)8), 0) == 0);  // an empty datagram is no end

  // A datagram longer than the buffer, and its true length.
  CHECK(sendto(client, "0123456789", 10, 0, (struct sockaddr*)&name, sizeof name) == 10);
  CHECK(recv(server, in, OPAQUE((size_t)8), MSG_TRUNC) == 10 && memcmp(in, "01234567", 8) == 0);
  CHECK(sendto(client, "0123456789", 10, 0, (struct sockaddr*)&name, sizeof name) == 10);
  struct iovec part = {in, 8};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = from, .msg_namelen = 4};
  CHECK(recvmsg(server, &message, 0) == 8 && (message.msg_flags & MSG_TRUNC) != 0);
  CHECK(message.msg_namelen == sizeof *from);  // of which 4 bytes were written

  // An address whose size is offered as 0 may point anywhere.
  CHECK(sendto(client, "x", 1, 0, (struct sockaddr*)&name, sizeof name) == 1);
  size = 0;
  CHECK(recvfrom(server, in, OPAQUE((size_t)8), 0, bad, &size) == 1 && size == sizeof *from);
  CHECK_FAILS(sendto(client, "x", 1, 0, bad, sizeof name), EFAULT);
  CHECK(sendto(client, "x", 1, 0, (struct sockaddr*)&name, sizeof name) == 1);
  CHECK_FAILS(recvfrom(server, in, OPAQUE((size_t)8), 0, (struct sockaddr*)from, bad), EFAULT);

  // Batches.
  struct iovec out_parts[3] = {{"one", 3}, {"two", 3}, {"three", 5}};
  struct mmsghdr out[3] = {0};
  for (int i = 0; i < 3; ++i) {
    out[i].msg_hdr = (struct msghdr){
        .msg_iov = &out_parts[i], .msg_iovlen = 1, .msg_name = (void*)&name, .msg_namelen = sizeof name};
  }
  CHECK(sendmmsg(client, out, 3, 0) == 3 && out[2].msg_len == 5);
  char batch[4][4];
  struct sockaddr_in names[4];
  struct iovec in_parts[4];
  struct mmsghdr received[4] = {0};
  for (int i = 0; i < 4; ++i) {
    in_parts[i] = (struct iovec){batch[i], 4};
    received[i].msg_hdr = (struct msghdr){
        .msg_iov = &in_parts[i], .msg_iovlen = 1, .msg_name = &names[i], .msg_namelen = sizeof names[i]};
  }
  CHECK(recvmmsg(server, received, 4, MSG_DONTWAIT | MSG_TRUNC, NULL) == 3);
  CHECK(received[0].msg_len == 3 && received[2].msg_len == 5 && memcmp(batch[2], "thre", 4) == 0);
  CHECK_FAILS(recvmmsg(server, received, 4, MSG_DONTWAIT, NULL), EAGAIN);
  CHECK_FAILS(sendmmsg(client, bad, 3, 0), EFAULT);
  CHECK_FAILS(recvmmsg(server, bad, 3, MSG_DONTWAIT, NULL), EFAULT);
  CHECK(close(server) == 0 && close(client) == 0);
}

static void tcp_ends(int* client, int* served) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const struct sockaddr_in name = loopback_name(listener);
  CHECK(listen(listener, 1) == 0);
  *client = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(connect(*client, (const struct sockaddr*)&name, sizeof name) == 0);
  CHECK((*served = accept(listener, NULL, NULL)) >= 0);
  CHECK(close(listener) == 0);
}

// TCP with MSG_TRUNC throws bytes away and does not touch the buffer.
static void discarded(void) {
  int client, served;
  tcp_ends(&client, &served);
  CHECK(send(client, "discard me", 10, 0) == 10);
  CHECK(recv(served, OPAQUE(NULL), OPAQUE((size_t)10), MSG_TRUNC | MSG_WAITALL) == 10);
  CHECK(close(client) == 0);
  char byte;
  CHECK(recv(served, &byte, OPAQUE((size_t)1), 0) == 0);
  CHECK(close(served) == 0);
}

static void from_files(int a, int b) {
  const int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
  CHECK(file >= 0 && write(file, "0123456789", 10) == 10 && lseek(file, 2, SEEK_SET) == 2);
  char bytes[16];
  CHECK(sendfile(a, file, NULL, 4) == 4 && recv(b, bytes, OPAQUE(sizeof bytes), 0) == 4);
  CHECK(memcmp(bytes, "2345", 4) == 0);
  off_t offset = 7;
  CHECK(sendfile(a, file, &offset, 100) == 3 && offset == 10 && recv(b, bytes, OPAQUE(sizeof bytes), 0) == 3);
  CHECK(memcmp(bytes, "789", 3) == 0);
  off64_t offset64 = 0;
  CHECK(sendfile64(a, file, &offset64, 1) == 1 && recv(b, bytes, OPAQUE(sizeof bytes), 0) == 1);
  CHECK(lseek(file, 0, SEEK_CUR) == 6);  // where the first one left it
  CHECK_FAILS(sendfile(a, file, bad, 1), EFAULT);
  CHECK_FAILS(sendfile(a, -1, NULL, 1), EBADF);
  CHECK(close(file) == 0);
}

static void pass(int over, const int* fds, size_t count) {
  char byte = 'p';
  struct iovec part = {&byte, 1};
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 100)] = {0};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
  message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
  struct cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int) * count);
  memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
  CHECK(sendmsg(over, &message, 0) == 1);
}

static void take(int over, int* fds, size_t count) {
  char byte = 0;
  struct iovec part = {&byte, 1};
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 100)];
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  CHECK(recvmsg(over, &message, MSG_CMSG_CLOEXEC) == 1 && byte == 'p');
  const struct cmsghdr* const header = CMSG_FIRSTHDR(&message);
  CHECK(header != NULL && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int) * count));
  memcpy(fds, CMSG_DATA(header), sizeof(int) * count);
}

static void descriptors(int a, int b) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  pass(a, pair, 1);
  int received;
  take(b, &received, 1);
  CHECK(write(received, "over", 4) == 4);
  char bytes[4];
  CHECK(read(pair[1], bytes, OPAQUE(sizeof bytes)) == 4 && memcmp(bytes, "over", 4) == 0);

  // As many as one message may hold, or nearly.
  int many[100];
  for (int i = 0; i < 100; ++i) many[i] = pair[i % 2];
  pass(a, many, 100);
  take(b, many, 100);
  for (int i = 0; i < 100; ++i) CHECK(fcntl(many[i], F_GETFD) == FD_CLOEXEC && close(many[i]) == 0);
  CHECK(close(received) == 0 && close(pair[0]) == 0 && close(pair[1]) == 0);
}

static void ends(int a, int b) {
  char byte;
  CHECK(shutdown(a, SHUT_WR) == 0 && recv(b, &byte, OPAQUE((size_t)1), 0) == 0);
  CHECK(close(a) == 0);
  CHECK_FAILS(send(b, "x", 1, MSG_NOSIGNAL), EPIPE);
  CHECK(close(b) == 0);
}

int main(void) {
  bad = unmapped_after_64();
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  simple(pair[0], pair[1]);
  parts(pair[0], pair[1]);
  large(pair[0], pair[1]);
  from_files(pair[0], pair[1]);
  descriptors(pair[0], pair[1]);
  ends(pair[0], pair[1]);
  datagrams();
  discarded();
  return 0;
}
