// SPDX-License-Identifier: Apache-2.0
//
// The scanner of events reads what libprotobuf writes, and refuses what makes no sense.

#include "proto/event_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "proto/trace.pb.h"

namespace socktale {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Gives each field of `message` a random value with one chance in `odds`.
void Randomize(Message& message, std::mt19937_64& random, uint64_t odds) {
  const auto* descriptor = message.GetDescriptor();
  const auto* reflection = message.GetReflection();
  const auto number = [&] { return random() >> random() % 64; };
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (random() % odds != 0) continue;
    const uint64_t times = field->is_repeated() ? 1 + random() % 6 : 1;
    for (uint64_t k = 0; k < times; ++k) {
      const bool many = field->is_repeated();
      const uint64_t value = number();
      switch (field->cpp_type()) {
#define SET(kind, type)                                                    \
  many ? reflection->Add##kind(&message, field, static_cast<type>(value))  \
       : reflection->Set##kind(&message, field, static_cast<type>(value)); \
  break
        case FieldDescriptor::CPPTYPE_INT32:
          SET(Int32, int32_t);
        case FieldDescriptor::CPPTYPE_INT64:
          SET(Int64, int64_t);
        case FieldDescriptor::CPPTYPE_UINT32:
          SET(UInt32, uint32_t);
        case FieldDescriptor::CPPTYPE_UINT64:
          SET(UInt64, uint64_t);
        case FieldDescriptor::CPPTYPE_BOOL:
          SET(Bool, bool);
#undef SET
        case FieldDescriptor::CPPTYPE_ENUM:
          reflection->SetEnumValue(&message, field, static_cast<int>(value % 256));
          break;
        case FieldDescriptor::CPPTYPE_STRING: {
          const std::string text(value % 300, static_cast<char>(value));
          many ? reflection->AddString(&message, field, text) : reflection->SetString(&message, field, text);
          break;
        }
        case FieldDescriptor::CPPTYPE_MESSAGE:
          Randomize(*reflection->AddMessage(&message, field), random, 2);
          break;
        default:
          ADD_FAILURE() << "a field of a type that this test does not know: " << field->name();
      }
    }
  }
}

// Puts the view's fields back into a message, so that one comparison covers them all.
Event ToMessage(const EventView& view, uint64_t base_ns) {
  Event event;
  event.set_call(view.call);
  event.set_fd(view.fd);
  event.set_start_ns(view.start_ns - base_ns);
  event.set_duration_ns(view.duration_ns);
  event.set_result(view.result);
  event.set_error(view.error);
  event.set_payload(std::string(view.payload));
  event.set_payload_size(view.payload_size);
  event.set_size(view.size);
  event.set_flags(view.flags);
  event.set_address(std::string(view.address));
  event.set_notes(view.notes);
  event.set_continuation(view.continuation);
  event.set_new_fd(view.new_fd);
  event.set_socket_id(view.socket_id);
  event.set_inode(view.inode);
  event.set_local_address(std::string(view.local_address));
  event.set_domain(view.domain);
  event.set_type(view.type);
  event.set_protocol(view.protocol);
  event.set_level(view.level);
  event.set_option(view.option);
  event.set_path(std::string(view.path));
  for (const int32_t fd : view.passed) event.add_passed(fd);
  for (const absl::string_view bytes : view.datagrams) {
    DatagramView datagram;
    EXPECT_TRUE(ParseDatagram(bytes, datagram).ok());
    Datagram& to = *event.add_datagram();
    to.set_size(datagram.size);
    to.set_address(std::string(datagram.address));
  }
  for (const absl::string_view bytes : view.polled) {
    PolledView polled;
    EXPECT_TRUE(ParsePolled(bytes, polled).ok());
    Polled& to = *event.add_polled();
    to.set_fd(polled.fd);
    to.set_events(polled.events);
    to.set_revents(polled.revents);
  }
  event.set_timeout_ns(view.timeout_ns);
  event.set_pid(view.pid);
  event.set_host(std::string(view.host));
  event.set_service(std::string(view.service));
  for (const absl::string_view answer : view.answers) event.add_answer(std::string(answer));
  for (const absl::string_view argument : view.argv) event.add_argv(std::string(argument));
  event.set_kind(view.kind);
  event.set_reason(view.reason);
  event.set_parent_pid(view.parent_pid);
  event.set_peer_pid(view.peer_pid);
  event.set_peer_address(std::string(view.peer_address));
  event.set_offset(view.offset);
  event.set_cwd(std::string(view.cwd));
  event.set_network_namespace(view.network_namespace);
  event.set_pid_namespace(view.pid_namespace);
  event.set_parent_process(view.parent_process);
  event.set_limit(view.limit);
  event.set_rtt_us(view.rtt_us);
  event.set_retransmits(view.retransmits);
  event.set_user(view.user);
  event.set_name(std::string(view.name));
  event.set_listening(view.listening);
  event.set_close_on_exec(view.close_on_exec);
  event.set_status_flags(view.status_flags);
  event.set_new_socket_id(view.new_socket_id);
  return event;
}

TEST(EventViewTest, ReadsEveryFieldAsLibprotobufWritesIt) {
  std::mt19937_64 random(7);
  EventView view;  // one for all: nothing of an earlier event may stay
  for (int round = 0; round < 3000; ++round) {
    Event event;
    Randomize(event, random, 1 + round % 8);
    const std::string bytes = event.SerializeAsString();
    const uint64_t base_ns = random();
    ASSERT_TRUE(ParseEvent(bytes, base_ns, view).ok());
    // Absent, it means the payload's own size.
    if (event.payload_size() == 0) event.set_payload_size(event.payload().size());
    ASSERT_EQ(ToMessage(view, base_ns).SerializeAsString(), event.SerializeAsString()) << event.DebugString();
  }
}

TEST(EventViewTest, AnEventCutAnywhereIsRefusedOrAWholePrefix) {
  Event event;
  std::mt19937_64 random(11);
  Randomize(event, random, 1);
  const std::string bytes = event.SerializeAsString();
  EventView view;
  for (size_t size = 0; size < bytes.size(); ++size) {
    // In a buffer of its own, so that a read beyond its end is seen.
    const std::string cut(bytes.data(), size);
    Event parsed;
    EXPECT_EQ(ParseEvent(cut, 0, view).ok(), parsed.ParseFromString(cut)) << "at " << size;
  }
}

TEST(EventViewTest, RefusesNonsenseWithItsPlace) {
  EventView view;
  const std::string bad[] = {
      std::string("\x00\x01", 2),  // field number 0
      "\x0b",                      // a group begins
      "\x3a\x05"
      "abc",                                               // five bytes, three there
      "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  // a number of eleven bytes
      "\xfd\xff\xff\xff\xff\x01\x00",                      // a tag beyond 32 bits
      "\xc2\x01\x01\xff",                                  // packed descriptors that end within a number
  };
  for (const std::string& bytes : bad) {
    const absl::Status status = ParseEvent(bytes, 0, view);
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("at byte"));
  }
  EXPECT_TRUE(absl::IsDataLoss(ParseEvent(std::string(2 << 20, '\x08'), 0, view)));
}

TEST(EventViewTest, PassesOverFieldsOfALaterVersion) {
  EventView view;
  const std::string bytes =
      "\x08\x04"
      "\xa2\x06\x03xyz"
      "\xa8\x06\x96\x01"
      "\xa1\x06"
      "12345678"
      "\xb5\x06"
      "1234"
      "\x10\x0a";
  ASSERT_TRUE(ParseEvent(bytes, 0, view).ok());
  EXPECT_EQ(view.call, CALL_RECV);
  EXPECT_EQ(view.fd, 5);
}

TEST(RunViewTest, WalksRunsAndTheirEventsInAnyOrderOfFields) {
  Events events;
  for (uint32_t image = 1; image <= 3; ++image) {
    socktale::Run& run = *events.add_run();  // not testing::Test::Run
    run.set_image(image);
    run.set_base_ns(image * 100);
    run.set_tid(7);
    run.set_level(1);
    run.set_chunk_sequence(image + 10);
    run.set_chunk_offset(64);
    run.set_thread_start_ns(5);
    for (uint32_t i = 0; i < image; ++i) run.add_event()->set_start_ns(i);
  }
  const std::string bytes = events.SerializeAsString();
  absl::string_view rest = bytes;
  RunView run;
  bool found = false;
  for (uint32_t image = 1; image <= 3; ++image) {
    ASSERT_TRUE(NextRun(rest, run, found).ok());
    ASSERT_TRUE(found);
    EXPECT_EQ(run.image, image);
    EXPECT_EQ(run.base_ns, image * 100);
    EXPECT_EQ(run.tid, 7u);
    EXPECT_EQ(run.level, 1u);
    EXPECT_EQ(run.chunk_sequence, image + 10);
    EXPECT_EQ(run.chunk_offset, 64u);
    EXPECT_EQ(run.thread_start_ns, 5u);
    for (uint32_t i = 0; i < image; ++i) {
      absl::string_view event;
      ASSERT_TRUE(NextEvent(run.events, event, found).ok());
      ASSERT_TRUE(found);
      EventView view;
      ASSERT_TRUE(ParseEvent(event, run.base_ns, view).ok());
      EXPECT_EQ(view.start_ns, image * 100 + i);
    }
    absl::string_view none;
    ASSERT_TRUE(NextEvent(run.events, none, found).ok());
    EXPECT_FALSE(found);
  }
  ASSERT_TRUE(NextRun(rest, run, found).ok());
  EXPECT_FALSE(found);
}

TEST(CountEventsTest, CountsPaddedLengthsAndSaysWhereSenseEnds) {
  // Tag 0x1a and a length padded to three bytes, as the shim reserves it.
  const std::string chunk = std::string("\x1a\x82\x80\x00\x08\x04", 6) + std::string("\x1a\x00", 2) +
                            std::string("\x1a\x82\x80\x00\x08\x03", 6);
  uint64_t count = 0;
  ASSERT_TRUE(CountEvents(chunk, count).ok());
  EXPECT_EQ(count, 3u);
  absl::Status status = CountEvents(chunk.substr(0, 13), count);
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_EQ(count, 2u);
  EXPECT_THAT(std::string(status.message()), HasSubstr("at byte 8 of 13"));
  status = CountEvents(chunk + std::string(4, '\0'), count);
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_EQ(count, 3u);
  EXPECT_THAT(std::string(status.message()), HasSubstr("at byte 14 of 18"));
}

}  // namespace
}  // namespace socktale
