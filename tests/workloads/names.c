// SPDX-License-Identifier: Apache-2.0
//
// Names and addresses asked for the old way, from the machine's own table of hosts alone.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "check.h"

static const struct in_addr loopback = {0x0100007f};

static int is_loopback(const struct hostent* found) {
  return found != NULL && found->h_addrtype == AF_INET && memcmp(found->h_addr_list[0], &loopback, 4) == 0;
}

int main(void) {
  CHECK(is_loopback(gethostbyname("127.0.0.1")));
  CHECK(is_loopback(gethostbyname("localhost")));
  CHECK(is_loopback(gethostbyname2("localhost", AF_INET)));
  CHECK(gethostbyname2("::1", AF_INET6) != NULL);
  struct hostent room;
  struct hostent* found;
  char buffer[4096];
  int error;
  CHECK(gethostbyname_r("localhost", &room, buffer, sizeof buffer, &found, &error) == 0 && is_loopback(found));
  CHECK(gethostbyname2_r("127.0.0.1", AF_INET, &room, buffer, sizeof buffer, &found, &error) == 0 &&
        is_loopback(found));
  CHECK(gethostbyname_r("localhost", &room, buffer, OPAQUE((size_t)1), &found, &error) == ERANGE);
  CHECK(gethostbyname("no such name") == NULL);

  CHECK((found = gethostbyaddr(&loopback, sizeof loopback, AF_INET)) != NULL && found->h_name[0] != '\0');
  CHECK(gethostbyaddr_r(&loopback, sizeof loopback, AF_INET, &room, buffer, sizeof buffer, &found, &error) == 0);
  CHECK(found != NULL);
  CHECK(gethostbyaddr(&loopback, sizeof loopback, 99) == NULL);

  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8080), .sin_addr = loopback};
  char host[64], service[16];
  CHECK(getnameinfo((struct sockaddr*)&address, sizeof address, host, sizeof host, service, sizeof service,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0);
  CHECK(strcmp(host, "127.0.0.1") == 0 && strcmp(service, "8080") == 0);
  CHECK(getnameinfo((struct sockaddr*)&address, sizeof address, host, 2, NULL, 0, NI_NUMERICHOST) == EAI_OVERFLOW);
  CHECK(getnameinfo((struct sockaddr*)&address, 3, host, sizeof host, NULL, 0, 0) == EAI_FAMILY);
  return 0;
}
