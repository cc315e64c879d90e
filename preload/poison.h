// SPDX-License-Identifier: Apache-2.0
//
// Included last by every file of the shim: names that must not be used inside a traced program become compile errors.
// They allocate, lock, print, exit, or are our own hooks (which would record us).

#ifndef SOCKTALE_PRELOAD_POISON_H_
#define SOCKTALE_PRELOAD_POISON_H_

#pragma GCC poison malloc calloc realloc strdup asprintf alloca
#pragma GCC poison printf fprintf sprintf snprintf vsnprintf puts fopen fwrite perror
#pragma GCC poison abort assert setenv putenv getenv
#pragma GCC poison pthread_mutex_lock pthread_once pthread_key_create
#pragma GCC poison strerror getaddrinfo_a syslog

#endif  // SOCKTALE_PRELOAD_POISON_H_
