// SPDX-License-Identifier: Apache-2.0

#include "preload/hooks/child_environment.h"

#include <stdint.h>
#include <string.h>

#include "preload/poison.h"
#include "preload/readable.h"

namespace socktale {
namespace {

constexpr char kPreload[] = "LD_PRELOAD=";
constexpr char kAttach[] = "SOCKTALE_ATTACH=";
constexpr char kAsan[] = "ASAN_OPTIONS=";
constexpr char kAsanOption[] = "verify_asan_link_order=0";
constexpr size_t kAsanName = sizeof kAsan - 1;
constexpr size_t kPreloadName = sizeof kPreload - 1;
constexpr size_t kAttachName = sizeof kAttach - 1;
constexpr size_t kLongestString = 1 << 17;  // MAX_ARG_STRLEN: the kernel takes no longer one

bool StartsWith(const char* entry, const char* name, size_t length) { return strncmp(entry, name, length) == 0; }

bool IsSeparator(char c) { return c == ':' || c == ' '; }  // ld.so takes both

}  // namespace

ChildEnvironment::ChildEnvironment(char* const* envp, const char* shim_path, const char* attach_entry,
                                   ExecTarget target)
    : envp_(envp),
      shim_path_(shim_path),
      attach_entry_(attach_entry),
      inject_(IsLoadable(target)),
      asan_(target == ExecTarget::kLoadableAsan) {
  if (*shim_path == '\0' || *attach_entry == '\0' || target == ExecTarget::kDeaf) return;
  ReadablePages pages = {};
  pages.trusting = true;
  if (envp != nullptr) {
    for (;; ++entries_) {
      if (!pages.Range(envp + entries_, sizeof *envp)) return;
      const char* const entry = envp[entries_];
      if (entry == nullptr) break;
      if (pages.String(entry, kAttachName) < 0) return;
      if (StartsWith(entry, kAttach, kAttachName)) {
        const ptrdiff_t length = pages.String(entry, kLongestString);
        if (length < 0) return;
        has_attach_ = true;
        attach_is_ours_ = strcmp(entry, attach_entry) == 0;
      }
      const bool preload = StartsWith(entry, kPreload, kPreloadName);
      if (!preload && !(asan_ && StartsWith(entry, kAsan, kAsanName))) continue;
      const ptrdiff_t length = pages.String(entry, kLongestString);
      if (length < 0) return;
      const size_t name = preload ? kPreloadName : kAsanName;
      (preload ? preload_ : asan_options_) = {entry + name, static_cast<size_t>(length) - name};
    }
  }
  if (!inject_ && preload_.text == nullptr) return;  // nothing to take out
  shim_is_listed_ = ListsShim();
  need_ = (entries_ + 4) * sizeof(char*) + kPreloadName + PreloadValue(nullptr) + 1;
  if (asan_) need_ += kAsanName + AsanValue(nullptr) + 1;
}

bool ChildEnvironment::ListsShim() const {
  const size_t shim_length = strlen(shim_path_);
  for (size_t at = 0; at < preload_.length;) {
    size_t end = at;
    while (end < preload_.length && !IsSeparator(preload_.text[end])) ++end;
    if (end - at == shim_length && memcmp(preload_.text + at, shim_path_, shim_length) == 0) return true;
    at = end + 1;
  }
  return false;
}

// Writes LD_PRELOAD's new value to `out`, unless null: the shim (or not), then the given entries but the shim.
// Returns its length.
size_t ChildEnvironment::PreloadValue(char* out) const {
  size_t length = 0;
  const size_t shim_length = strlen(shim_path_);
  const auto append = [&](const char* text, size_t size) {
    if (out != nullptr) memcpy(out + length, text, size);
    length += size;
  };
  if (inject_) append(shim_path_, shim_length);
  for (size_t at = 0; at < preload_.length;) {
    size_t end = at;
    while (end < preload_.length && !IsSeparator(preload_.text[end])) ++end;
    const bool ours = end - at == shim_length && memcmp(preload_.text + at, shim_path_, shim_length) == 0;
    if (end > at && !ours) {
      if (length > 0) append(":", 1);
      append(preload_.text + at, end - at);
    }
    at = end + 1;
  }
  return length;
}

// Likewise ASAN_OPTIONS's: the given options, then ours, unless it stands there.
size_t ChildEnvironment::AsanValue(char* out) const {
  size_t length = asan_options_.length;
  constexpr size_t kSize = sizeof kAsanOption - 1;
  for (size_t i = 0; i + kSize <= length; ++i) {
    if (memcmp(asan_options_.text + i, kAsanOption, kSize) != 0) continue;
    if (out != nullptr) memcpy(out, asan_options_.text, length);
    return length;
  }
  if (out != nullptr && length > 0) memcpy(out, asan_options_.text, length);
  if (length > 0) {
    if (out != nullptr) out[length] = ':';
    ++length;
  }
  if (out != nullptr) memcpy(out + length, kAsanOption, kSize);
  return length + kSize;
}

char** ChildEnvironment::Build(void* memory) const {
  char** const result = static_cast<char**>(memory);
  char* const preload = reinterpret_cast<char*>(result + entries_ + 4);
  memcpy(preload, kPreload, kPreloadName);
  const size_t preload_length = PreloadValue(preload + kPreloadName);
  preload[kPreloadName + preload_length] = '\0';
  char* const asan = preload + kPreloadName + preload_length + 1;
  if (asan_) {
    memcpy(asan, kAsan, kAsanName);
    asan[kAsanName + AsanValue(asan + kAsanName)] = '\0';
  }
  char* const attach = const_cast<char*>(attach_entry_);  // exec reads it only

  char** next = result;
  for (size_t i = 0; i < entries_; ++i) {
    char* const entry = envp_[i];
    if (StartsWith(entry, kPreload, kPreloadName)) {
      if (preload_length > 0) *next++ = preload;  // empty: the shim was all there was
    } else if (inject_ && StartsWith(entry, kAttach, kAttachName)) {
      *next++ = attach;
    } else if (asan_ && StartsWith(entry, kAsan, kAsanName)) {
      *next++ = asan;
    } else {
      *next++ = entry;
    }
  }
  if (inject_ && preload_.text == nullptr) *next++ = preload;
  if (inject_ && !has_attach_) *next++ = attach;
  if (asan_ && asan_options_.text == nullptr) *next++ = asan;
  *next = nullptr;
  return result;
}

}  // namespace socktale
