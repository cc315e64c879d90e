// SPDX-License-Identifier: Apache-2.0
//
// A file that results go to, `-o FILE`: as it was until all of them are there.

#ifndef SOCKTALE_VIEWER_CLI_OUTPUT_FILE_H_
#define SOCKTALE_VIEWER_CLI_OUTPUT_FILE_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace socktale {

// Refuses a file that begins as a trace, so that a recording is not replaced by a table of it: kFailedPrecondition with
// what to do instead. What cannot be read, and what is not there, is no trace.
absl::Status RefuseTrace(const std::string& path);

// Written under another name beside the one asked for, which it takes on when it is complete. In place where that is
// not possible or not meant: devices and pipes, descriptors under /dev and /proc, files of other owners or with several
// names, files in a directory that takes no new ones, and what grows while it is read.
class OutputFile {
 public:
  // Nothing is made or changed yet. growing: somebody reads along, so everything goes there at once.
  // Errors: RefuseTrace's, and those of opening what is written in place.
  static absl::StatusOr<OutputFile> Open(const std::string& path, bool growing);

  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();  // what was not kept is removed

  // The descriptor to write to, from now on there; of the first call on, a file that is written in place is empty.
  absl::StatusOr<int> Descriptor();

  // The descriptor before anything is written, to ask what it is; -1: not made yet.
  int descriptor() const { return fd_.get(); }

  // All is written: the file takes its name. Makes it, empty, if nothing was written.
  absl::Status Keep();

 private:
  OutputFile(std::string path, bool in_place) : path_(std::move(path)), in_place_(in_place) {}

  std::string path_;       // without symbolic links where it exists
  std::string temporary_;  // the name while it is written; empty: none
  bool in_place_ = false;
  bool emptied_ = false;  // in place: what was there before has gone
  mode_t mode_ = 0600;    // of the file that is replaced
  UniqueFd fd_;
};

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_OUTPUT_FILE_H_
