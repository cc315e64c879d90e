// SPDX-License-Identifier: Apache-2.0
#include "collector/process_images.h"

#include <limits.h>

#include <algorithm>
#include <utility>

namespace socktale {
namespace {

// Looks in a row for images that begin while we look; a hostile counter may never stand still.
constexpr int kMostLooks = 16;

}  // namespace

void ProcessImages::Find() {
  seen_images_ = arena_.header().next_image.load(std::memory_order_acquire);
  std::map<uint32_t, uint32_t> fresh;  // image → slot
  // Shims are counted before they claim the lowest free slot: those in use lie below the number of images there were.
  for (uint32_t i = 0; i < std::min(seen_images_, abi::kMaxProcesses); ++i) {
    const abi::ProcessSlot& slot = arena_.slot(i);
    // A slot stays its image's until we free it, whatever a program may have written there since.
    if (slot.state.load(std::memory_order_acquire) != abi::kSlotLive || known_slots_[i]) continue;
    const uint32_t image = slot.image;
    if (image != 0 && !slot_of_image_.contains(image)) fresh.emplace(image, i);
  }
  for (const auto& [image, index] : fresh) {
    const abi::ProcessSlot& slot = arena_.slot(index);
    const ProcessIdentity identity = {slot.pid, slot.pid_namespace, slot.start_ticks};
    if (identity.pid == 0 || identity.pid > INT_MAX) continue;
    slot_of_image_.emplace(image, index);
    known_slots_.set(index);
    // In a chroot without /proc a program cannot tell its namespace: mostly it is ours.
    const uint64_t pid_namespace = identity.pid_namespace != 0 ? identity.pid_namespace : watch_.own_namespace();
    unrecorded_.ImageStarted(image, identity.pid, pid_namespace);
    const uint32_t before = watch_.Watch(image, identity);
    const pid_t host_pid = watch_.HostPid(image);
    if (host_pid != 0) io_uring_.Began(image, host_pid, MonotonicNs());
    if (before != 0) {
      reader_.Look(true);
      reader_.EndImage(before);
      io_uring_.Ended(before);
      ended_.push_back({.image = before, .process_gone = false, .end_ns = Now(), .told = true});
    }
  }
}

// An image is counted before its slot is live: that all that are counted were looked for is not enough.
void ProcessImages::LookAround(bool thorough) {
  for (int i = 0; i < kMostLooks; ++i) {
    reader_.Look(thorough);
    const bool strangers = MeetsStrangers();
    if (thorough || strangers || arena_.header().next_image.load(std::memory_order_acquire) != seen_images_) {
      Find();
    }
    // Finding an image may have looked at chunks, and so found those of a still newer one.
    if (!MeetsStrangers() && arena_.header().next_image.load(std::memory_order_acquire) == seen_images_) break;
  }
}

// Whether a chunk was found of an image that Find has not found yet.
bool ProcessImages::MeetsStrangers() {
  bool strangers = false;
  for (const uint32_t image : reader_.TakeNewImages()) strangers |= !slot_of_image_.contains(image);
  return strangers;
}

void ProcessImages::CheckProcesses() {
  const std::vector<ProcessWatch::Ended> gone = watch_.TakeEnded();
  if (gone.empty()) return;
  const uint64_t now = Now();
  LookAround(true);
  for (const ThreadInCallHint& hint : reader_.CallsInProgress()) {
    const bool ended =
        std::any_of(gone.begin(), gone.end(), [&hint](const auto& e) { return e.image == hint.writer.image; });
    if (ended) TellCall(hint);
  }
  for (const ProcessWatch::Ended& end : gone) {
    io_uring_.Ended(end.image);
    if (!end.certain) continue;  // out of sight, but it may write on
    reader_.EndImage(end.image);
    ended_.push_back({.image = end.image, .process_gone = true, .end_ns = now});
  }
}

void ProcessImages::CheckThreads(uint64_t quiet_since_ns) {
  std::vector<WriterKey> gone;
  for (const WriterKey& writer : reader_.QuietWriters(quiet_since_ns)) {
    if (watch_.ThreadLives(writer.image, writer.tid)) continue;
    if (std::find(quiet_.begin(), quiet_.end(), writer) != quiet_.end()) {
      reader_.EndWriter(writer);
    } else {
      gone.push_back(writer);
    }
  }
  quiet_ = std::move(gone);
}

void ProcessImages::CheckPrograms() {
  std::vector<std::pair<uint32_t, pid_t>> running = watch_.Running();
  std::erase_if(running, [this](const auto& entry) {
    return !slot_of_image_.contains(entry.first) || unrecorded_.IsExecuting(entry.first);
  });
  for (const ExecWatch::Unseen& unseen : exec_watch_.Look(running)) {
    unrecorded_.ExecutedUnseen(unseen.image, unseen.path, Now());
    reader_.EndImage(unseen.image);
    io_uring_.Ended(unseen.image);
    ended_.push_back({.image = unseen.image, .process_gone = false, .end_ns = Now(), .told = true});
  }
}

void ProcessImages::SettleEnded() {
  std::erase_if(ended_, [this](EndedImage& end) {
    if (!end.told) aggregator_.ProcessEnded(end.image, end.end_ns);
    end.told = true;
    if (reader_.HasChunks(end.image)) return false;
    const auto slot = slot_of_image_.find(end.image);
    if (slot == slot_of_image_.end()) return true;
    abi::ProcessSlot& shared = arena_.slot(slot->second);
    if (const uint64_t drops = shared.drops.load(std::memory_order_acquire); drops > 0) {
      aggregator_.DropsOf(end.image, drops);
    }
    shared.drops.store(0, std::memory_order_relaxed);
    reader_.FreeClaimed(slot->second);
    reader_.ForgetImage(end.image);
    unrecorded_.ForgetImage(end.image);
    shared.state.store(abi::kSlotFree, std::memory_order_release);
    known_slots_.reset(slot->second);
    slot_of_image_.erase(slot);
    return true;
  });
}

void ProcessImages::TellCall(const ThreadInCallHint& hint) const {
  if (hint.call == CALL_EXIT) return;
  aggregator_.ThreadInCall(hint.writer.image, hint.writer.tid, static_cast<Call>(hint.call), hint.fd, hint.since_ns);
}

void ProcessImages::TellCallsInProgress() const {
  for (const ThreadInCallHint& hint : reader_.CallsInProgress()) TellCall(hint);
}

void ProcessImages::TellDrops() const {
  for (const auto& [image, slot] : slot_of_image_) {
    if (const uint64_t drops = arena_.slot(slot).drops.load(); drops > 0) aggregator_.DropsOf(image, drops);
  }
}

}  // namespace socktale
