// SPDX-License-Identifier: Apache-2.0

#include "proto/foreign_file.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "absl/strings/match.h"
#include "proto/trace.pb.h"
#include "proto/trace_file_format.h"
#include "proto/wire_scanner.h"

namespace socktale {
namespace {

struct Signature {
  absl::string_view begins;
  const char* words;
};

// Files that people have beside their traces, by their first bytes (file(1) has the source of each).
constexpr Signature kSignatures[] = {
    {"\x7f"
     "ELF",
     "a program or library (ELF)"},
    {"\x1f\x8b", "a gzip archive; gunzip it first"},
    {"\x28\xb5\x2f\xfd", "a zstd archive; unzstd it first"},
    {"\xfd"
     "7zXZ",
     "an xz archive; unxz it first"},
    {"BZh", "a bzip2 archive; bunzip2 it first"},
    {"PK\x03\x04", "a zip archive; unzip it first"},
    {"\xd4\xc3\xb2\xa1", "a pcap capture; wireshark reads it"},
    {"\xa1\xb2\xc3\xd4", "a pcap capture; wireshark reads it"},
    {"\x4d\x3c\xb2\xa1", "a pcap capture; wireshark reads it"},
    {"\xa1\xb2\x3c\x4d", "a pcap capture; wireshark reads it"},
    {"\x0a\x0d\x0d\x0a", "a pcapng capture; wireshark reads it"},
    {"SQLite format 3", "an SQLite database"},
    {"<!DOCTYPE html", "a web page"},
    {"<!doctype html", "a web page"},
    {"<html", "a web page"},
    {"{\"", "JSON text"},
    {"%PDF-", "a PDF document"},
    {"\x89PNG", "a PNG image"},
};

bool IsText(unsigned char byte) { return (byte >= 0x20 && byte != 0x7f) || (byte >= '\t' && byte <= '\r'); }

}  // namespace

std::string LooksLike(absl::string_view first_bytes) {
  if (first_bytes.empty()) return "an empty file";
  for (const Signature& signature : kSignatures) {
    if (absl::StartsWith(first_bytes, signature.begins)) return signature.words;
  }
  if (std::all_of(first_bytes.begin(), first_bytes.end(), [](char byte) { return byte == 0; })) {
    return "a file of zeros, as after a power failure";
  }
  if (std::all_of(first_bytes.begin(), first_bytes.end(), IsText)) return "text";
  return "nothing known";
}

bool BeginsATrace(absl::string_view first_bytes) {
  constexpr uint32_t kFirstField = Tag(1, WireType::kBytes);  // File.block, and in it Block.header
  WireScanner file(first_bytes);
  uint32_t tag = 0;
  if (!file.Next(tag) || tag != kFirstField) return false;
  file.Varint();  // the block's length: it need not be here as a whole
  if (!file.Next(tag) || tag != kFirstField) return false;
  WireScanner header(file.Bytes());
  bool marked = false;
  while (header.Next(tag)) {
    if (tag == Tag(1, WireType::kBytes)) {
      marked = header.Bytes().size() == kMarkerBytes;
    } else if (tag == Tag(2, WireType::kVarint)) {
      return marked && header.Varint32() == BLOCK_KIND_HEADER;
    } else {
      header.Skip(tag);
    }
  }
  return false;
}

}  // namespace socktale
