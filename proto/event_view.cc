// SPDX-License-Identifier: Apache-2.0
//
// The scanner of Events and Runs. The shim writes fields in ascending order, so the switch below is taken in the order
// of its cases; any other order is read as well.

#include "proto/event_view.h"

#include "absl/strings/str_cat.h"
#include "proto/wire_scanner.h"

namespace socktale {
namespace {

constexpr uint32_t V(uint32_t number) { return Tag(number, WireType::kVarint); }
constexpr uint32_t B(uint32_t number) { return Tag(number, WireType::kBytes); }

absl::Status Misfit(absl::string_view what, const WireScanner& scan, size_t size) {
  return absl::DataLossError(absl::StrCat(what, ": no field makes sense at byte ", scan.offset(), " of ", size));
}

// No honest event is larger: the shim's chunks are of at most 64 KiB. Keeps the lists of a hostile one small.
constexpr size_t kEventMaxBytes = 1 << 20;

void Clear(EventView& event) {
  static_cast<EventHotFields&>(event) = EventHotFields{};
  if (!event.has_cold) return;
  event.has_cold = false;
  static_cast<EventColdFields&>(event) = EventColdFields{};
  event.passed.clear();
  event.datagrams.clear();
  event.polled.clear();
  event.answers.clear();
  event.argv.clear();
}

}  // namespace

absl::Status ParseEvent(absl::string_view bytes, uint64_t base_ns, EventView& event) {
  Clear(event);
  if (bytes.size() > kEventMaxBytes) {
    return absl::DataLossError(absl::StrCat("event of ", bytes.size(), " bytes; the most is ", kEventMaxBytes));
  }
  event.start_ns = base_ns;
  bool says_payload_size = false;
  WireScanner scan(bytes);
  for (uint32_t tag = 0; scan.Next(tag);) {
    event.has_cold |= tag >= V(16);
    switch (tag) {
      case V(1):
        event.call = static_cast<Call>(scan.Varint32());
        break;
      case V(2):
        event.fd = scan.Sint32();
        break;
      case V(3):
        event.start_ns = base_ns + scan.Varint();
        break;
      case V(4):
        event.duration_ns = scan.Varint();
        break;
      case V(5):
        event.result = scan.Sint64();
        break;
      case V(6):
        event.error = scan.Varint32();
        break;
      case B(7):
        event.payload = scan.Bytes();
        break;
      case V(8):
        event.payload_size = scan.Varint();
        says_payload_size = true;
        break;
      case V(9):
        event.size = scan.Varint();
        break;
      case V(10):
        event.flags = scan.Varint32();
        break;
      case B(11):
        event.address = scan.Bytes();
        break;
      case V(12):
        event.notes = scan.Varint32();
        break;
      case V(13):
        event.continuation = scan.Varint();
        break;
      case V(14):
        event.new_fd = scan.Sint32();
        break;
      case V(15):
        event.socket_id = scan.Varint();
        break;
      case V(16):
        event.inode = scan.Varint();
        break;
      case B(17):
        event.local_address = scan.Bytes();
        break;
      case V(18):
        event.domain = scan.Varint32();
        break;
      case V(19):
        event.type = scan.Varint32();
        break;
      case V(20):
        event.protocol = scan.Varint32();
        break;
      case V(21):
        event.level = scan.Varint32();
        break;
      case V(22):
        event.option = scan.Varint32();
        break;
      case B(23):
        event.path = scan.Bytes();
        break;
      case V(24):
        event.passed.push_back(scan.Sint32());
        break;
      case B(24): {  // packed, as proto3 writes it
        const absl::string_view packed = scan.Bytes();
        WireScanner values(packed);
        while (!values.rest().empty()) event.passed.push_back(values.Sint32());
        if (!values.ok()) return Misfit("passed descriptors", values, packed.size());
        break;
      }
      case B(25):
        event.datagrams.push_back(scan.Bytes());
        break;
      case B(26):
        event.polled.push_back(scan.Bytes());
        break;
      case V(27):
        event.timeout_ns = scan.Sint64();
        break;
      case V(28):
        event.pid = scan.Varint32();
        break;
      case B(29):
        event.host = scan.Bytes();
        break;
      case B(30):
        event.service = scan.Bytes();
        break;
      case B(31):
        event.answers.push_back(scan.Bytes());
        break;
      case B(32):
        event.argv.push_back(scan.Bytes());
        break;
      case V(33):
        event.kind = static_cast<DescriptorKind>(scan.Varint32());
        break;
      case V(34):
        event.reason = static_cast<AttachReason>(scan.Varint32());
        break;
      case V(35):
        event.parent_pid = scan.Varint32();
        break;
      case V(36):
        event.peer_pid = scan.Varint32();
        break;
      case B(37):
        event.peer_address = scan.Bytes();
        break;
      case V(38):
        event.offset = scan.Varint();
        break;
      case B(39):
        event.cwd = scan.Bytes();
        break;
      case V(40):
        event.network_namespace = scan.Varint();
        break;
      case V(41):
        event.pid_namespace = scan.Varint();
        break;
      case V(42):
        event.parent_process = scan.Varint32();
        break;
      case V(43):
        event.limit = scan.Varint();
        break;
      case V(44):
        event.rtt_us = scan.Varint32();
        break;
      case V(45):
        event.retransmits = scan.Varint32();
        break;
      case V(46):
        event.user = scan.Varint32();
        break;
      case B(47):
        event.name = scan.Bytes();
        break;
      case V(48):
        event.listening = scan.Varint() != 0;
        break;
      case V(49):
        event.close_on_exec = scan.Varint() != 0;
        break;
      case V(50):
        event.status_flags = scan.Varint32();
        break;
      case V(51):
        event.new_socket_id = scan.Varint();
        break;
      default:
        scan.Skip(tag);
    }
  }
  if (!scan.ok()) return Misfit("event", scan, bytes.size());
  if (!says_payload_size) event.payload_size = event.payload.size();
  return absl::OkStatus();
}

absl::Status ParsePolled(absl::string_view bytes, PolledView& polled) {
  polled = {};
  WireScanner scan(bytes);
  for (uint32_t tag = 0; scan.Next(tag);) {
    switch (tag) {
      case V(1):
        polled.fd = scan.Sint32();
        break;
      case V(2):
        polled.events = scan.Varint32();
        break;
      case V(3):
        polled.revents = scan.Varint32();
        break;
      default:
        scan.Skip(tag);
    }
  }
  return scan.ok() ? absl::OkStatus() : Misfit("polled descriptor", scan, bytes.size());
}

absl::Status ParseDatagram(absl::string_view bytes, DatagramView& datagram) {
  datagram = {};
  WireScanner scan(bytes);
  for (uint32_t tag = 0; scan.Next(tag);) {
    switch (tag) {
      case V(1):
        datagram.size = scan.Varint();
        break;
      case B(2):
        datagram.address = scan.Bytes();
        break;
      default:
        scan.Skip(tag);
    }
  }
  return scan.ok() ? absl::OkStatus() : Misfit("datagram", scan, bytes.size());
}

absl::Status NextRun(absl::string_view& rest, RunView& run, bool& found) {
  run = {};
  found = false;
  WireScanner outer(rest);
  for (uint32_t outer_tag = 0; !found && outer.Next(outer_tag);) {
    if (outer_tag != B(1)) {
      outer.Skip(outer_tag);
      continue;
    }
    run.events = outer.Bytes();
    found = outer.ok();
  }
  if (!outer.ok()) return Misfit("events", outer, rest.size());
  rest = outer.rest();

  // The collector writes a Run's own fields before its events, another encoder may put them behind: the whole is
  // walked.
  WireScanner scan(run.events);
  for (uint32_t tag = 0; scan.Next(tag);) {
    switch (tag) {
      case V(1):
        run.image = scan.Varint32();
        break;
      case V(2):
        run.base_ns = scan.Varint();
        break;
      case B(3):
        scan.Bytes();
        break;
      case V(4):
        run.tid = scan.Varint32();
        break;
      case V(5):
        run.level = scan.Varint32();
        break;
      case V(6):
        run.chunk_sequence = scan.Varint();
        break;
      case V(7):
        run.chunk_offset = scan.Varint32();
        break;
      case V(8):
        run.thread_start_ns = scan.Varint();
        break;
      default:
        scan.Skip(tag);
    }
  }
  if (scan.ok()) return absl::OkStatus();
  found = false;
  return Misfit("run", scan, run.events.size());
}

absl::Status NextEvent(absl::string_view& rest, absl::string_view& event, bool& found) {
  event = {};
  found = false;
  WireScanner scan(rest);
  for (uint32_t tag = 0; !found && scan.Next(tag);) {
    if (tag == B(3)) {
      event = scan.Bytes();
      found = scan.ok();
    } else {
      scan.Skip(tag);
    }
  }
  if (!scan.ok()) return Misfit("run", scan, rest.size());
  rest = scan.rest();
  // Behind a payload it is mostly far away, and comes while this one is looked at.
  __builtin_prefetch(rest.data());
  return absl::OkStatus();
}

absl::Status CountEvents(absl::string_view committed, uint64_t& count) {
  count = 0;
  WireScanner scan(committed);
  for (uint32_t tag = 0; scan.Next(tag); ++count) {
    const absl::string_view behind_tag = scan.rest();
    if (tag == B(3)) scan.Bytes();
    if (tag != B(3) || !scan.ok()) {
      const size_t offset = committed.size() - behind_tag.size() - 1;
      return absl::DataLossError(absl::StrCat("chunk: no event at byte ", offset, " of ", committed.size()));
    }
  }
  return scan.ok() ? absl::OkStatus() : Misfit("chunk", scan, committed.size());
}

}  // namespace socktale
