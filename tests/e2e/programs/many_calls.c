// SPDX-License-Identifier: Apache-2.0
//
// many_calls THREADS CONNECTIONS CALLS REPORT: every thread opens CONNECTIONS TCP connections to itself and sends
// checked records over them, both ways, by every call that can send and receive, until all threads together made
// exactly CALLS calls. Every record received is compared with what was sent. REPORT then says, a line per thread,
//   thread N tid T calls C records R bytes B NAME COUNT NAME COUNT …
// with the counts of each call by the names of proto/event.proto without CALL_.

#include "tests/e2e/programs/many_calls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum Counted {
  kSocket,
  kBind,
  kListen,
  kGetsockname,
  kConnect,
  kAccept,
  kClose,
  kSend,
  kWrite,
  kWritev,
  kSendto,
  kSendmsg,
  kRecv,
  kRead,
  kReadv,
  kRecvfrom,
  kRecvmsg,
  kCountedEnd
};
static const char* const kNames[kCountedEnd] = {"SOCKET", "BIND", "LISTEN", "GETSOCKNAME", "CONNECT", "ACCEPT",
                                                "CLOSE",  "SEND", "WRITE",  "WRITEV",      "SENDTO",  "SENDMSG",
                                                "RECV",   "READ", "READV",  "RECVFROM",    "RECVMSG"};

struct Worker {
  pthread_t thread;
  uint32_t number;
  uint32_t connections;
  uint64_t budget;  // calls to make
  uint64_t calls[kCountedEnd];
  uint64_t made;
  uint32_t records;
  uint64_t bytes;  // of all records
  pid_t tid;
};

static void Fail(const char* what) {
  fprintf(stderr, "many_calls: %s: %s\n", what, strerror(errno));
  exit(1);
}

// Counts a call and passes its result on; ends the program when the call failed.
static ssize_t Count(struct Worker* worker, enum Counted call, ssize_t result) {
  ++worker->calls[call];
  ++worker->made;
  if (result < 0) Fail(kNames[call]);
  return result;
}

static size_t MakeRecord(struct Worker* worker, uint32_t connection, uint32_t to_server, unsigned char* record) {
  struct RecordHeader header = {.magic = kRecordMagic,
                                .thread = worker->number,
                                .connection = connection,
                                .to_server = to_server,
                                .sequence = worker->records,
                                .seed = worker->records * 2654435761u};
  header.size = kSmallestRecord + header.seed % 97;
  if (worker->records % 500 == 0) header.size = kLargestRecord - header.seed % 5000;  // more than a small chunk holds
  for (size_t i = sizeof(header); i < header.size; ++i) record[i] = (unsigned char)(header.seed >> (i % 25));
  memcpy(record, &header, sizeof(header));
  header.checksum = RecordChecksum(record, header.size);
  memcpy(record, &header, sizeof(header));
  return header.size;
}

// A blocking socket takes the whole record in one call.
static void SendRecord(struct Worker* worker, int fd, unsigned char* record, size_t size) {
  struct iovec parts[2] = {{record, 20}, {record + 20, size - 20}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  ssize_t sent = 0;
  switch (worker->records % 5) {
    case 0:
      sent = Count(worker, kSend, send(fd, record, size, MSG_NOSIGNAL));
      break;
    case 1:
      sent = Count(worker, kWrite, write(fd, record, size));
      break;
    case 2:
      sent = Count(worker, kWritev, writev(fd, parts, 2));
      break;
    case 3:
      sent = Count(worker, kSendto, sendto(fd, record, size, 0, NULL, 0));
      break;
    default:
      sent = Count(worker, kSendmsg, sendmsg(fd, &message, MSG_NOSIGNAL));
      break;
  }
  if ((size_t)sent != size) Fail("a record was sent in part");
}

static void ReceiveRecord(struct Worker* worker, int fd, const unsigned char* expected, size_t size) {
  static __thread unsigned char received[kLargestRecord];
  size_t have = 0;
  while (have < size) {
    unsigned char* to = received + have;
    const size_t room = size - have;
    struct iovec parts[2] = {{to, room / 3}, {to + room / 3, room - room / 3}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t got = 0;
    switch (worker->records / 5 % 5) {
      case 0:
        got = Count(worker, kRecv, recv(fd, to, room, 0));
        break;
      case 1:
        got = Count(worker, kRead, read(fd, to, room));
        break;
      case 2:
        got = Count(worker, kReadv, readv(fd, parts, 2));
        break;
      case 3:
        got = Count(worker, kRecvfrom, recvfrom(fd, to, room, 0, NULL, NULL));
        break;
      default:
        got = Count(worker, kRecvmsg, recvmsg(fd, &message, 0));
        break;
    }
    if (got == 0) Fail("the end of a stream, too early");
    have += (size_t)got;
  }
  if (memcmp(received, expected, size) != 0) Fail("a record came in changed");
}

static void* Work(void* argument) {
  struct Worker* worker = argument;
  worker->tid = gettid();
  unsigned char record[kLargestRecord];
  int* clients = calloc(worker->connections, sizeof(int));
  int* servers = calloc(worker->connections, sizeof(int));
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof(address);
  const int listener = (int)Count(worker, kSocket, socket(AF_INET, SOCK_STREAM, 0));
  Count(worker, kBind, bind(listener, (struct sockaddr*)&address, sizeof(address)));
  Count(worker, kListen, listen(listener, 8));
  Count(worker, kGetsockname, getsockname(listener, (struct sockaddr*)&address, &length));
  for (uint32_t i = 0; i < worker->connections; ++i) {
    clients[i] = (int)Count(worker, kSocket, socket(AF_INET, SOCK_STREAM, 0));
    Count(worker, kConnect, connect(clients[i], (struct sockaddr*)&address, sizeof(address)));
    servers[i] = (int)Count(worker, kAccept, accept(listener, NULL, NULL));
  }

  const uint64_t closes = 2 * worker->connections + 1;
  const uint64_t reserve = 64;  // calls: a large record may come in that many parts
  while (worker->made + closes + reserve < worker->budget) {
    const uint32_t connection = worker->records % worker->connections;
    const uint32_t to_server = worker->records / worker->connections % 2 == 0;
    const size_t size = MakeRecord(worker, connection, to_server, record);
    SendRecord(worker, to_server ? clients[connection] : servers[connection], record, size);
    ReceiveRecord(worker, to_server ? servers[connection] : clients[connection], record, size);
    ++worker->records;
    worker->bytes += size;
  }
  // To the last call: receives that find nothing.
  while (worker->made + closes < worker->budget) {
    if (recv(clients[0], record, sizeof(record), MSG_DONTWAIT) != -1 || errno != EAGAIN) Fail("a byte too many");
    Count(worker, kRecv, 0);
  }
  for (uint32_t i = 0; i < worker->connections; ++i) {
    Count(worker, kClose, close(clients[i]));
    Count(worker, kClose, close(servers[i]));
  }
  Count(worker, kClose, close(listener));
  free(clients);
  free(servers);
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: many_calls THREADS CONNECTIONS CALLS REPORT\n");
    return 2;
  }
  const uint32_t threads = (uint32_t)atoi(argv[1]);
  struct Worker* workers = calloc(threads, sizeof(struct Worker));
  for (uint32_t i = 0; i < threads; ++i) {
    workers[i].number = i;
    workers[i].connections = (uint32_t)atoi(argv[2]);
    workers[i].budget = strtoull(argv[3], NULL, 10) * (i + 1) / threads - strtoull(argv[3], NULL, 10) * i / threads;
    if (pthread_create(&workers[i].thread, NULL, Work, &workers[i]) != 0) Fail("pthread_create");
  }
  for (uint32_t i = 0; i < threads; ++i) pthread_join(workers[i].thread, NULL);
  FILE* report = fopen(argv[4], "w");
  if (report == NULL) Fail(argv[4]);
  for (uint32_t i = 0; i < threads; ++i) {
    fprintf(report, "thread %u tid %d calls %llu records %u bytes %llu", i, (int)workers[i].tid,
            (unsigned long long)workers[i].made, workers[i].records, (unsigned long long)workers[i].bytes);
    for (int call = 0; call < kCountedEnd; ++call) {
      fprintf(report, " %s %llu", kNames[call], (unsigned long long)workers[i].calls[call]);
    }
    fprintf(report, "\n");
  }
  if (fclose(report) != 0) Fail(argv[4]);
  free(workers);
  return 0;
}
