// SPDX-License-Identifier: Apache-2.0

#include "proto/trace_file_reader.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file_io.h"
#include "base/status_macros.h"
#include "proto/bounded_parse.h"
#include "proto/foreign_file.h"
#include "proto/wire_scanner.h"

namespace socktale {
namespace {

// Commands are bounded by the kernel's limit on arguments, 6 MiB at most.
constexpr uint64_t kHeaderPayloadMaxBytes = 8 << 20;
// Tables are smaller than the 2 GiB of any protobuf message, and stand in parts of half a block's most.
constexpr uint32_t kTablesMaxParts = 64;

// Memory that the tables of a file may take, all parts together. A million connections take 12 times of what they do in
// the file, rows that are all alike a hundred times; a hostile block of a few KB decodes to 64 MiB, a GiB of messages.
int64_t TablesBudget(uint64_t file_size) {
  constexpr uint64_t kAlways = 64 << 20, kPerByte = 256, kMost = 8ull << 30;
  return static_cast<int64_t>(std::min(kMost, kAlways + kPerByte * std::min(file_size, kMost)));
}

absl::StatusOr<uint64_t> SizeOf(int fd, const std::string& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return absl::ErrnoToStatus(errno, path);
  if (S_ISDIR(status.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, ": is a directory"));
  if (!S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a file; a trace must be one, to be read in any order"));
  }
  return static_cast<uint64_t>(status.st_size);
}

// Reads the index's blocks: false where they do not account for every byte before it, as those of an undamaged single
// trace do. What it says of connections is passed over. last: the kind of the last one in any case.
bool ReadIndexedBlocks(absl::string_view payload, uint64_t index_offset, std::vector<BlockEntry>& blocks,
                       BlockKind& last) {
  uint64_t end = 0;
  bool gapless = true;
  BlockEntry entry;
  WireScanner scan(payload);
  for (uint32_t tag = 0; scan.Next(tag);) {
    if (tag != Tag(1, WireType::kBytes)) {
      scan.Skip(tag);
      continue;
    }
    const absl::string_view bytes = scan.Bytes();
    if (!scan.ok() || !entry.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
    last = entry.kind();
    gapless = gapless && entry.offset() == end && entry.size() >= kBlockMinBytes &&
              entry.size() <= index_offset - end && entry.size() <= kBlockMaxBytes + kPrefixMaxBytes;
    if (!gapless) continue;
    end += entry.size();
    blocks.push_back(entry);
  }
  return scan.ok() && gapless && end == index_offset;
}

bool InOrder(const ConnectionBlocks& connection, int block_count) {
  for (int i = 0; i < connection.block_size(); ++i) {
    if (connection.block(i) >= static_cast<uint32_t>(block_count)) return false;
    if (i > 0 && connection.block(i) <= connection.block(i - 1)) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<TraceFileReader> TraceFileReader::Open(const std::string& path) {
  // O_NONBLOCK: a FIFO without a writer is refused below, not waited for.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, path);
  return Read(std::move(fd), path);
}

absl::StatusOr<TraceFileReader> TraceFileReader::OpenDescriptor(int fd, const std::string& path) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return absl::ErrnoToStatus(errno, path);
  return Read(std::move(copy), path);
}

absl::StatusOr<TraceFileReader> TraceFileReader::Read(UniqueFd fd, const std::string& path) {
  TraceFileReader reader;
  reader.path_ = path;
  reader.fd_ = std::move(fd);
  ASSIGN_OR_RETURN(reader.file_size_, SizeOf(reader.fd_.get(), path));

  ASSIGN_OR_RETURN(const bool indexed, reader.LoadIndex());
  if (!indexed) RETURN_IF_ERROR(ScanBlocks(reader.fd_.get(), reader.file_size_, reader.map_));
  const bool cut_in_first_block = reader.map_.damage.empty() && reader.file_size_ > 0;
  if (reader.map_.blocks.empty() && !cut_in_first_block) {
    char bytes[512];
    const int64_t got = ReadAt(reader.fd_.get(), bytes, sizeof bytes, 0);
    if (got < 0) return absl::ErrnoToStatus(errno, path);
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not a socktale trace; it looks like ", LooksLike({bytes, static_cast<size_t>(got)})));
  }
  RETURN_IF_ERROR(reader.ReadHeader());
  reader.ExpectRing();
  return reader;
}

// What a ring gave back is no damage.
void TraceFileReader::ExpectRing() {
  if (header_.ring() == 0 || map_.damage.empty()) return;
  const DamagedRange& first = map_.damage.front();
  const bool hole = first.offset == map_.blocks[0].size();
  const bool passed_over = first.size == 0 && map_.blocks.size() > 1 && first.offset == map_.blocks[1].offset();
  if (!hole && !passed_over) return;
  map_.damage.erase(map_.damage.begin());
  map_.open_damage -= std::min<size_t>(map_.open_damage, 1);
}

absl::StatusOr<size_t> TraceFileReader::Refresh() {
  ASSIGN_OR_RETURN(file_size_, SizeOf(fd_.get(), path_));
  if (file_size_ < map_.readable_size) {
    return absl::DataLossError(absl::StrCat(path_, ": got shorter while it was read: ", map_.readable_size,
                                            " bytes before, ", file_size_, " now"));
  }
  const size_t before = map_.blocks.size();
  RETURN_IF_ERROR(ScanBlocks(fd_.get(), file_size_, map_));
  const size_t found = map_.blocks.size() - before;
  if (found > 0) RETURN_IF_ERROR(LoadIndex().status());
  if (before == 0) RETURN_IF_ERROR(ReadHeader());
  ExpectRing();
  return found;
}

uint64_t TraceFileReader::given_back() const {
  if (header_.ring() == 0 || map_.with_events.empty()) return 0;
  const uint64_t first = map_.blocks[map_.with_events.front()].first_event();
  return first - std::min<uint64_t>(first, 1);
}

uint64_t TraceFileReader::end_ns() const {
  uint64_t end = 0;
  for (const BlockEntry& entry : map_.blocks) end = std::max(end, entry.last_ns());
  return end;
}

absl::StatusOr<bool> TraceFileReader::LoadIndex() {
  sealed_ = false;
  char bytes[kTrailerBytes];
  if (file_size_ < sizeof bytes + kBlockMinBytes) return false;
  const int64_t got = ReadAt(fd_.get(), bytes, sizeof bytes, file_size_ - sizeof bytes);
  if (got < 0) return absl::ErrnoToStatus(errno, path_);
  const absl::string_view trailer(bytes, static_cast<size_t>(got));
  WireScanner scan(trailer);
  uint32_t tag = 0;
  if (!scan.Next(tag) || tag != Tag(2, WireType::kFixed64)) return false;
  const uint64_t index_offset = scan.Fixed64();
  if (!scan.Next(tag) || tag != Tag(3, WireType::kBytes) || scan.Bytes() != kTrailerMagic) return false;
  if (index_offset >= file_size_ - kTrailerBytes) return false;

  BlockFrame frame;
  std::string why;
  ASSIGN_OR_RETURN(const FrameVerdict verdict, ReadFrame(fd_.get(), index_offset, file_size_, frame, why));
  // Stored raw, its parsed size is bounded by the file's.
  if (verdict != FrameVerdict::kWhole || frame.kind != BLOCK_KIND_INDEX || frame.codec != CODEC_RAW) return false;
  if (index_offset + frame.size + kTrailerBytes != file_size_) return false;  // of an earlier trace in this file
  const BlockEntry own = frame.Entry(index_offset);
  const absl::StatusOr<absl::string_view> payload = CheckedPayload(own, frame.sequence);
  std::vector<BlockEntry> blocks;
  BlockKind last = BLOCK_KIND_UNKNOWN;
  const bool whole = payload.ok() && ReadIndexedBlocks(*payload, index_offset, blocks, last);
  sealed_ = last == BLOCK_KIND_TABLES;
  if (!whole) return false;
  blocks.push_back(own);
  if (map_.blocks.empty()) {
    for (BlockEntry& entry : blocks) map_.Add(std::move(entry), map_.blocks.size());
    map_.marker = frame.marker;
    map_.readable_size = file_size_;
  } else if (map_.blocks.size() != blocks.size()) {
    return true;  // a scan has numbered the blocks, and missed one: the index has other positions
  }
  connections_.clear();
  connections_unread_ = true;
  return true;
}

const std::vector<ConnectionBlocks>& TraceFileReader::connections() {
  if (!std::exchange(connections_unread_, false)) return connections_;
  const size_t last = map_.blocks.size() - 1;
  const absl::StatusOr<absl::string_view> payload = CheckedPayload(map_.blocks[last], map_.sequences[last]);
  Index index;
  if (!payload.ok() || !MergeBounded(*payload, index).ok()) return connections_;
  for (ConnectionBlocks& connection : *index.mutable_connection()) {
    if (InOrder(connection, static_cast<int>(map_.blocks.size()))) connections_.push_back(std::move(connection));
  }
  return connections_;
}

absl::Status TraceFileReader::ReadHeader() {
  if (map_.blocks.empty() || map_.blocks[0].kind() != BLOCK_KIND_HEADER) return absl::OkStatus();
  const absl::StatusOr<absl::string_view> payload = ReadBlock(0);
  if (absl::IsDataLoss(payload.status())) return absl::OkStatus();  // told by damage()
  RETURN_IF_ERROR(payload.status());
  absl::Status parsed = payload->size() <= kHeaderPayloadMaxBytes ? MergeBounded(*payload, header_)
                                                                  : absl::DataLossError("a header that large");
  if (parsed.ok() && header_.format() == 0) parsed = absl::DataLossError("a header without a format");
  if (!parsed.ok()) {
    header_.Clear();
    NoteDamage(0, parsed);
  }
  if (header_.format() <= kTraceFormat) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat(path_, " was written by socktale ", absl::CHexEscape(header_.version()),
                                               " in format ", header_.format(), "; this one reads formats up to ",
                                               kTraceFormat));
}

absl::StatusOr<absl::string_view> TraceFileReader::ReadBlock(size_t position) {
  if (position >= map_.blocks.size()) {
    return absl::InvalidArgumentError(absl::StrCat("block ", position, " of ", map_.blocks.size()));
  }
  absl::StatusOr<absl::string_view> payload = CheckedPayload(map_.blocks[position], map_.sequences[position]);
  if (absl::IsDataLoss(payload.status())) NoteDamage(position, payload.status());
  return payload;
}

absl::StatusOr<absl::string_view> TraceFileReader::CheckedPayload(const BlockEntry& entry, uint64_t sequence) {
  const auto damaged = [&](absl::string_view why) {
    return absl::DataLossError(absl::StrCat("block ", sequence, " at byte ", entry.offset(), ": ", why));
  };
  stored_.resize(entry.size());  // within the file, as scan and index have checked
  const int64_t got = ReadAt(fd_.get(), stored_.data(), stored_.size(), entry.offset());
  if (got < 0 && errno != EIO) return absl::ErrnoToStatus(errno, path_);
  if (got < 0) return damaged(strerror(EIO));
  BlockFrame frame;
  bool more = false;
  std::string why;
  const absl::string_view bytes(stored_.data(), static_cast<size_t>(got));
  if (ParseBlockFrame(bytes, bytes.size(), frame, &more, why) != FrameVerdict::kWhole) return damaged(why);
  if (frame.size != entry.size() || frame.kind != entry.kind() || frame.first_ns != entry.first_ns() ||
      frame.last_ns != entry.last_ns() || frame.event_count != entry.event_count()) {
    return damaged("its header is not what the index says");
  }
  absl::string_view raw;
  const absl::Status decoded = codec_.Decode(frame, bytes.substr(frame.prefix_size), decoded_, raw);
  if (absl::IsDataLoss(decoded)) return damaged(decoded.message());
  RETURN_IF_ERROR(decoded);
  return raw;
}

void TraceFileReader::NoteDamage(size_t position, const absl::Status& why) {
  DamagedRange range;
  range.offset = map_.blocks[position].offset();
  range.size = map_.blocks[position].size();
  range.what = std::string(why.message());
  const auto at = std::lower_bound(map_.damage.begin(), map_.damage.end(), range.offset,
                                   [](const DamagedRange& other, uint64_t offset) { return other.offset < offset; });
  if (at != map_.damage.end() && at->offset == range.offset && at->size > 0) return;  // known from an earlier try
  range.after_ns = map_.LastNsBefore(position);
  range.before_ns = map_.FirstNsFrom(position + 1);
  map_.open_damage += static_cast<size_t>(at - map_.damage.begin()) < map_.open_damage;
  map_.damage.insert(at, std::move(range));
}

absl::StatusOr<Tables> TraceFileReader::ReadTables(bool* found) {
  *found = false;
  Tables tables;
  int64_t budget_bytes = 0;
  for (size_t last = map_.blocks.size(); last-- > 0;) {
    if (map_.blocks[last].kind() != BLOCK_KIND_TABLES) continue;
    // Reads part number `part` at `position` into `tables`.
    const auto merge = [&](size_t position) -> absl::StatusOr<bool> {
      if (map_.blocks[position].kind() != BLOCK_KIND_TABLES) return false;
      const absl::StatusOr<absl::string_view> payload = ReadBlock(position);
      if (absl::IsDataLoss(payload.status())) return false;
      RETURN_IF_ERROR(payload.status());
      const absl::Status merged = MergeBounded(*payload, tables, budget_bytes);
      if (!merged.ok()) NoteDamage(position, merged);
      return merged.ok();
    };
    tables = Tables();  // what Clear keeps for later would be in no budget
    budget_bytes = TablesBudget(file_size_);
    ASSIGN_OR_RETURN(bool whole, merge(last));
    const uint32_t parts = std::max(tables.parts(), 1u);
    if (!whole || tables.part() + 1 != parts || parts > kTablesMaxParts || parts > last + 1) continue;
    if (parts > 1) {
      tables = Tables();
      budget_bytes = TablesBudget(file_size_);
    }
    for (uint32_t part = 0; parts > 1 && whole && part < parts; ++part) {
      ASSIGN_OR_RETURN(whole, merge(last + 1 - parts + part));
      whole = whole && tables.part() == part;
    }
    if (!whole) continue;
    tables.clear_part();
    tables.clear_parts();
    *found = true;
    return tables;
  }
  return Tables();
}

}  // namespace socktale
