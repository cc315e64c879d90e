// SPDX-License-Identifier: Apache-2.0
//
// getaddrinfo: numbers, a name of this machine, a service, questions that have no answer.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include "check.h"

int main(void) {
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
  struct addrinfo* list = NULL;
  CHECK(getaddrinfo("127.0.0.1", "8080", &hints, &list) == 0);
  CHECK(list != NULL && ((struct sockaddr_in*)(void*)list->ai_addr)->sin_port == htons(8080));
  freeaddrinfo(list);

  CHECK(getaddrinfo(NULL, "8081", NULL, &list) == 0 && list != NULL);
  freeaddrinfo(list);
  CHECK(getaddrinfo("localhost", NULL, NULL, &list) == 0 && list != NULL);
  freeaddrinfo(list);

  list = (struct addrinfo*)(void*)&hints;
  CHECK(getaddrinfo("not a number", "80", &hints, &list) == EAI_NONAME);
  hints.ai_flags = 0x40000000;
  CHECK(getaddrinfo("127.0.0.1", "80", &hints, &list) == EAI_BADFLAGS);
  CHECK(getaddrinfo(NULL, NULL, NULL, &list) == EAI_NONAME);
  return 0;
}
