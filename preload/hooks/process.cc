// SPDX-License-Identifier: Apache-2.0
//
// Processes begun, replaced and ended: fork, vfork (its two halves; the rest is vfork.S), exec, posix_spawn, _exit.
//
// Every exec and spawn gives the new program an environment with the shim in it (child_environment.h), whatever the
// traced program did to its own. An exec that succeeds does not return: CALL_EXECUTING is written before it.

#include "preload/hooks/process.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "preload/call_scope.h"
#include "preload/confining.h"
#include "preload/hooks/child_environment.h"
#include "preload/hooks/exec_target.h"
#include "preload/hooks/spawn_actions.h"
#include "preload/poison.h"
#include "preload/readable.h"

namespace socktale {
namespace {

// ---- Memory for a new environment ---------------------------------------------------------------------------------

struct Mapping {
  void* address;
  size_t size;
};

// What a vfork child mapped for an exec: it lies in its parent's memory too, which unmaps it once the child is gone.
constinit __thread Mapping left_by_vfork_child __attribute__((tls_model("initial-exec"))) = {nullptr, 0};

void Unmap(const Mapping& mapping) {
  if (mapping.address != nullptr) RawSyscall(__NR_munmap, RawPointer(mapping.address), static_cast<long>(mapping.size));
}

// In place of mapped memory for one exec or spawn at a time, where a seccomp filter forbids to map.
constinit char reserve[32 << 10];
constinit std::atomic<bool> reserve_taken{false};
// By a vfork child of this thread: given back once the child is gone.
constinit __thread bool left_reserve __attribute__((tls_model("initial-exec"))) = false;

// Memory for one exec or spawn: for looking at the program, then for its environment. Mapped, for an alternate signal
// stack may be as small as 2 KiB. Lives until Release(), or until the exec succeeds.
class Scratch {
 public:
  // At least `size` bytes, in place of what was there; null when there are none to have.
  void* Get(size_t size) {
    if (size <= mapping_.size) return mapping_.address;
    Release();
    const long mapped =
        RawSyscall(__NR_mmap, 0, static_cast<long>(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped < 0 && mapped > -4096) return confinement::Active() ? TakeReserve(size) : nullptr;
    mapping_ = {reinterpret_cast<void*>(mapped), size};
    if (VforkChildPid() != 0) left_by_vfork_child = mapping_;
    return mapping_.address;
  }

  void Release() {
    if (mapping_.address == nullptr) return;
    if (mapping_.address == reserve) {
      mapping_ = {nullptr, 0};
      left_reserve = false;
      reserve_taken.store(false, std::memory_order_release);
      return;
    }
    Unmap(mapping_);
    if (mapping_.address == left_by_vfork_child.address) left_by_vfork_child = {nullptr, 0};
    mapping_ = {nullptr, 0};
  }

 private:
  void* TakeReserve(size_t size) {
    if (size > sizeof reserve || reserve_taken.exchange(true, std::memory_order_acquire)) return nullptr;
    mapping_ = {reserve, sizeof reserve};
    left_reserve = true;
    return reserve;
  }

  Mapping mapping_ = {nullptr, 0};
};

// The environment for the new program; the given one when it needs no change, or when there is no memory: that one
// mostly has the shim in it anyway. inspect: (InspectScratch&) -> ExecTarget.
template <typename Inspect>
char* const* PrepareEnvironment(char* const* envp, bool usable, Inspect inspect, Scratch& scratch) {
  constexpr size_t kUsualBytes = 16 << 10;
  static_assert(sizeof(InspectScratch) <= kUsualBytes);
  void* const memory = usable ? scratch.Get(kUsualBytes) : nullptr;
  if (memory == nullptr) return envp;
  // A filter outlives the exec, and the new program's shim would know nothing of it.
  const ExecTarget target = confinement::Active()
                                ? ExecTarget::kHostile
                                : InReach(inspect(*static_cast<InspectScratch*>(memory)), ShimPreload());
  const ChildEnvironment child(envp, ShimPreload(), AttachEntry(), target);
  if (child.need() == 0) return envp;
  void* const room = scratch.Get(child.need());
  return room == nullptr ? envp : child.Build(room);
}

// ---- The program and its arguments --------------------------------------------------------------------------------

constexpr size_t kMaxPath = 1024;       // bytes of a path that are kept
constexpr size_t kMaxArguments = 64;    // arguments that are kept, and
constexpr size_t kMaxArgvBytes = 2048;  // their bytes together

// Path and arguments of an exec, as far as they are kept. They are read before the kernel sees them, so with care.
struct Command {
  Command(const char* given_path, char* const* argv) : path(given_path) {
    ReadablePages pages = {};
    pages.trusting = true;
    const ptrdiff_t length = pages.String(path, PATH_MAX);
    usable = length >= 0 && length < PATH_MAX;
    if (usable) path_size = static_cast<size_t>(length) < kMaxPath ? static_cast<size_t>(length) : kMaxPath;
    if (argv == nullptr) return;
    for (size_t left = kMaxArgvBytes; count < kMaxArguments && left > 0; ++count) {
      if (!pages.Range(argv + count, sizeof *argv) || argv[count] == nullptr) return;
      const ptrdiff_t size = pages.String(argv[count], left);
      if (size < 0) return;
      arguments[count] = {argv[count], static_cast<size_t>(size)};
      left -= static_cast<size_t>(size);
      bytes += wire::kMaxBytesOverhead + static_cast<size_t>(size);
    }
  }

  size_t Room() const { return wire::kMaxBytesOverhead + path_size + bytes; }

  void WritePath(wire::Writer& tail) const { tail.Bytes<field::event::kPath>(path, path_size); }
  void WriteArguments(wire::Writer& tail) const {
    for (size_t i = 0; i < count; ++i) tail.Element<field::event::kArgv>(arguments[i].data, arguments[i].size);
  }

  const char* path;
  bool usable = false;   // else the kernel will refuse it: nothing may follow the pointer
  size_t path_size = 0;  // of what is kept
  ByteSpan arguments[kMaxArguments];
  size_t count = 0;
  size_t bytes = 0;  // that the arguments take in the event
};

// ---- exec ---------------------------------------------------------------------------------------------------------

void RecordExecuting(const CallScope& call, const Command& command, int flags) {
  EventHead head;
  head.call = field::CALL_EXECUTING;
  head.fd = call.fd();
  head.start_ns = head.end_ns = call.start_ns();
  head.flags = static_cast<uint32_t>(flags);
  call.Leave();
  EventWriter event(head, command.Room());
  if (!event.ok()) return;
  command.WritePath(event.tail());
  command.WriteArguments(event.tail());
  event.Commit();
}

void RecordFailedExec(const CallScope& call, int result, const Command& command, int flags) {
  EventHead head = call.Head(result);
  head.flags = static_cast<uint32_t>(flags);
  EventWriter event(head, command.Room());
  if (!event.ok()) return;
  command.WritePath(event.tail());
  event.Commit();
}

// Does one exec. inspect: (InspectScratch&) -> ExecTarget, asked only when there is a session. real_exec: (call, envp)
// -> int, the program's call with another environment. flags: execveat's.
template <typename Inspect, typename RealExec>
int Execute(CallScope call, const char* path, char* const* argv, char* const* envp, int flags, Inspect inspect,
            RealExec real_exec) {
  if (*AttachEntry() == '\0') return real_exec(call, envp);
  const Command command(path, argv);
  if (call.recording()) RecordExecuting(call, command, flags);
  Scratch scratch;
  envp = PrepareEnvironment(envp, command.usable, inspect, scratch);
  if (call.recording() && VforkChildPid() == 0) SealThreadChunks();
  const int result = real_exec(call, envp);
  scratch.Release();
  if (call.recording()) RecordFailedExec(call, result, command, flags);
  return result;
}

SOCKTALE_IN_HOOK int ExecutePath(const char* path, char* const* argv, char* const* envp) {
  return Execute(
      CallScope(Hook::execve), path, argv, envp, 0,
      [&](InspectScratch& room) { return InspectTarget(AT_FDCWD, path, room); },
      [&](CallScope& call, char* const* new_envp) { return call.Real(real.execve, path, argv, new_envp); });
}

SOCKTALE_IN_HOOK int ExecuteOnPath(const char* name, char* const* argv, char* const* envp) {
  return Execute(
      CallScope(Hook::execvpe), name, argv, envp, 0,
      [&](InspectScratch& room) { return InspectTargetOnPath(name, room); },
      [&](CallScope& call, char* const* new_envp) { return call.Real(real.execvpe, name, argv, new_envp); });
}

// "/proc/self/fd/N" in `out`: how to look at a program given by descriptor alone.
struct DescriptorPath {
  // fd: a negative one gives a path that names nothing.
  explicit DescriptorPath(int fd) {
    constexpr char kPrefix[] = "/proc/self/fd/";
    __builtin_memcpy(text, kPrefix, sizeof kPrefix - 1);
    char digits[10];
    size_t count = 0;
    for (unsigned left = static_cast<unsigned>(fd); count == 0 || left != 0; left /= 10) {
      digits[count++] = static_cast<char>('0' + left % 10);
    }
    size_t at = sizeof kPrefix - 1;
    while (count > 0) text[at++] = digits[--count];
    text[at] = '\0';
  }
  char text[32];
};

// ---- exec's forms with the arguments one after another ------------------------------------------------------------

// How many arguments stand in `list`, up to the null pointer that ends them, `first` among them. Leaves `list` after
// it.
size_t CountArguments(const char* first, va_list& list) {
  size_t count = 0;
  for (const char* argument = first; argument != nullptr; argument = va_arg(list, const char*)) ++count;
  return count;
}

// argv: room for the arguments and the null pointer.
void GatherArguments(char** argv, const char* first, va_list& list) {
  for (const char* argument = first;; argument = va_arg(list, const char*)) {
    *argv++ = const_cast<char*>(argument);
    if (argument == nullptr) return;
  }
}

// ---- posix_spawn --------------------------------------------------------------------------------------------------

// The program of a posix_spawn. One that is found only in the directory to which the child goes first is not looked at:
// it must do without the shim.
ExecTarget InspectSpawned(const char* path, const posix_spawn_file_actions_t* actions, InspectScratch& room) {
  return *path != '/' && ChangesDirectory(actions) ? ExecTarget::kHostile : InspectTarget(AT_FDCWD, path, room);
}

// Does one spawn. real_spawn: (call, pid, envp) -> int, the program's call. It returns 0 or the error; errno stays.
template <typename Inspect, typename RealSpawn>
int Spawn(CallScope call, pid_t* pid, const char* path, char* const* argv, char* const* envp, Inspect inspect,
          RealSpawn real_spawn) {
  if (*AttachEntry() == '\0') return real_spawn(call, pid, envp);
  const Command command(path, argv);
  Scratch scratch;
  envp = PrepareEnvironment(envp, command.usable, inspect, scratch);
  pid_t own_pid = 0;
  if (pid == nullptr) pid = &own_pid;
  const int result = real_spawn(call, pid, envp);
  scratch.Release();
  if (!call.recording()) return result;

  EventHead head = call.Head(result);
  head.error = static_cast<uint32_t>(result);
  EventWriter event(head, command.Room() + wire::kMaxNumberField);
  if (!event.ok()) return result;
  command.WritePath(event.tail());
  event.tail().Uint<field::event::kPid>(result == 0 ? static_cast<uint32_t>(*pid) : 0);
  command.WriteArguments(event.tail());
  event.Commit();
  return result;
}

// ---- fork and _exit -----------------------------------------------------------------------------------------------

void RecordNewProcess(const EventHead& head) {
  EventWriter event(head, wire::kMaxNumberField);
  if (!event.ok()) return;
  event.tail().Uint<field::event::kPid>(head.result > 0 ? static_cast<uint32_t>(head.result) : 0);
  event.Commit();
}

pid_t AfterFork(const CallScope& call, pid_t pid) {
  if (!call.recording()) return pid;
  if (pid == 0) {
    AttachAfterFork(call.start_ns());
    return 0;
  }
  const EventHead head = call.Head(pid);
  RecordNewProcess(head);
  return pid;
}

void RecordExit(const CallScope& call, int status) {
  EventHead head;
  head.call = call.call();
  head.start_ns = head.end_ns = call.start_ns();
  head.result = status;
  call.Write(head);
  if (VforkChildPid() == 0) SealThreadChunks();
}

}  // namespace

void VforkChildIsGone() {
  living_vforks.fetch_sub(1, std::memory_order_relaxed);
  confinement::VforkChildIsGone();
  if (left_reserve) reserve_taken.store(false, std::memory_order_release);
  left_reserve = false;
  Unmap(left_by_vfork_child);
  left_by_vfork_child = {nullptr, 0};
}

INTERPOSE pid_t fork() noexcept {
  CallScope call(Hook::fork);
  return AfterFork(call, call.Real(real.fork));
}

INTERPOSE pid_t __fork() {
  CallScope call(Hook::__fork);
  return AfterFork(call, call.Real(real.__fork));
}

INTERPOSE pid_t _Fork() noexcept {
  CallScope call(Hook::_Fork);
  return AfterFork(call, call.Real(real._Fork));
}

// Called by vfork.S before the system call. Returns the entry time, ns; 0: do not record.
extern "C" __attribute__((visibility("hidden"))) uint64_t socktale_vfork_begin() {
  living_vforks.fetch_add(1, std::memory_order_relaxed);  // before the child begins: the kernel orders that
  if (Recording()) return Now();
  CountUnrecorded();
  return 0;
}

// Called by vfork.S in the parent, when the child has left its memory. result: the system call's, -4095 to -1 for a
// failure. Returns what vfork returns.
extern "C" __attribute__((visibility("hidden"))) pid_t socktale_vfork_returned(long result, uint64_t start_ns) {
  VforkChildIsGone();
  if (start_ns != 0) {
    EventHead head;
    head.call = field::CALL_VFORK;
    head.start_ns = start_ns;
    head.end_ns = Now();
    head.result = result < 0 ? -1 : result;
    head.error = result < 0 ? static_cast<uint32_t>(-result) : 0;
    RecordNewProcess(head);
  }
  if (result >= 0) return static_cast<pid_t>(result);
  errno = static_cast<int>(-result);
  return -1;
}

INTERPOSE int execve(const char* path, char* const argv[], char* const envp[]) noexcept {
  return ExecutePath(path, argv, envp);
}

INTERPOSE int execv(const char* path, char* const argv[]) noexcept { return ExecutePath(path, argv, environ); }

INTERPOSE int execvpe(const char* name, char* const argv[], char* const envp[]) noexcept {
  return ExecuteOnPath(name, argv, envp);
}

INTERPOSE int execvp(const char* name, char* const argv[]) noexcept { return ExecuteOnPath(name, argv, environ); }

// __builtin_alloca: as libc does it; the arguments already fit the stack once.
#define GATHER_ARGUMENTS(argv, first, list)                                                                     \
  va_list list;                                                                                                 \
  va_start(list, first);                                                                                        \
  char** const argv = static_cast<char**>(__builtin_alloca((CountArguments(first, list) + 1) * sizeof(char*))); \
  va_end(list);                                                                                                 \
  va_start(list, first);                                                                                        \
  GatherArguments(argv, first, list)

INTERPOSE int execl(const char* path, const char* first, ...) noexcept {
  GATHER_ARGUMENTS(argv, first, list);
  va_end(list);
  return ExecutePath(path, argv, environ);
}

INTERPOSE int execlp(const char* name, const char* first, ...) noexcept {
  GATHER_ARGUMENTS(argv, first, list);
  va_end(list);
  return ExecuteOnPath(name, argv, environ);
}

INTERPOSE int execle(const char* path, const char* first, ...) noexcept {
  GATHER_ARGUMENTS(argv, first, list);
  char* const* const envp = va_arg(list, char* const*);
  va_end(list);
  return ExecutePath(path, argv, envp);
}

INTERPOSE int fexecve(int fd, char* const argv[], char* const envp[]) noexcept {
  const DescriptorPath path(fd);
  return Execute(
      CallScope(Hook::fexecve, fd), path.text, argv, envp, 0,
      [&](InspectScratch& room) { return InspectTarget(AT_FDCWD, path.text, room); },
      [&](CallScope& call, char* const* new_envp) { return call.Real(real.fexecve, fd, argv, new_envp); });
}

INTERPOSE int execveat(int directory, const char* path, char* const argv[], char* const envp[], int flags) noexcept {
  return Execute(
      CallScope(Hook::execveat), path, argv, envp, flags,
      [&](InspectScratch& room) {
        if (*path != '\0' || (flags & AT_EMPTY_PATH) == 0) return InspectTarget(directory, path, room);
        return InspectTarget(AT_FDCWD, DescriptorPath(directory).text, room);
      },
      [&](CallScope& call, char* const* new_envp) {
        return call.Real(real.execveat, directory, path, argv, new_envp, flags);
      });
}

// libc has both in two versions: programs linked before 2012 get the one that gives a file without a #! line to the
// shell, later ones one that fails with ENOEXEC. So have we (shim.map), each before libc's own.
#if defined(__x86_64__)
__asm__(
    ".symver posix_spawn, posix_spawn@@@GLIBC_2.15\n"
    ".symver posix_spawnp, posix_spawnp@@@GLIBC_2.15\n"
    ".symver socktale_old_posix_spawn, posix_spawn@GLIBC_2.2.5, remove\n"
    ".symver socktale_old_posix_spawnp, posix_spawnp@GLIBC_2.2.5, remove\n");
#endif

#define POSIX_SPAWN_HOOK(symbol, slot)                                                                           \
  INTERPOSE int symbol(pid_t* __restrict pid, const char* __restrict path,                                       \
                       const posix_spawn_file_actions_t* __restrict actions,                                     \
                       const posix_spawnattr_t* __restrict attributes, char* const argv[], char* const envp[]) { \
    return Spawn(                                                                                                \
        CallScope(Hook::posix_spawn), pid, path, argv, envp,                                                     \
        [&](InspectScratch& room) { return InspectSpawned(path, actions, room); },                               \
        [&](CallScope& call, pid_t* new_pid, char* const* new_envp) {                                            \
          return call.Real(slot, new_pid, path, actions, attributes, argv, new_envp);                            \
        });                                                                                                      \
  }
POSIX_SPAWN_HOOK(posix_spawn, real.posix_spawn)
POSIX_SPAWN_HOOK(socktale_old_posix_spawn, old_real.posix_spawn)

#define POSIX_SPAWNP_HOOK(symbol, slot)                                                                          \
  INTERPOSE int symbol(pid_t* __restrict pid, const char* __restrict name,                                       \
                       const posix_spawn_file_actions_t* __restrict actions,                                     \
                       const posix_spawnattr_t* __restrict attributes, char* const argv[], char* const envp[]) { \
    return Spawn(                                                                                                \
        CallScope(Hook::posix_spawnp), pid, name, argv, envp,                                                    \
        [&](InspectScratch& room) {                                                                              \
          /* (PATH's own directories are taken for absolute ones.) */                                            \
          const bool on_path = strchr(name, '/') == nullptr;                                                     \
          return on_path ? InspectTargetOnPath(name, room) : InspectSpawned(name, actions, room);                \
        },                                                                                                       \
        [&](CallScope& call, pid_t* new_pid, char* const* new_envp) {                                            \
          return call.Real(slot, new_pid, name, actions, attributes, argv, new_envp);                            \
        });                                                                                                      \
  }
POSIX_SPAWNP_HOOK(posix_spawnp, real.posix_spawnp)
POSIX_SPAWNP_HOOK(socktale_old_posix_spawnp, old_real.posix_spawnp)

INTERPOSE void _exit(int status) {
  CallScope call(Hook::_exit);
  if (call.recording()) RecordExit(call, status);
  ResolvedReal(real._exit, Hook::_exit)(status);
  __builtin_unreachable();
}

INTERPOSE void _Exit(int status) noexcept {
  CallScope call(Hook::_Exit);
  if (call.recording()) RecordExit(call, status);
  ResolvedReal(real._Exit, Hook::_Exit)(status);
  __builtin_unreachable();
}

}  // namespace socktale
