// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into strace, makes `strace -k` some thirty times quicker: libunwind looks a function's name up by reading
// the symbols of its whole file again for every frame of every call. Here each address is looked up once, and a stack
// is followed only as far as is needed to see whose call it is.
//
// The names of libunwind's functions are those that its header's macros give them on x86-64.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum {
  kFrames = 16,        // libc's own depth, and then the frame that called it
  kEntries = 1 << 16,  // addresses remembered
  kNameSize = 160,
  kRegisterRip = 16,  // UNW_X86_64_RIP
};

typedef int (*InitRemote)(void* cursor, void* space, void* argument);
typedef int (*Step)(void* cursor);
typedef int (*GetProcName)(void* cursor, char* name, size_t size, unsigned long* offset);

int _Ux86_64_get_reg(void* cursor, int number, unsigned long* value);
int _Ux86_64_init_remote(void* cursor, void* space, void* argument);
int _Ux86_64_step(void* cursor);
int _Ux86_64_get_proc_name(void* cursor, char* name, size_t size, unsigned long* offset);

// What is known of the function at an address. Processes with other things at the same address share it: programs, at
// fixed addresses, do, and their names are of no interest; libc and the shim are put at random ones.
static struct Entry {
  unsigned long address;  // 0: nothing is known
  unsigned long offset;   // bytes from the function's begin
  int result;             // get_proc_name's: negative where there is no name
  char name[kNameSize];
} entries[kEntries];

static int depth;  // frames of the present stack so far; strace has one thread

// Fills a pointer to libunwind's function of this name, once.
static void find_real(const char* symbol, void* pointer, size_t size) {
  void* const found = dlsym(RTLD_NEXT, symbol);
  if (found == NULL) abort();  // strace's own libunwind lacks a function that strace imports
  memcpy(pointer, &found, size);
}

int _Ux86_64_init_remote(void* cursor, void* space, void* argument) {
  static InitRemote real;
  if (real == NULL) find_real("_Ux86_64_init_remote", &real, sizeof real);
  depth = 0;
  return real(cursor, space, argument);
}

// 0: the stack ends here.
int _Ux86_64_step(void* cursor) {
  static Step real;
  if (real == NULL) find_real("_Ux86_64_step", &real, sizeof real);
  return ++depth < kFrames ? real(cursor) : 0;
}

int _Ux86_64_get_proc_name(void* cursor, char* name, size_t size, unsigned long* offset) {
  static GetProcName real;
  if (real == NULL) find_real("_Ux86_64_get_proc_name", &real, sizeof real);
  unsigned long address = 0;
  if (_Ux86_64_get_reg(cursor, kRegisterRip, &address) < 0 || address == 0) return real(cursor, name, size, offset);
  struct Entry* const entry = &entries[(address * 0x9E3779B97F4A7C15UL) >> 48];
  if (entry->address == address && (entry->result < 0 || strlen(entry->name) < size)) {
    if (entry->result < 0) return entry->result;
    strcpy(name, entry->name);
    *offset = entry->offset;
    return entry->result;
  }
  const int result = real(cursor, name, size, offset);
  if (result >= 0 && strlen(name) >= kNameSize) return result;
  // A name cut short (-UNW_ENOMEM) is asked for again with more room: not to be remembered.
  if (result < 0 && memchr(name, '\0', size) != NULL && strlen(name) + 1 == size) return result;
  entry->address = address;
  entry->result = result;
  if (result >= 0) {
    entry->offset = *offset;
    strcpy(entry->name, name);
  }
  return result;
}
