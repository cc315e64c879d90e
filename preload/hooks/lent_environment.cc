// SPDX-License-Identifier: Apache-2.0

#include "preload/hooks/lent_environment.h"

#include <fcntl.h>
#include <paths.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <atomic>

#include "preload/attach.h"
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
};

namespace {

constexpr size_t kUsualBytes = 16 << 10;
constexpr char kPreload[] = "LD_PRELOAD=";
static_assert(sizeof(EnvironmentRoom) + sizeof(InspectScratch) <= kUsualBytes);

// The room that nobody uses now. Never unmapped: another thread may have found its way into it through `environ`.
constinit std::atomic<EnvironmentRoom*> kept_room{nullptr};

// Room of at least `size` bytes; null when there is none to have.
EnvironmentRoom* TakeRoom(size_t size) {
  EnvironmentRoom* const kept = kept_room.exchange(nullptr, std::memory_order_acquire);
  if (kept != nullptr && kept->size >= size) return kept;  // (one too small is left alone)
  if (size < kUsualBytes) size = kUsualBytes;
  const long mapped =
      RawSyscall(SYS_mmap, 0, static_cast<long>(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped < 0 && mapped > -4096) return nullptr;
  auto* const room = reinterpret_cast<EnvironmentRoom*>(mapped);
  room->size = size;
  return room;
}

void GiveRoomBack(EnvironmentRoom* room) { kept_room.store(room, std::memory_order_release); }

char* OwnPreload(char** envp) {
  char* found = nullptr;
  for (; envp != nullptr && *envp != nullptr; ++envp) {
    if (strncmp(*envp, kPreload, sizeof kPreload - 1) == 0) found = *envp;
  }
  return found;
}

bool LiesIn(const EnvironmentRoom& room, const char* text) {
  const auto address = reinterpret_cast<uintptr_t>(text);
  const auto begin = reinterpret_cast<uintptr_t>(&room);
  return address >= begin && address - begin < room.size;
}

// The program changed entries in what it was lent: that is its environment from now on, without what is ours.
void LeaveChanged(const EnvironmentRoom& room) {
  char** next = room.lent;
  for (char** entry = room.lent; *entry != nullptr; ++entry) {
    if (LiesIn(room, *entry)) {
      if (room.preload != nullptr) *next++ = room.preload;
    } else if (*entry != AttachEntry()) {
      *next++ = *entry;
    }
  }
  *next = nullptr;
}

}  // namespace

LentEnvironment::LentEnvironment() {
  if (*AttachEntry() == '\0' || VforkChildPid() != 0) return;
  char** const saved = environ;
  const ChildEnvironment as_it_is(saved, ShimPreload(), AttachEntry(), ExecTarget::kLoadable);
  if (as_it_is.complete() || as_it_is.need() == 0) return;
  EnvironmentRoom* room = TakeRoom(sizeof(EnvironmentRoom) + sizeof(InspectScratch));
  if (room == nullptr) return;
  const ExecTarget shell =
      InReach(InspectTarget(AT_FDCWD, _PATH_BSHELL, *reinterpret_cast<InspectScratch*>(room + 1)), ShimPreload());
  if (shell != ExecTarget::kLoadable) {
    GiveRoomBack(room);
    return;
  }

  const size_t built = (as_it_is.need() + sizeof(char*) - 1) / sizeof(char*) * sizeof(char*);
  const size_t needed = sizeof(EnvironmentRoom) + 2 * built;  // the array alone is less than what is built
  if (room->size < needed) {
    GiveRoomBack(room);
    room = TakeRoom(needed);
    if (room == nullptr) return;
  }
  room->saved = saved;
  room->preload = OwnPreload(saved);
  room->lent = as_it_is.Build(room + 1);
  room->copy = reinterpret_cast<char**>(reinterpret_cast<uint8_t*>(room + 1) + built);
  room->entries = 0;
  while (room->lent[room->entries] != nullptr) ++room->entries;
  memcpy(room->copy, room->lent, (room->entries + 1) * sizeof(char*));
  __atomic_store_n(&environ, room->lent, __ATOMIC_RELEASE);
  room_ = room;
}

void LentEnvironment::TakeBack() const {
  if (room_ == nullptr) return;
  if (__atomic_load_n(&environ, __ATOMIC_ACQUIRE) != room_->lent) return;  // the program's own array again, made of it
  if (memcmp(room_->lent, room_->copy, (room_->entries + 1) * sizeof(char*)) != 0) return LeaveChanged(*room_);
  char** lent = room_->lent;
  if (__atomic_compare_exchange_n(&environ, &lent, room_->saved, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
    GiveRoomBack(room_);
  }
}

}  // namespace socktale
