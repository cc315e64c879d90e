// SPDX-License-Identifier: Apache-2.0

#include "preload/hooks/lent_environment.h"

#include <fcntl.h>
#include <paths.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <atomic>

#include "preload/attach.h"
#include "preload/confinement.h"
#include "preload/hooks/child_environment.h"
#include "preload/hooks/exec_target.h"
#include "preload/poison.h"
#include "preload/raw_syscall.h"

namespace socktale {

// Lies at the beginning of a mapping of its own; behind it the array that is lent, its strings, and the array again.
struct EnvironmentRoom {
  size_t size;     // of the mapping
  char** saved;    // the program's own
  char* preload;   // the program's own entry of LD_PRELOAD; null: it had none
  char** lent;     // what `environ` points to meanwhile
  char** copy;     // of what was lent, to find by what the program changed
  size_t entries;  // of both, without the null pointer at their ends
  uint32_t users;  // calls that rely on it

  // Whether the program left alone what it was lent.
  bool IsUntouched() const { return memcmp(lent, copy, (entries + 1) * sizeof(char*)) == 0; }
  bool Holds(const char* text) const {
    const auto address = reinterpret_cast<uintptr_t>(text);
    const auto begin = reinterpret_cast<uintptr_t>(this);
    return address >= begin && address - begin < size;
  }
};

namespace {

constexpr char kPreload[] = "LD_PRELOAD=";
constexpr int kRooms = 8;
constexpr int kMostYields = 100'000;

// ---- What is lent now ---------------------------------------------------------------------------------------------

// What follows is read and written by the holder of `holder`, with all signals blocked.
constinit std::atomic<uint32_t> holder{0};  // a process id; 0: nobody. Another's: it was held when that process forked
constinit std::atomic<bool> ever_lent{false};
constinit EnvironmentRoom* current = nullptr;  // its array is `environ`, unless the program changed that since
constinit uint32_t current_of = 0;             // the process whose calls are counted in current->users
// Rooms that were lent. Another thread may still read there, so nothing is unmapped, nor written as long as the
// program's environment is one of the last: its room then serves again as it is.
constinit EnvironmentRoom* rooms[kRooms] = {};
constinit int next_room = 0;  // to be written anew when all places are taken

class Holding {
 public:
  Holding() : process_(static_cast<uint32_t>(RawSyscall(SYS_getpid))) {
    const uint64_t all = ~uint64_t{0};
    if (static_cast<int32_t>(process_) <= 0) return;
    if (RawSyscall(SYS_rt_sigprocmask, SIG_SETMASK, RawPointer(&all), RawPointer(&mask_), sizeof mask_) != 0) return;
    blocked_ = true;
    for (int i = 0; i < kMostYields; ++i) {
      uint32_t found = 0;
      if (holder.compare_exchange_strong(found, process_, std::memory_order_acquire) ||
          (found != process_ && holder.compare_exchange_strong(found, process_, std::memory_order_acquire))) {
        ok_ = true;
        break;
      }
      RawSyscall(SYS_sched_yield);
    }
    if (!ok_ || current_of == process_) return;
    if (current != nullptr) current->users = 0;  // a forked child: they were its parent's
    current_of = process_;
  }
  ~Holding() {
    if (ok_) holder.store(0, std::memory_order_release);
    if (blocked_) RawSyscall(SYS_rt_sigprocmask, SIG_SETMASK, RawPointer(&mask_), 0, sizeof mask_);
  }
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;

  bool ok() const { return ok_; }

 private:
  const uint32_t process_;
  uint64_t mask_ = 0;
  bool blocked_ = false;
  bool ok_ = false;
};

// ---- Rooms --------------------------------------------------------------------------------------------------------

void* Map(size_t size) {
  const long mapped =
      RawSyscall(SYS_mmap, 0, static_cast<long>(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return mapped < 0 && mapped > -4096 ? nullptr : reinterpret_cast<void*>(mapped);
}

void Unmap(void* address, size_t size) { RawSyscall(SYS_munmap, RawPointer(address), static_cast<long>(size)); }

char* OwnPreload(char** envp) {
  char* found = nullptr;
  for (; envp != nullptr && *envp != nullptr; ++envp) {
    if (strncmp(*envp, kPreload, sizeof kPreload - 1) == 0) found = *envp;
  }
  return found;
}

void Fill(EnvironmentRoom* room, const ChildEnvironment& wanted, size_t built, char** saved) {
  room->saved = saved;
  room->preload = OwnPreload(saved);
  room->lent = wanted.Build(room + 1);
  room->copy = reinterpret_cast<char**>(reinterpret_cast<uint8_t*>(room + 1) + built);
  room->entries = 0;
  while (room->lent[room->entries] != nullptr) ++room->entries;
  memcpy(room->copy, room->lent, (room->entries + 1) * sizeof(char*));
}

bool IsSame(const EnvironmentRoom& room, const EnvironmentRoom& other) {
  if (room.entries != other.entries || !room.IsUntouched()) return false;
  for (size_t i = 0; i < room.entries; ++i) {
    const char* const a = room.lent[i];
    const char* const b = other.lent[i];
    if (a != b && !(room.Holds(a) && other.Holds(b) && strcmp(a, b) == 0)) return false;
  }
  return true;
}

// A room with what `wanted` gives, taken out of `rooms` when it was there. Null: there is no memory.
EnvironmentRoom* RoomWith(const ChildEnvironment& wanted, char** saved) {
  constexpr size_t kPage = 4096;
  const size_t built = (wanted.need() + sizeof(char*) - 1) / sizeof(char*) * sizeof(char*);
  // (The array alone is less than what is built.)
  const size_t size = (sizeof(EnvironmentRoom) + 2 * built + kPage - 1) / kPage * kPage;
  auto* const fresh = static_cast<EnvironmentRoom*>(Map(size));
  if (fresh == nullptr) return nullptr;
  fresh->size = size;
  Fill(fresh, wanted, built, saved);
  int kept = 0;
  for (EnvironmentRoom*& room : rooms) {
    if (room == nullptr) continue;
    ++kept;
    if (!IsSame(*room, *fresh)) continue;
    EnvironmentRoom* const same = room;
    room = nullptr;
    same->saved = fresh->saved;
    same->preload = fresh->preload;
    Unmap(fresh, fresh->size);
    return same;
  }
  if (kept < kRooms) return fresh;
  EnvironmentRoom* const oldest = rooms[next_room];
  rooms[next_room] = nullptr;
  next_room = (next_room + 1) % kRooms;
  if (oldest->size < size) return fresh;  // and leave it alone
  Unmap(fresh, fresh->size);
  Fill(oldest, wanted, built, saved);
  return oldest;
}

// Keeps a room that is lent no more. There is a place: for what is lent one was left.
void Keep(EnvironmentRoom* lent) {
  for (EnvironmentRoom*& room : rooms) {
    if (room != nullptr) continue;
    room = lent;
    return;
  }
}

// The program changed entries in what it was lent: that is its environment from now on, without what is ours.
void LeaveChanged(const EnvironmentRoom& room) {
  char** next = room.lent;
  for (char** entry = room.lent; *entry != nullptr; ++entry) {
    if (room.Holds(*entry)) {
      if (room.preload != nullptr) *next++ = room.preload;
    } else if (*entry != AttachEntry()) {
      *next++ = *entry;
    }
  }
  *next = nullptr;
}

// Nobody needs what is lent, or the program has changed it.
void TakeCurrentBack() {
  EnvironmentRoom* const room = current;
  current = nullptr;
  if (__atomic_load_n(&environ, __ATOMIC_ACQUIRE) != room->lent) return;  // its own array again, made of it
  if (!room->IsUntouched()) return LeaveChanged(*room);
  char** lent = room->lent;
  if (__atomic_compare_exchange_n(&environ, &lent, room->saved, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) Keep(room);
}

bool ShellLoadsShim() {
  void* const memory = Map(sizeof(InspectScratch));
  if (memory == nullptr) return false;
  const ExecTarget shell =
      InReach(InspectTarget(AT_FDCWD, _PATH_BSHELL, *static_cast<InspectScratch*>(memory)), ShimPreload());
  Unmap(memory, sizeof(InspectScratch));
  return shell == ExecTarget::kLoadable;
}

}  // namespace

LentEnvironment::LentEnvironment() {
  // (A program executed under a filter is started without the shim: confinement.h.)
  if (*AttachEntry() == '\0' || VforkChildPid() != 0 || confinement::Active()) return;
  if (!ever_lent.load(std::memory_order_acquire)) {
    const ChildEnvironment own(environ, ShimPreload(), AttachEntry(), ExecTarget::kLoadable);
    // Looked at again, for what made it complete may be what another thread was lent.
    if ((own.complete() || own.need() == 0) && !ever_lent.load(std::memory_order_acquire)) return;
  }
  const Holding holding;
  if (!holding.ok()) return;
  char** const saved = __atomic_load_n(&environ, __ATOMIC_ACQUIRE);
  if (current != nullptr && saved == current->lent && current->IsUntouched()) {
    ++current->users;
    room_ = current;
    return;
  }
  if (current != nullptr) TakeCurrentBack();  // what is `environ` now is the program's
  const ChildEnvironment own(environ, ShimPreload(), AttachEntry(), ExecTarget::kLoadable);
  if (own.complete() || own.need() == 0 || !ShellLoadsShim()) return;
  EnvironmentRoom* const room = RoomWith(own, environ);
  if (room == nullptr) return;
  room->users = 1;
  current = room;
  ever_lent.store(true, std::memory_order_release);
  __atomic_store_n(&environ, room->lent, __ATOMIC_RELEASE);
  room_ = room;
}

void LentEnvironment::TakeBack() const {
  if (room_ == nullptr) return;
  const Holding holding;
  if (!holding.ok() || current != room_) return;
  if (current->users > 0) --current->users;
  if (current->users == 0) TakeCurrentBack();
}

}  // namespace socktale
