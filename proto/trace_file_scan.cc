// SPDX-License-Identifier: Apache-2.0

#include "proto/trace_file_scan.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file_io.h"
#include "base/status_macros.h"

namespace socktale {
namespace {

// Enough for the header of nearly every block; a longer one costs a second read.
constexpr size_t kFirstReadBytes = 4096;
constexpr size_t kWindowBytes = 1 << 20;
// A file whose beginning is no trace is searched this far for a block, so that a huge foreign file is told soon.
constexpr uint64_t kStrangeSearchBytes = 2 * kBlockMaxBytes;
// Bytes before a block's marker: tag and length (1 to 4 bytes) of block and of header, tag and length of the marker.
constexpr uint64_t kBeforeMarkerLeast = 6;
constexpr uint64_t kBeforeMarkerMost = 12;
constexpr absl::string_view kMarkerTag("\x0a\x10", 2);  // BlockHeader.marker, 16 bytes

absl::Status ReadError(uint64_t offset) {
  return absl::UnavailableError(absl::StrCat("cannot read at byte ", offset, ": ", strerror(errno)));
}

enum class Trailer { kNone, kWhole, kCut };

// Whether a trailer begins with `bytes`, the first 16 of what is left of the file.
Trailer FindTrailer(absl::string_view bytes) {
  static constexpr absl::string_view kTag("\x11", 1);
  static const std::string kMagic = absl::StrCat("\x1a\x05", kTrailerMagic);
  const absl::string_view tag = bytes.substr(0, 1);
  const absl::string_view magic = bytes.substr(std::min<size_t>(bytes.size(), kTrailerBytes - kMagic.size()));
  if (tag != kTag || !absl::StartsWith(kMagic, magic.substr(0, kMagic.size()))) return Trailer::kNone;
  return bytes.size() < kTrailerBytes ? Trailer::kCut : Trailer::kWhole;
}

// Looks for the next good block from `from` on, by its marker; any marker will do when `marker` is null.
absl::StatusOr<std::optional<uint64_t>> FindBlock(int fd, uint64_t from, uint64_t to, uint64_t file_size,
                                                  const Marker* marker) {
  const absl::string_view pattern = marker != nullptr ? absl::string_view(marker->data(), marker->size()) : kMarkerTag;
  const uint64_t marker_in_pattern = marker != nullptr ? 0 : kMarkerTag.size();
  if (from >= to || file_size - from < pattern.size()) return std::nullopt;
  std::string window(std::min<uint64_t>(kWindowBytes, file_size - from), '\0');
  for (uint64_t at = from; at < to; at += kWindowBytes - pattern.size()) {
    const int64_t got = ReadAt(fd, window.data(), window.size(), at);
    if (got < 0) return ReadError(at);
    absl::string_view rest(window.data(), static_cast<size_t>(got));
    while (const void* hit = memmem(rest.data(), rest.size(), pattern.data(), pattern.size())) {
      const auto in_window = static_cast<uint64_t>(static_cast<const char*>(hit) - window.data());
      rest = absl::string_view(window.data() + in_window + 1, static_cast<size_t>(got) - in_window - 1);
      const uint64_t marker_at = at + in_window + marker_in_pattern;
      for (uint64_t before = kBeforeMarkerLeast; before <= kBeforeMarkerMost; ++before) {
        if (marker_at < from + before) continue;
        const uint64_t offset = marker_at - before;
        BlockFrame frame;
        std::string why;
        // Mostly the window has the bytes, and mostly they are no block: only what may be one is read again.
        if (offset >= at && window[offset - at] != '\x0a') continue;
        bool more = offset < at;
        FrameVerdict verdict = FrameVerdict::kBad;
        if (!more) {
          const absl::string_view bytes(window.data() + (offset - at), static_cast<size_t>(got) - (offset - at));
          verdict = ParseBlockFrame(bytes.substr(0, kPrefixMaxBytes), file_size - offset, frame, &more, why);
        }
        if (more) {
          ASSIGN_OR_RETURN(verdict, ReadFrame(fd, offset, file_size, frame, why));
        }
        if (verdict == FrameVerdict::kWhole && (marker == nullptr || frame.marker == *marker)) return offset;
      }
    }
    if (static_cast<size_t>(got) < window.size()) break;
  }
  return std::nullopt;
}

void Accept(const BlockFrame& frame, uint64_t offset, BlockMap& map) {
  const bool first = map.blocks.empty();
  const bool same_trace = !first && frame.marker == map.marker && frame.sequence != 0;
  const uint64_t expected = same_trace ? map.sequences.back() + 1 : 0;
  const bool after_damage = !map.damage.empty() && map.damage.back().offset + map.damage.back().size == offset;
  const uint64_t last_ns = map.LastNsBefore(map.blocks.size());
  if (frame.sequence > expected && !after_damage) {
    DamagedRange missing;
    missing.offset = offset;
    missing.after_ns = last_ns;
    missing.what = absl::StrCat("at byte ", offset, ": blocks ", expected, " to ", frame.sequence - 1, " are missing");
    map.damage.push_back(std::move(missing));
  }
  if (!first && !same_trace) {
    const BlockEntry* last = map.with_events.empty() ? nullptr : &map.blocks[map.with_events.back()];
    map.events_before_part = last == nullptr ? 0 : last->first_event() + last->event_count() - 1;
  }
  BlockEntry entry = frame.Entry(offset);
  if (frame.event_count > 0) {
    for (; map.open_damage < map.damage.size(); ++map.open_damage) {
      uint64_t& before_ns = map.damage[map.open_damage].before_ns;
      if (before_ns == 0) before_ns = frame.first_ns;
    }
    entry.set_first_event(frame.first_event + map.events_before_part);
  }
  map.Add(std::move(entry), frame.sequence);
  map.marker = frame.marker;
}

}  // namespace

void BlockMap::Add(BlockEntry entry, uint64_t sequence) {
  if (entry.event_count() > 0) with_events.push_back(static_cast<uint32_t>(blocks.size()));
  blocks.push_back(std::move(entry));
  sequences.push_back(sequence);
}

uint64_t BlockMap::LastNsBefore(size_t position) const {
  const auto behind = std::lower_bound(with_events.begin(), with_events.end(), position);
  return behind == with_events.begin() ? 0 : blocks[*(behind - 1)].last_ns();
}

uint64_t BlockMap::FirstNsFrom(size_t position) const {
  const auto found = std::lower_bound(with_events.begin(), with_events.end(), position);
  return found == with_events.end() ? 0 : blocks[*found].first_ns();
}

absl::StatusOr<FrameVerdict> ReadFrame(int fd, uint64_t offset, uint64_t file_size, BlockFrame& frame,
                                       std::string& why) {
  char few[kFirstReadBytes];
  int64_t got = ReadAt(fd, few, sizeof few, offset);
  if (got < 0) return ReadError(offset);
  bool more = false;
  const uint64_t left = file_size - offset;
  const FrameVerdict verdict =
      ParseBlockFrame({few, std::min<uint64_t>(static_cast<uint64_t>(got), left)}, left, frame, &more, why);
  if (!more) return verdict;
  std::string many(kPrefixMaxBytes, '\0');
  got = ReadAt(fd, many.data(), many.size(), offset);
  if (got < 0) return ReadError(offset);
  const FrameVerdict second =
      ParseBlockFrame({many.data(), std::min<uint64_t>(static_cast<uint64_t>(got), left)}, left, frame, &more, why);
  return more ? FrameVerdict::kCut : second;  // the file got shorter meanwhile
}

absl::Status ScanBlocks(int fd, uint64_t file_size, BlockMap& map) {
  // What had no good block behind it when the file was shorter is judged anew.
  if (!map.damage.empty() && map.damage.back().size > 0 && map.damage.back().offset == map.readable_size) {
    map.damage.pop_back();
    map.open_damage = std::min(map.open_damage, map.damage.size());
  }
  for (uint64_t at = map.readable_size; at < file_size;) {
    char bytes[kTrailerBytes];
    const int64_t got = ReadAt(fd, bytes, std::min<uint64_t>(sizeof bytes, file_size - at), at);
    if (got < 0) return ReadError(at);
    const Trailer trailer = FindTrailer({bytes, static_cast<size_t>(got)});
    if (trailer == Trailer::kCut) break;
    if (trailer == Trailer::kWhole) {
      at = map.readable_size = at + kTrailerBytes;
      continue;
    }
    BlockFrame frame;
    std::string why;
    ASSIGN_OR_RETURN(const FrameVerdict verdict, ReadFrame(fd, at, file_size, frame, why));
    if (verdict == FrameVerdict::kWhole) {
      Accept(frame, at, map);
      at = map.readable_size = at + frame.size;
      continue;
    }
    // Zeros without a place on the disk need not be searched: those that a ring left, or a lost write.
    uint64_t from = at + 1;
    if (bytes[0] == 0) {
      const off_t data = lseek(fd, static_cast<off_t>(at), SEEK_DATA);
      if (data > 0) from = std::max(from, std::min(static_cast<uint64_t>(data), file_size));
    }
    // Blocks of the same trace first: those of another one may also stand inside a payload, where a program sent one.
    std::optional<uint64_t> next;
    const bool strange = map.blocks.empty();
    if (!strange) {
      ASSIGN_OR_RETURN(next, FindBlock(fd, from, file_size, file_size, &map.marker));
    }
    if (!next) {
      const uint64_t to = strange ? std::min(file_size, at + kStrangeSearchBytes) : file_size;
      ASSIGN_OR_RETURN(next, FindBlock(fd, from, to, file_size, nullptr));
    }
    if (!next && verdict == FrameVerdict::kCut) break;
    DamagedRange damage;
    damage.offset = at;
    damage.size = next.value_or(file_size) - at;
    damage.what =
        absl::StrCat("block ", map.sequences.empty() ? 0 : map.sequences.back() + 1, " at byte ", at, ": ", why);
    damage.after_ns = map.LastNsBefore(map.blocks.size());
    map.damage.push_back(std::move(damage));
    if (!next) break;
    at = *next;
  }
  return absl::OkStatus();
}

}  // namespace socktale
