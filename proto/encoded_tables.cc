// SPDX-License-Identifier: Apache-2.0

#include "proto/encoded_tables.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/wire_scanner.h"

namespace socktale {
namespace {

// Room in a piece for its part numbers, and in the last one for what was cut.
constexpr size_t kReserveBytes = 64;

// Takes words away until the row has at most `most` bytes. Returns how many programs lost some.
uint64_t Shorten(size_t most, Process& process) {
  size_t size = process.ByteSizeLong();
  uint64_t shortened = 0;
  const auto lose = [&](auto clear) {
    for (Image& image : *process.mutable_image()) {
      if (size <= most) return;
      const size_t before = image.ByteSizeLong();
      clear(image);
      const size_t freed = before - image.ByteSizeLong();
      size -= freed;
      shortened += freed > 0;
    }
  };
  lose([](Image& image) {
    image.clear_argv();
    image.clear_cwd();
  });
  lose([](Image& image) { image.clear_path(); });
  return shortened;
}

// Cuts an encoded message into pieces of at most `most` bytes, between fields. Returns how many longer fields it left
// out.
uint64_t SplitFields(absl::string_view encoded, size_t most, std::vector<std::string>& pieces) {
  uint64_t left_out = 0;
  pieces.emplace_back();
  WireScanner scan(encoded);
  size_t begin = 0;
  for (uint32_t tag = 0; scan.Next(tag); begin = scan.offset()) {
    scan.Skip(tag);
    const absl::string_view field = encoded.substr(begin, scan.offset() - begin);
    if (field.size() > most) {
      ++left_out;
      continue;
    }
    if (pieces.back().size() + field.size() > most) pieces.emplace_back();
    pieces.back().append(field.data(), field.size());
  }
  return left_out;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> EncodeTables(const Tables& tables, size_t most_bytes) {
  const size_t most = most_bytes - kReserveBytes;
  const size_t most_in_row = most - kReserveBytes;  // its own tag and length
  const Tables* whole = &tables;
  Tables shorter;
  uint64_t cut = 0;
  const auto too_long = [most_in_row](const Process& process) { return process.ByteSizeLong() > most_in_row; };
  if (std::any_of(tables.process().begin(), tables.process().end(), too_long)) {
    shorter = tables;
    for (Process& process : *shorter.mutable_process()) cut += Shorten(most_in_row, process);
    whole = &shorter;
  }
  std::string encoded;
  if (!whole->SerializeToString(&encoded)) {
    return absl::ResourceExhaustedError(absl::StrCat("tables of ", whole->ByteSizeLong(), " bytes are too large"));
  }
  std::vector<std::string> pieces;
  cut += SplitFields(encoded, most, pieces);
  if (cut > 0) {
    Tables row;
    row.add_missing()->set_kind("row_cut");
    row.mutable_missing(0)->set_count(cut);
    pieces.back() += row.SerializeAsString();
  }
  // A protobuf message is the sum of its parts, wherever they stand.
  for (size_t i = 0; i < pieces.size() && pieces.size() > 1; ++i) {
    Tables place;
    place.set_part(static_cast<uint32_t>(i));
    place.set_parts(static_cast<uint32_t>(pieces.size()));
    pieces[i] += place.SerializeAsString();
  }
  return pieces;
}

}  // namespace socktale
