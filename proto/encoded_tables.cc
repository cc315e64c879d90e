// SPDX-License-Identifier: Apache-2.0

#include "proto/encoded_tables.h"

#include <cstdint>
#include <utility>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "proto/wire_append.h"

namespace socktale {
namespace {

// Room in a piece for a row's tag and length, its part numbers, and in the last one for what is no row.
constexpr size_t kReserveBytes = 128;

constexpr uint64_t kRowsBetween = 4096;

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

// Collects encoded rows in pieces.
class Pieces {
 public:
  Pieces(size_t most_bytes, const std::function<void()>& meanwhile) : most_(most_bytes), meanwhile_(meanwhile) {}

  // Adds a field of Tables: a row.
  void Add(int number, const google::protobuf::Message& row) {
    row_.clear();
    row.AppendToString(&row_);
    if (row_.size() > most_ - kReserveBytes) {
      ++cut_;
      return;
    }
    if (pieces_.back().size() + row_.size() > most_ - kReserveBytes) pieces_.emplace_back();
    AppendBytesHead(pieces_.back(), static_cast<uint32_t>(number), row_.size());
    pieces_.back() += row_;
    if (++rows_ % kRowsBetween == 0 && meanwhile_) meanwhile_();
  }
  void Cut(uint64_t programs) { cut_ += programs; }

  // Adds what is no row, and the rows' places.
  std::vector<std::string> Finish(Tables rest) && {
    if (cut_ > 0) {
      Missing& missing = *rest.add_missing();
      missing.set_kind("row_cut");
      missing.set_count(cut_);
    }
    pieces_.back() += rest.SerializeAsString();
    for (size_t i = 0; i < pieces_.size() && pieces_.size() > 1; ++i) {
      Tables place;
      place.set_part(static_cast<uint32_t>(i));
      place.set_parts(static_cast<uint32_t>(pieces_.size()));
      pieces_[i] += place.SerializeAsString();
    }
    return std::move(pieces_);
  }

 private:
  const size_t most_;
  const std::function<void()>& meanwhile_;
  std::vector<std::string> pieces_ = {""};
  std::string row_;
  uint64_t rows_ = 0;
  uint64_t cut_ = 0;
};

}  // namespace

std::vector<std::string> EncodeTables(const Tables& tables, size_t most_bytes, const std::function<void()>& meanwhile) {
  Pieces pieces(most_bytes, meanwhile);
  const google::protobuf::Reflection& reflection = *tables.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(tables, &fields);
  Tables rest;
  for (const google::protobuf::FieldDescriptor* field : fields) {
    if (!field->is_repeated()) {
      if (field->type() == google::protobuf::FieldDescriptor::TYPE_BOOL) {
        reflection.SetBool(&rest, field, reflection.GetBool(tables, field));
      } else if (field->type() == google::protobuf::FieldDescriptor::TYPE_UINT64) {
        reflection.SetUInt64(&rest, field, reflection.GetUInt64(tables, field));
      }
      continue;  // part and parts are for Pieces to say; nothing else is in there (trace_file_test)
    }
    for (int i = 0; i < reflection.FieldSize(tables, field); ++i) {
      const google::protobuf::Message& row = reflection.GetRepeatedMessage(tables, field, i);
      const size_t most_in_row = most_bytes - kReserveBytes;
      if (field->number() == Tables::kProcessFieldNumber && row.ByteSizeLong() > most_in_row) {
        Process shorter = tables.process(i);
        pieces.Cut(Shorten(most_in_row, shorter));
        pieces.Add(field->number(), shorter);
      } else {
        pieces.Add(field->number(), row);
      }
    }
  }
  return std::move(pieces).Finish(std::move(rest));
}

}  // namespace socktale
