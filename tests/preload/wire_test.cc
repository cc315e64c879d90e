// SPDX-License-Identifier: Apache-2.0
//
// The shim's writer against libprotobuf: same bytes for the same event, never a byte beyond the room it was given.

#include "preload/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "event.pb.h"
#include "tests/preload/event_encoder.h"
#include "tests/preload/tail_buffer.h"

namespace socktale {
namespace {

namespace pb = google::protobuf;

// Numbers of every magnitude from one seed (splitmix64), so that each length of varint comes up.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t Below(uint64_t limit) { return Next() % limit; }
  uint64_t Number() { return Next() >> Below(64); }

  std::string Bytes() {
    std::string bytes(Below(8) == 0 ? Below(400) : Below(20), '\0');
    for (char& c : bytes) c = static_cast<char>(Next());
    return bytes;
  }

 private:
  uint64_t state_;
};

void FillField(pb::Message* message, const pb::FieldDescriptor* field, Random& random) {
  const pb::Reflection* reflection = message->GetReflection();
  const int repeats = field->is_repeated() ? static_cast<int>(random.Below(5)) : 1;
  for (int i = 0; i < repeats; ++i) {
    const bool add = field->is_repeated();
    switch (field->cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_UINT64:
        reflection->SetUInt64(message, field, random.Number());
        break;
      case pb::FieldDescriptor::CPPTYPE_UINT32:
        reflection->SetUInt32(message, field, static_cast<uint32_t>(random.Number()));
        break;
      case pb::FieldDescriptor::CPPTYPE_INT64:
        reflection->SetInt64(message, field, static_cast<int64_t>(random.Number()) * (random.Below(2) == 0 ? 1 : -1));
        break;
      case pb::FieldDescriptor::CPPTYPE_INT32: {
        const auto value = static_cast<int32_t>(static_cast<uint32_t>(random.Number()));
        add ? reflection->AddInt32(message, field, value) : reflection->SetInt32(message, field, value);
        break;
      }
      case pb::FieldDescriptor::CPPTYPE_BOOL:
        reflection->SetBool(message, field, random.Below(2) == 0);
        break;
      case pb::FieldDescriptor::CPPTYPE_ENUM:
        reflection->SetEnumValue(message, field, static_cast<int>(random.Below(300)));
        break;
      case pb::FieldDescriptor::CPPTYPE_STRING:
        add ? reflection->AddString(message, field, random.Bytes())
            : reflection->SetString(message, field, random.Bytes());
        break;
      case pb::FieldDescriptor::CPPTYPE_MESSAGE: {
        pb::Message* nested = reflection->AddMessage(message, field);
        for (int n = 0; n < nested->GetDescriptor()->field_count(); ++n) {
          if (random.Below(4) != 0) FillField(nested, nested->GetDescriptor()->field(n), random);
        }
        break;
      }
      default:
        FAIL() << field->full_name() << " is of a type that this test does not fill";
    }
  }
}

// Sets each field with probability 1 in `one_in`.
void FillEvent(Event& event, Random& random, uint64_t one_in) {
  event.Clear();
  const pb::Descriptor* descriptor = Event::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    if (random.Below(one_in) == 0) FillField(&event, descriptor->field(i), random);
  }
}

// Encodes at the very end of mapped memory and compares.
void ExpectSameBytes(const Event& event, TailBuffer& buffer) {
  const std::string expected = event.SerializeAsString();
  uint8_t* const begin = buffer.Last(expected.size());
  wire::Writer writer(begin);
  EncodeEvent(event, writer);
  ASSERT_EQ(std::string(reinterpret_cast<char*>(begin), static_cast<size_t>(writer.position() - begin)), expected)
      << event.DebugString();
}

TEST(WireTest, WritesAMillionRandomEventsAsLibprotobufDoes) {
  Random random(1);
  TailBuffer buffer(256 << 10);
  Event event;
  for (int i = 0; i < 1'000'000 && !HasFatalFailure(); ++i) {
    FillEvent(event, random, 8);
    ExpectSameBytes(event, buffer);
  }
}

TEST(WireTest, WritesEventsWithEveryFieldAsLibprotobufDoes) {
  Random random(2);
  TailBuffer buffer(256 << 10);
  Event event;
  for (int i = 0; i < 10'000 && !HasFatalFailure(); ++i) {
    FillEvent(event, random, 1);
    ExpectSameBytes(event, buffer);
  }
}

TEST(WireTest, KnowsTheSizeOfEveryVarint) {
  for (int bits = 0; bits < 64; ++bits) {
    for (const uint64_t v : {(uint64_t{1} << bits) - 1, uint64_t{1} << bits, ~uint64_t{0} >> bits}) {
      uint8_t bytes[wire::kMaxVarint64];
      wire::Writer writer(bytes);
      writer.Varint(v);
      EXPECT_EQ(wire::VarintSize(v), static_cast<size_t>(writer.position() - bytes)) << v;
    }
  }
}

// What the arena writer does when a chunk is nearly full: the payload is cut to the room that is left.
TEST(WireTest, CutsThePayloadToAnyRoomAndFillsIt) {
  constexpr size_t kHead = 5;  // call and fd
  const std::string payload(20'000, 'x');
  TailBuffer buffer(payload.size() + 100);
  const size_t need = kHead + wire::BytesFieldSize(field::event::kPayload, payload.size());
  for (size_t room = 0; room <= need + 3; ++room) {
    if (room < kHead) continue;  // the caller drops the event
    const size_t fits = wire::BytesThatFit(field::event::kPayload, payload.size(), room - kHead);
    uint8_t* const begin = buffer.Last(room);
    wire::Writer writer(begin);
    writer.Uint<field::event::kCall>(CALL_SEND);
    writer.Sint<field::event::kFd>(1000);
    ASSERT_EQ(writer.position() - begin, static_cast<ptrdiff_t>(kHead));
    writer.Bytes<field::event::kPayload>(payload.data(), fits);
    const auto written = static_cast<size_t>(writer.position() - begin);
    ASSERT_LE(written, room);
    ASSERT_EQ(fits, std::min(fits, payload.size()));
    if (fits < payload.size()) {  // one byte more would not have fitted
      ASSERT_GT(kHead + wire::BytesFieldSize(field::event::kPayload, fits + 1), room);
    }
    Event event;
    ASSERT_TRUE(event.ParseFromArray(begin, static_cast<int>(written))) << room;
    ASSERT_EQ(event.payload().size(), fits);
  }
}

// The caller's one check compares the room with these bounds: whatever the values, the bytes fit.
TEST(WireTest, NeverWritesMoreThanTheBoundsSay) {
  Random random(3);
  TailBuffer buffer(256 << 10);
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t number = random.Number();
    const std::string bytes = random.Bytes();
    wire::Writer writer(buffer.Last(2 * wire::kMaxNumberField + wire::kMaxBytesOverhead + bytes.size()));
    writer.Uint<field::event::kStatusFlags>(number);
    writer.Sint<field::event::kTimeoutNs>(static_cast<int64_t>(number));
    writer.Bytes<field::event::kCwd>(bytes.data(), bytes.size());
    ASSERT_LE(writer.position(), buffer.Beyond());
  }
  uint8_t worst[2 * wire::kMaxNumberField];
  wire::Writer writer(worst);
  writer.Uint<2047>(~uint64_t{0});
  EXPECT_EQ(static_cast<size_t>(writer.position() - worst), wire::kMaxNumberField);
}

TEST(WireTest, FillsALengthThatWasReservedBeforehand) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{127}, size_t{128}, size_t{16'383}, size_t{16'384}}) {
    std::string bytes(size + 10, '\0');
    wire::Writer writer(reinterpret_cast<uint8_t*>(bytes.data()));
    uint8_t* const length = writer.BeginReserved<field::event::kPayload, 3>();
    writer.Raw(std::string(size, 'y').data(), size);
    writer.EndReserved<3>(length);
    Event event;
    ASSERT_TRUE(event.ParseFromArray(bytes.data(),
                                     static_cast<int>(writer.position() - reinterpret_cast<uint8_t*>(bytes.data()))));
    EXPECT_EQ(event.payload(), std::string(size, 'y'));
  }
}

TEST(WireTest, WritesFixedNumbersInLittleEndian) {
  uint8_t bytes[20];
  wire::Writer writer(bytes);
  writer.Fixed32<1>(0x04030201);
  writer.Fixed64<2>(0x0807060504030201);
  EXPECT_THAT(std::string(reinterpret_cast<char*>(bytes), static_cast<size_t>(writer.position() - bytes)),
              testing::Eq(std::string("\x0d\1\2\3\4\x11\1\2\3\4\5\6\7\10")));
}

}  // namespace
}  // namespace socktale
