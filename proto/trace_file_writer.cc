// SPDX-License-Identifier: Apache-2.0

#include "proto/trace_file_writer.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/file_io.h"
#include "base/status_macros.h"
#include "proto/encoded_tables.h"
#include "proto/trace_file_reader.h"

namespace socktale {
namespace {

// How often a part file is opened that turns out to be another one when it is locked.
constexpr int kMostLockTries = 100;

// A ring gives back at least so much at a time.
constexpr uint64_t kRingStepBytes = 1 << 20;
constexpr uint64_t kPageBytes = 4096;
constexpr char kCopySuffix[] = ".copy";

constexpr uint32_t kZfsMagic = 0x2fc12fc1;  // not in linux/magic.h

absl::Status Failed(int error, absl::string_view what) {
  const std::string message = absl::StrCat(what, ": ", strerror(error));
  if (error == ENOSPC || error == EFBIG || error == EDQUOT) return absl::ResourceExhaustedError(message);
  return absl::UnavailableError(message);
}

absl::Status NewMarker(std::string& marker) {
  marker.resize(kMarkerBytes);
  for (size_t got = 0; got < kMarkerBytes;) {
    const ssize_t n = ::getrandom(marker.data() + got, kMarkerBytes - got, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed(errno, "no random bytes for a trace");
    got += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

// Whether the name still leads to what is open as `fd`.
bool Names(const std::string& path, int fd) {
  struct stat held {
  }, named{};
  return ::fstat(fd, &held) == 0 && ::lstat(path.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

// Opens the part file (flags as for open(2), mode 0600) and takes the lock that says that a recorder lives. In between,
// its recorder may have given it its final name: then what was locked is a sealed trace, and is let go.
absl::StatusOr<UniqueFd> OpenLocked(const std::string& part_path, int flags) {
  // Whoever locks a file that was made a moment ago only looks at it, and lets go.
  const bool creating = (flags & O_CREAT) != 0;
  for (int tries = 0; tries < kMostLockTries; ++tries) {
    UniqueFd fd(::open(part_path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    if (!fd.valid()) {
      return absl::ErrnoToStatus(errno, absl::StrCat(creating ? "cannot create " : "cannot open ", part_path));
    }
    if (::flock(fd.get(), creating ? LOCK_EX : LOCK_EX | LOCK_NB) == 0) {
      if (Names(part_path, fd.get())) return fd;
    } else if (errno == EWOULDBLOCK) {
      return absl::AlreadyExistsError(absl::StrCat(part_path, ": a recording writes it"));
    } else if (errno != EINTR) {
      return Failed(errno, absl::StrCat("cannot lock ", part_path));
    }
  }
  return absl::UnavailableError(absl::StrCat("cannot lock ", part_path, ": it is replaced again and again"));
}

// Clears the way for a new part file.
absl::Status RemoveOldPart(const std::string& part_path) {
  const absl::StatusOr<UniqueFd> old = OpenLocked(part_path, O_RDONLY);
  if (absl::IsNotFound(old.status())) return absl::OkStatus();
  if (absl::IsAlreadyExists(old.status())) return old.status();
  // What cannot be opened, like a symbolic link, nobody writes to under this name.
  if (::unlink(part_path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot write over ", part_path));
}

// Gives [from, to) of a file back; it reads as zeros then. Returns 0, or errno.
int GiveBack(int fd, uint64_t from, uint64_t to) {
  while (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from),
                     static_cast<off_t>(to - from)) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

// Appends bytes of one file to another, whose end is at `at`. Returns 0, or errno.
int CopyRange(int from_fd, uint64_t from, uint64_t size, int to_fd, uint64_t at) {
  std::string buffer(std::min<uint64_t>(size, kRingStepBytes), '\0');
  for (uint64_t done = 0; done < size;) {
    const int64_t got = ReadAt(from_fd, buffer.data(), std::min<uint64_t>(size - done, buffer.size()), from + done);
    if (got <= 0) return got == 0 ? EIO : errno;
    iovec piece = {buffer.data(), static_cast<size_t>(got)};
    if (const int error = WriteAt(to_fd, absl::MakeSpan(&piece, 1), at + done); error != 0) return error;
    done += static_cast<uint64_t>(got);
  }
  return 0;
}

// Whether write(2) says all there is to say about room: local file systems reserve it there and then. Network ones, and
// whatever stands behind FUSE, may tell of a full disk or an exceeded quota only when the bytes are sent off. To ask
// all of them would be simple, but on a local disk that is busy the answer takes longer than many a recording.
bool WriteTellsTheTruth(int fd) {
  struct statfs system {};
  if (::fstatfs(fd, &system) != 0) return false;
  switch (static_cast<uint32_t>(system.f_type)) {
    case EXT4_SUPER_MAGIC:  // ext2 and ext3, too
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
    case kZfsMagic:
      return true;
    default:
      return false;
  }
}

}  // namespace

absl::StatusOr<TraceFileWriter> TraceFileWriter::Create(const std::string& path, const TraceHeader& header,
                                                        bool overwrite) {
  TraceFileWriter writer;
  writer.path_ = path;
  writer.overwrite_ = overwrite;
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) {
    // Sealing renames over `path`, which would replace a device like /dev/null.
    if (S_ISLNK(status.st_mode)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": is a symbolic link, which a trace would replace; name the file it points to"));
    }
    if (!S_ISREG(status.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, ": exists and is no file"));
    if (!overwrite) return absl::AlreadyExistsError(absl::StrCat(path, ": exists"));
  }
  const std::string part_path = writer.part_path();
  if (overwrite) RETURN_IF_ERROR(RemoveOldPart(part_path));
  ASSIGN_OR_RETURN(writer.fd_, OpenLocked(part_path, O_RDWR | O_CREAT | O_EXCL));
  absl::Status made = NewMarker(writer.marker_);
  if (made.ok()) {
    TraceHeader payload = header;
    payload.set_format(kTraceFormat);
    BlockHeader block;
    block.set_kind(BLOCK_KIND_HEADER);
    made = writer.AppendBlock(std::move(block), payload.SerializeAsString(), false);
  }
  if (made.ok() && header.ring() != 0) {
    writer.ring_bytes_ = header.ring();
    writer.freed_until_ = writer.size_;
    const int error = GiveBack(writer.fd_.get(), writer.size_, writer.size_ + kPageBytes);  // there is nothing yet
    if (error == EOPNOTSUPP) {
      made = absl::InvalidArgumentError(
          absl::StrCat("--ring: the file system of ", path, " cannot give space back; name another place with -o"));
    } else if (error != 0) {
      made = Failed(error, absl::StrCat("cannot give space of ", part_path, " back"));
    }
  }
  if (!made.ok()) {
    ::unlink(part_path.c_str());  // made a moment ago, and nothing is in it
    return made;
  }
  return writer;
}

absl::StatusOr<TraceFileWriter> TraceFileWriter::Resume(const std::string& path) {
  TraceFileWriter writer;
  writer.path_ = path;
  const std::string part_path = writer.part_path();
  ASSIGN_OR_RETURN(writer.fd_, OpenLocked(part_path, O_RDWR));
  ASSIGN_OR_RETURN(const TraceFileReader reader, TraceFileReader::OpenDescriptor(writer.fd_.get(), part_path));
  if (reader.header().format() == 0) return absl::DataLossError(absl::StrCat(part_path, ": its beginning is missing"));
  writer.entries_ = reader.blocks();
  // Of a file that was sealed but not renamed; a new index will stand here.
  while (writer.entries_.back().kind() == BLOCK_KIND_INDEX) writer.entries_.pop_back();
  for (size_t i = 0; i < writer.entries_.size(); ++i) {
    const BlockEntry& entry = writer.entries_[i];
    if (i > 0 && reader.sequence(i) <= writer.sequences_.back()) {
      return absl::InvalidArgumentError(absl::StrCat(part_path, ": several traces in one file"));
    }
    writer.sequences_.push_back(reader.sequence(i));
    if (entry.event_count() > 0) writer.next_event_ = entry.first_event() + entry.event_count();
  }
  writer.marker_ = reader.marker();
  writer.ring_bytes_ = reader.header().ring();
  if (writer.ring_bytes_ != 0) {
    writer.freed_until_ = writer.entries_.size() > 1 ? writer.entries_[1].offset() : writer.entries_[0].size();
  }
  writer.next_sequence_ = writer.sequences_.back() + 1;
  writer.size_ = writer.entries_.back().offset() + writer.entries_.back().size();
  if (::ftruncate(writer.fd_.get(), static_cast<off_t>(writer.size_)) != 0) {
    return Failed(errno, absl::StrCat("cannot cut ", part_path, " back to its last whole block"));
  }
  return writer;
}

absl::StatusOr<uint64_t> TraceFileWriter::AppendEvents(absl::string_view events, const EventBlockInfo& info,
                                                       bool compress) {
  BlockHeader header;
  header.set_kind(BLOCK_KIND_EVENTS);
  header.set_first_ns(info.first_ns);
  header.set_last_ns(info.last_ns);
  header.set_first_event(next_event_);
  header.set_event_count(info.event_count);
  header.mutable_image()->Add(info.images.begin(), info.images.end());
  RETURN_IF_ERROR(AppendBlock(std::move(header), events, compress));
  const uint64_t first_event = next_event_;
  next_event_ += info.event_count;
  RETURN_IF_ERROR(TurnRing());
  return first_event;
}

absl::Status TraceFileWriter::AppendTables(const Tables& tables, const std::function<void()>& meanwhile) {
  for (const std::string& piece : EncodeTables(tables, kBlockMaxBytes / 2, meanwhile)) {
    if (meanwhile) meanwhile();
    BlockHeader header;
    header.set_kind(BLOCK_KIND_TABLES);
    RETURN_IF_ERROR(AppendBlock(std::move(header), piece, true));
  }
  return absl::OkStatus();
}

uint64_t TraceFileWriter::given_back() const {
  if (ring_bytes_ == 0) return 0;
  const auto kept =
      std::find_if(entries_.begin(), entries_.end(), [](const BlockEntry& entry) { return entry.event_count() > 0; });
  return (kept == entries_.end() ? next_event_ : kept->first_event()) - 1;
}

absl::Status TraceFileWriter::TurnRing() {
  if (ring_bytes_ == 0 || size_ - freed_until_ < ring_bytes_ + kRingStepBytes) return absl::OkStatus();
  // Of the blocks behind the header the first ones go; the last one stays in any case.
  size_t gone = 1;
  while (gone + 1 < entries_.size() && size_ - entries_[gone].offset() > ring_bytes_) ++gone;
  const uint64_t kept_from = entries_[gone].offset();
  // Whole pages: of one that is given back in parts the file system keeps the place.
  const uint64_t until = kept_from / kPageBytes * kPageBytes;
  if (until <= freed_until_) return absl::OkStatus();
  if (const int error = GiveBack(fd_.get(), freed_until_, until); error != 0) {
    return Failed(error, absl::StrCat("cannot give space of ", part_path(), " back"));
  }
  freed_until_ = until;
  entries_.erase(entries_.begin() + 1, entries_.begin() + static_cast<ptrdiff_t>(gone));
  sequences_.erase(sequences_.begin() + 1, sequences_.begin() + static_cast<ptrdiff_t>(gone));
  return absl::OkStatus();
}

absl::StatusOr<TraceFileWriter> TraceFileWriter::CopyTo(const std::string& file, int flags) const {
  TraceFileWriter copy;
  copy.path_ = path_;
  copy.overwrite_ = overwrite_;
  copy.marker_ = marker_;
  copy.ring_bytes_ = ring_bytes_;
  copy.next_event_ = next_event_;
  copy.next_sequence_ = next_sequence_;
  copy.entries_ = entries_;
  copy.sequences_ = sequences_;
  const uint64_t header_end = entries_[0].size();
  const uint64_t kept_from = entries_.size() > 1 ? entries_[1].offset() : size_;
  for (size_t i = 1; i < entries_.size(); ++i)
    copy.entries_[i].set_offset(entries_[i].offset() - kept_from + header_end);
  copy.size_ = copy.freed_until_ = header_end;
  ASSIGN_OR_RETURN(copy.fd_, OpenLocked(file, O_RDWR | O_CREAT | flags));
  int error = CopyRange(fd_.get(), 0, header_end, copy.fd_.get(), 0);
  if (error == 0) error = CopyRange(fd_.get(), kept_from, size_ - kept_from, copy.fd_.get(), header_end);
  copy.size_ += size_ - kept_from;
  if (error == 0) return copy;
  ::unlink(file.c_str());
  return Failed(error, absl::StrCat("cannot copy ", part_path(), ", which holds all that was to be kept, to ", file));
}

absl::Status TraceFileWriter::Dump(const std::string& path, const Tables& tables,
                                   const std::vector<ConnectionBlocks>& connections) const {
  ASSIGN_OR_RETURN(TraceFileWriter copy, CopyTo(path + kPartSuffix, O_EXCL));
  copy.path_ = path;
  copy.overwrite_ = false;
  const absl::Status sealed = copy.Seal(tables, connections);
  if (!sealed.ok()) ::unlink(copy.part_path().c_str());
  return sealed;
}

absl::Status TraceFileWriter::Seal(const Tables& tables, const std::vector<ConnectionBlocks>& connections) {
  if (ring_bytes_ == 0 || freed_until_ == entries_[0].size()) {
    RETURN_IF_ERROR(Complete(tables, connections));
    return Rename();
  }
  const std::string name = part_path() + kCopySuffix;
  ASSIGN_OR_RETURN(TraceFileWriter copy, CopyTo(name, O_TRUNC));
  absl::Status status = copy.Complete(tables, connections);
  if (status.ok() && ::rename(name.c_str(), part_path().c_str()) != 0) {
    status = Failed(errno, absl::StrCat("cannot rename ", name, " to ", part_path()));
  }
  if (!status.ok()) {
    ::unlink(name.c_str());  // the part file is as it was
    return status;
  }
  fd_ = std::move(copy.fd_);
  size_ = copy.size_;
  return Rename();
}

absl::Status TraceFileWriter::Complete(const Tables& tables, const std::vector<ConnectionBlocks>& connections) {
  RETURN_IF_ERROR(AppendTables(tables));
  Index index;
  index.mutable_block()->Add(entries_.begin(), entries_.end());
  for (const ConnectionBlocks& from : connections) {
    ConnectionBlocks& to = *index.add_connection();
    to.set_connection(from.connection());
    for (const uint32_t sequence : from.block()) {
      if (ring_bytes_ != 0 && sequences_.size() > 1 && sequence < sequences_[1]) continue;  // given back
      const auto at = std::lower_bound(sequences_.begin(), sequences_.end(), sequence);
      if (at == sequences_.end() || *at != sequence) {
        return absl::InvalidArgumentError(absl::StrCat("connection ", from.connection(), ": no block ", sequence));
      }
      to.add_block(static_cast<uint32_t>(at - sequences_.begin()));
    }
  }
  // Readers do without the connections' part; the file would not be sealed without the rest.
  if (index.ByteSizeLong() > kBlockMaxBytes) index.clear_connection();

  const uint64_t index_offset = size_;
  BlockHeader header;
  header.set_kind(BLOCK_KIND_INDEX);
  // Stored raw, so that what a reader believes of it is bounded by the size of the file.
  RETURN_IF_ERROR(AppendBlock(std::move(header), index.SerializeAsString(), false));
  File trailer;
  trailer.set_index_offset(index_offset);
  trailer.set_trailer_magic(kTrailerMagic);
  RETURN_IF_ERROR(Write(trailer.SerializeAsString(), {}, "the trailer"));
  return AskTheDisk();
}

absl::Status TraceFileWriter::AskTheDisk() {
  if (WriteTellsTheTruth(fd_.get())) return absl::OkStatus();
  while (::fdatasync(fd_.get()) != 0) {
    if (errno == EINTR) continue;
    if (errno == EINVAL || errno == ENOSYS || errno == EROFS) break;  // nothing there that could be waited for
    return Failed(errno, absl::StrCat("cannot bring ", part_path(), " to its disk"));
  }
  return absl::OkStatus();
}

absl::Status TraceFileWriter::WriteAgain() {
  const std::string part = part_path();
  absl::StatusOr<UniqueFd> again = OpenLocked(part, O_RDWR | O_CREAT | O_EXCL);
  if (absl::IsNotFound(again.status())) {
    return absl::NotFoundError(absl::StrCat(part, " was removed while it was written, with its folder"));
  }
  RETURN_IF_ERROR(again.status());
  const int error = CopyRange(fd_.get(), 0, size_, again->get(), 0);
  if (error == 0) {
    fd_ = *std::move(again);
    return absl::OkStatus();
  }
  ::unlink(part.c_str());
  return Failed(error, absl::StrCat(part, " was removed while it was written, and cannot be written again"));
}

absl::Status TraceFileWriter::Rename() {
  const std::string part = part_path();
  int error = 0;
  if (!Names(part, fd_.get())) RETURN_IF_ERROR(WriteAgain());
  if (::renameat2(AT_FDCWD, part.c_str(), AT_FDCWD, path_.c_str(), overwrite_ ? 0 : RENAME_NOREPLACE) != 0) {
    error = errno;
    // File systems without RENAME_NOREPLACE: a second name, which link(2) never gives twice, then away with the first.
    if (error == EINVAL && !overwrite_) error = ::link(part.c_str(), path_.c_str()) == 0 ? 0 : errno;
    if (error == 0) ::unlink(part.c_str());
  }
  if (error == 0) return absl::OkStatus();
  const std::string what = absl::StrCat("the whole trace is in ", part, ", which cannot be renamed to ", path_);
  if (error == EEXIST) return absl::AlreadyExistsError(absl::StrCat(what, ": that exists"));
  return Failed(error, what);
}

absl::Status TraceFileWriter::AppendBlock(BlockHeader header, absl::string_view raw, bool compress) {
  if (raw.size() > kBlockMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a block of ", raw.size(), " bytes; the most is ", kBlockMaxBytes));
  }
  header.set_marker(marker_);
  header.set_raw_size(raw.size());
  header.set_sequence(next_sequence_);
  absl::string_view payload = raw;
  if (compress && codec_.Compress(raw, compressed_)) {
    header.set_codec(CODEC_ZSTD);
    payload = compressed_;
  }
  const std::string prefix = EncodeBlockPrefix(header, payload);
  BlockEntry entry;
  entry.set_offset(size_);
  entry.set_size(prefix.size() + payload.size());
  entry.set_kind(header.kind());
  entry.set_first_ns(header.first_ns());
  entry.set_last_ns(header.last_ns());
  entry.set_first_event(header.first_event());
  entry.set_event_count(header.event_count());
  RETURN_IF_ERROR(Write(prefix, payload, absl::StrCat("block ", next_sequence_)));
  entries_.push_back(std::move(entry));
  sequences_.push_back(next_sequence_++);
  return absl::OkStatus();
}

absl::Status TraceFileWriter::Write(absl::string_view head, absl::string_view body, const std::string& what) {
  iovec pieces[] = {{const_cast<char*>(head.data()), head.size()}, {const_cast<char*>(body.data()), body.size()}};
  const int error = WriteAt(fd_.get(), absl::MakeSpan(pieces), size_);
  if (error == 0) {
    size_ += head.size() + body.size();
    return absl::OkStatus();
  }
  std::string message = absl::StrCat("cannot write ", what, " to ", part_path(), " after ", size_, " bytes");
  if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0) {
    absl::StrAppend(&message, " (nor cut the rest off: ", strerror(errno), ")");
  }
  return Failed(error, message);
}

}  // namespace socktale
