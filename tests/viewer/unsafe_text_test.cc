// SPDX-License-Identifier: Apache-2.0
//
// What traced programs call themselves and their peers reaches no terminal as it is: no view prints a control
// character, or a byte that is no UTF-8, that came out of a trace.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "proto/block_codec.h"
#include "tests/viewer/program_test.h"
#include "viewer/cli/completeness.h"
#include "viewer/names/printable.h"

namespace socktale::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Escape sequences, the C1 control that does what ESC [ does, DEL, a lone byte of Latin-1.
constexpr char kEvil[] =
    "e\x1b[31m\xc2\x9b"
    "32m\x7f\xe9\r";

// Where `text` has a byte that a terminal might act on or cannot show; empty: nowhere.
std::string FirstUnsafe(const std::string& text) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    if (!IsPrintableText(line, false) || line.find_first_of("\r\t") != std::string::npos) return Printable(line);
    begin = end + 1;
  }
  return "";
}

class UnsafeTextTest : public ProgramTest {
 protected:
  UnsafeTextTest() {
    const std::string evil = kEvil;
    TraceBuilder builder;
    builder.header.add_command("prog" + evil);
    builder.header.add_command("a b'\\" + evil);
    for (auto* text : {builder.header.mutable_host(), builder.header.mutable_kernel(), builder.header.mutable_version(),
                       builder.header.mutable_io(), builder.header.mutable_name()}) {
      *text = evil;
    }
    builder.At(1'000'000);
    Image& client = builder.Start(evil, 10, {"/bin/" + evil, evil});
    Image& server = builder.Start("s" + evil, 11, {evil});
    server.Socket(3, AF_UNIX, SOCK_STREAM);
    server.Bind(3, Unix("/tmp/" + evil));
    server.Listen(3);
    client.Socket(4, AF_UNIX, SOCK_STREAM);
    client.Connect(4, Unix("/tmp/" + evil));
    server.Accept(3, 5);
    client.Send(4, evil + evil);
    server.Recv(5, evil + evil);
    client.Resolve("db" + evil, {Inet("10.0.0.7", 0)});
    client.Socket(6, AF_INET, SOCK_STREAM);
    client.Connect(6, Inet("10.0.0.7", 5432), {.local = Inet("10.0.0.1", 4000)});
    client.Send(6, evil);
    client.Socket(7, AF_UNIX, SOCK_STREAM);
    client.Connect(7, Unix("@" + evil), {.error = ECONNREFUSED});
    client.Open(8, "/etc/" + evil);
    client.Executing("/bin/" + evil, {evil, evil});
    client.Exit(1);
    Open(builder, "evil");
  }
};

TEST_F(UnsafeTextTest, NoViewPrintsAControlOutOfATrace) {
  for (const char* words : {"conns",
                            "conns --wide",
                            "conns --group process",
                            "conns --group peer",
                            "conns --group pair",
                            "conns --json",
                            "conns --json --ascii",
                            "follow 1 2 3",
                            "follow 1 2 3 --as text",
                            "follow 1 2 3 --as hex",
                            "follow 1 2 3 --as json",
                            "follow 1 2 3 --json",
                            "show",
                            "show -x",
                            "show --json",
                            "fds",
                            "fds 10",
                            "fds --json",
                            "info",
                            "info --json",
                            "fds \"$(printf 'e\\033[31m')\"",
                            "follow \"$(printf 'e\\033[31m')\""}) {
    const Outcome outcome = Run(std::string("$S ") + words + " -t evil.tale");
    EXPECT_THAT(FirstUnsafe(outcome.out), IsEmpty()) << words;
    EXPECT_THAT(FirstUnsafe(outcome.err), IsEmpty()) << words;
    EXPECT_THAT(outcome.out + outcome.err, Not(IsEmpty())) << words;
  }
  const Outcome outcome = Run("mkdir socktale && cp evil.tale \"socktale/$(printf 'e\\033[31m').tale\" && $S ls");
  EXPECT_THAT(FirstUnsafe(outcome.out), IsEmpty());
  EXPECT_THAT(outcome.out, HasSubstr("e\\x1b[31m"));
}

TEST_F(UnsafeTextTest, NamesAreToldWithTheirControlsEscaped) {
  const std::string conns = Run("$S conns -t evil.tale").out;
  EXPECT_THAT(conns, HasSubstr("e\\x1b[31m\\xc2\\x9b32m\\x7f\\xe9\\r[10]"));
  EXPECT_THAT(conns, HasSubstr("/tmp/e\\x1b[31m\\xc2\\x9b32m\\x7f\\xe9\\r"));
  EXPECT_THAT(conns, HasSubstr("db"
                               "e\\x1b[31m"));
  EXPECT_THAT(Run("$S info -t evil.tale").out, HasSubstr(" on e\\x1b[31m"));
}

TEST_F(UnsafeTextTest, AKindOfMissingThatIsUnknownHere) {
  Missing row;
  row.set_kind(kEvil);
  row.set_count(1);
  row.set_detail(kEvil);
  EXPECT_THAT(FirstUnsafe(MissingInWords(row, nullptr)), IsEmpty());
}

TEST_F(UnsafeTextTest, TheVersionOfANewerTrace) {
  TraceHeader trace;
  trace.set_format(99);
  trace.set_version(kEvil);
  const std::string payload = trace.SerializeAsString();
  BlockHeader block;
  block.set_marker(std::string(kMarkerBytes, 'm'));
  block.set_kind(BLOCK_KIND_HEADER);
  block.set_raw_size(payload.size());
  std::ofstream(directory_ + "/newer.tale") << EncodeBlockPrefix(block, payload) << payload;
  const Outcome outcome = Run("$S conns newer.tale");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("was written by socktale e\\x1b[31m"));
  EXPECT_THAT(FirstUnsafe(outcome.err), IsEmpty());
}

}  // namespace
}  // namespace socktale::testing
