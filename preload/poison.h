// SPDX-License-Identifier: Apache-2.0
//
// Included by every .cc of the shim: names that must not be used inside a traced program become compile errors. They
// allocate, lock, print, end the program or read its environment.

#ifndef SOCKTALE_PRELOAD_POISON_H_
#define SOCKTALE_PRELOAD_POISON_H_

// The headers that declare these names come first, so that it does not matter who includes them later.
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#pragma GCC poison malloc calloc realloc strdup asprintf
#pragma GCC poison printf fprintf sprintf snprintf vsnprintf puts fwrite perror
#pragma GCC poison abort setenv putenv getenv
#pragma GCC poison pthread_mutex_lock pthread_once pthread_key_create
#pragma GCC poison strerror syslog

#endif  // SOCKTALE_PRELOAD_POISON_H_
