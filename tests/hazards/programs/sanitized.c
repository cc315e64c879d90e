// SPDX-License-Identifier: Apache-2.0
//
// Talks over sockets from two threads, with memory from malloc; built with sanitizers by gcc and clang. With an
// argument it makes the mistake that AddressSanitizer is there for: it reads memory that it freed, and is stopped.

#include <pthread.h>

#include "say.h"

static void* talk_in_thread(void* word) {
  talk(word);
  return NULL;
}

int main(int argc, char** argv) {
  (void)argv;
  const char* const options = getenv("ASAN_OPTIONS");
  say("own option %s", options != NULL && strstr(options, "exitcode=77") != NULL ? "there" : "not there");
  char* const word = malloc(32);
  CHECK(word != NULL);
  strcpy(word, "words of a thread");
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, talk_in_thread, word) == 0 && pthread_join(thread, NULL) == 0);
  talk("words of main");
  char* volatile gone = word;
  free(word);
  return argc > 1 ? *gone : 3;
}
