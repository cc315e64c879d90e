// SPDX-License-Identifier: Apache-2.0
//
// Numbers, times and payload as people read them; text as a terminal shows it.

#include "viewer/cli/format.h"

#include <gtest/gtest.h>

#include "viewer/cli/common.h"
#include "viewer/cli/json.h"
#include "viewer/cli/output.h"
#include "viewer/cli/payload_text.h"
#include "viewer/cli/table.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

TEST(FormatTest, DurationsHaveTheUnitThatFits) {
  EXPECT_EQ(FormatDuration(0), "0 ns");
  EXPECT_EQ(FormatDuration(999), "999 ns");
  EXPECT_EQ(FormatDuration(83'000), "83 µs");
  EXPECT_EQ(FormatDuration(83'000, false), "83 us");
  EXPECT_EQ(FormatDuration(100'000), "0.1 ms");
  EXPECT_EQ(FormatDuration(2'000'000), "2 ms");
  EXPECT_EQ(FormatDuration(248'900'000), "249 ms");
  EXPECT_EQ(FormatDurationExactly(248'900'000), "248.9 ms");
  EXPECT_EQ(FormatDurationExactly(2'000'000), "2 ms");
  EXPECT_EQ(FormatDuration(4'100'000'000), "4.1 s");
  EXPECT_EQ(FormatDuration(9'990'000'000), "10 s");
  EXPECT_EQ(FormatDuration(58'000'000'000), "58 s");
  EXPECT_EQ(FormatDuration(150'000'000'000), "2.5 min");
  EXPECT_EQ(FormatDuration(11'160'000'000'000), "3.1 h");
}

TEST(FormatTest, RoundingNeverWritesAThousandOfTheSmallerUnit) {
  EXPECT_EQ(FormatDuration(999'900'000), "1 s");
  EXPECT_EQ(FormatDurationExactly(999'990'000), "1 s");
  EXPECT_EQ(FormatBytes(1023 * 1024), "1.0M");
  EXPECT_EQ(FormatSize(1024 * 1024 - 1), "1 MiB");
}

TEST(FormatTest, BytesAreShortUnlessExactOnesAreAskedFor) {
  EXPECT_EQ(FormatBytes(83), "83");
  EXPECT_EQ(FormatBytes(1023), "1023");
  EXPECT_EQ(FormatBytes(4198), "4.1K");
  EXPECT_EQ(FormatBytes(9216), "9.0K");
  EXPECT_EQ(FormatBytes(1'258'291), "1.2M");
  EXPECT_EQ(FormatBytes(4198, true), "4198");
  EXPECT_EQ(FormatSize(9216), "9 KiB");
  EXPECT_EQ(FormatSize(83), "83 B");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "16E");
}

TEST(FormatTest, CountsAreGroupedAndNounsAgree) {
  EXPECT_EQ(FormatCount(81904), "81 904");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1'000'000), "1 000 000");
  EXPECT_EQ(CountOf(1, "connection"), "1 connection");
  EXPECT_EQ(CountOf(14, "event"), "14 events");
  EXPECT_EQ(CountOf(37, "process", "processes"), "37 processes");
}

TEST(FormatTest, TimesComeInFiveForms) {
  constexpr uint64_t kStart = 1'772'359'200'123'456'789;  // 2026-03-01T10:00:00.123456789Z
  EXPECT_EQ(TimeFormat(TimeForm::kSinceStart, kStart, 4).Format(1'250'300'000), "+1.2503");
  EXPECT_EQ(TimeFormat(TimeForm::kNs, kStart, 4).Format(1'250'300'000), "1250300000");
  EXPECT_EQ(TimeFormat(TimeForm::kUtc, kStart, 4).Format(1'000'000'000), "2026-03-01T10:00:01.1234Z");
  TimeFormat delta(TimeForm::kDelta, kStart, 4);
  EXPECT_EQ(delta.Format(5'000'000), "+0.0000");
  EXPECT_EQ(delta.Format(7'000'000), "+0.0020");
  EXPECT_EQ(FormatUtc(kStart), "2026-03-01T10:00:00.123456789Z");
}

TEST(FormatTest, PayloadIsQuotedLikeAStringInCAndMarkedWhereItIsCut) {
  EXPECT_EQ(QuotePayload("GET /hello HTTP/1.1\r\nHost: localhost:8080\r\n", 32),
            R"("GET /hello HTTP/1.1\r\nHost: local"…)");
  EXPECT_EQ(QuotePayload("a\"b\\\t", 32), R"("a\"b\\\t")");
  EXPECT_EQ(QuotePayload("abc", 32, 10), R"("abc"…)");
  EXPECT_EQ(QuotePayload("abc", 2, 0, false), R"("ab"...)");
  EXPECT_EQ(QuotePayload(std::string_view("\0\x1b[31m\xff", 7), 32), R"("\x00\x1b[31m\xff")");
}

TEST(FormatTest, TextIsUtf8WithoutControlCharacters) {
  EXPECT_TRUE(IsPrintableText("héllo\r\n\t"));
  EXPECT_FALSE(IsPrintableText("\x1b[2J"));
  EXPECT_FALSE(IsPrintableText("\xc0\x80"));          // overlong
  EXPECT_FALSE(IsPrintableText("\xed\xa0\x80"));      // surrogate
  EXPECT_FALSE(IsPrintableText("\xf4\x90\x80\x80"));  // above U+10FFFF
  EXPECT_FALSE(IsPrintableText("\xc2\x9b"));          // C1: another way to write ESC [
  EXPECT_TRUE(IsPrintableText("h\xc3"));              // cut inside a character
  EXPECT_FALSE(IsPrintableText("h\xc3", false));
  EXPECT_EQ(Printable("a\x1b]0;x\x07"), "a\\x1b]0;x\\x07");
}

TEST(FormatTest, WordsForAShellAreQuotedOnlyWhereNeeded) {
  EXPECT_EQ(ShellQuote("http://localhost:8080/"), "http://localhost:8080/");
  EXPECT_EQ(ShellQuote("it's"), "'it'\\''s'");
  EXPECT_EQ(ShellQuote(""), "''");
  // What is not safe on a terminal can still be pasted, and what a shell reads has its bytes.
  EXPECT_EQ(ShellQuote("a'\\\x1b[31m"), "$'a\\'\\\\\\x1b[31m'");
  EXPECT_EQ(ShellQuoteBytes("/opt/\xe9/it's"), "'/opt/\xe9/it'\\''s'");
}

TEST(TraceArgumentTest, TheLatestTraceNeedsNone) {
  CommonOptions common;
  EXPECT_EQ(TraceArgument(common), "");
  common.trace = "out/a b.tale";
  EXPECT_EQ(TraceArgument(common), " -t 'out/a b.tale'");
}

TEST(ParseTest, TimesSizesAndDurationsHaveUnits) {
  EXPECT_EQ(ParseTime("+12.5").value(), 12'500'000'000u);
  EXPECT_EQ(ParseTime("250ms").value(), 250'000'000u);
  EXPECT_EQ(ParseDuration("10ms").value(), 10'000'000u);
  EXPECT_EQ(ParseDuration("83us").value(), 83'000u);
  EXPECT_FALSE(ParseDuration("10").ok());
  EXPECT_FALSE(ParseDuration("ms").ok());
  EXPECT_FALSE(ParseTime("-1").ok());
  EXPECT_FALSE(ParseTime("99999999999999").ok());
  EXPECT_EQ(ParseSize("4k").value(), 4096u);
  EXPECT_EQ(ParseSize("1.5M").value(), 1'572'864u);
  EXPECT_FALSE(ParseSize("4x").ok());
}

TEST(NearestWordTest, SuggestsWhatIsNearAndNothingElse) {
  const std::vector<std::string> words = {"conns", "follow", "fds", "show"};
  EXPECT_EQ(NearestWord("conn", words), "conns");
  EXPECT_EQ(NearestWord("cnons", words), "conns");
  EXPECT_EQ(NearestWord("folow", words), "follow");
  EXPECT_EQ(NearestWord("curl", words), "");
}

TEST(WidthTest, CountsColumnsAndNotBytes) {
  EXPECT_EQ(DisplayWidth("→ µ"), 3u);
  EXPECT_EQ(DisplayWidth("🔒"), 2u);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1u);
  EXPECT_EQ(DisplayWidth("\x1b[31mred\x1b[0m"), 3u);
  EXPECT_EQ(CutToWidth("localhost:8080", 8, "…"), "localho…");
  EXPECT_EQ(CutToWidth("\x1b[31mlocalhost\x1b[0m", 4, "…"), "\x1b[31mloc…\x1b[0m");
  EXPECT_EQ(CutToWidth("日本語", 4, "…"), "日…");
  EXPECT_EQ(CutToWidth("same", 4, "…"), "same");
}

TEST(AsciiTest, EverySignHasOneOfTheSameWidth) {
  EXPECT_EQ(ToAscii("c1 ✗ → 83 µs … ⇄ ░"), "c1 x > 83 us ~ = #");
  EXPECT_EQ(ToAscii("日本"), "????");
  EXPECT_EQ(DisplayWidth(ToAscii("a → b 🔒")), DisplayWidth("a → b 🔒"));
}

TEST(JsonTest, BytesThatAreNoTextAreBase64) {
  Json object = Json::object();
  AddPayload(object, "GET /", 5);
  EXPECT_EQ(object.dump(), R"({"len":5,"text":"GET /"})");
  object = Json::object();
  AddPayload(object, std::string_view("\x16\x03\x01", 3), 517);
  EXPECT_EQ(object.dump(), R"({"len":517,"kept":3,"b64":"FgMB"})");
  object = Json::object();
  AddBytes(object, "path", "/tmp/\xff");
  EXPECT_EQ(object.dump(), R"({"path_b64":"L3RtcC//"})");
}

TEST(JsonTest, AddressesSayTheirKind) {
  EXPECT_EQ(AddressJson(std::string("\x02\0\x1f\x90\x7f\0\0\x01\0\0\0\0\0\0\0\0", 16)).dump(),
            R"({"ip":"127.0.0.1","port":8080})");
  EXPECT_EQ(AddressJson(std::string("\x01\0/run/db.sock\0", 15)).dump(), R"({"path":"/run/db.sock"})");
  EXPECT_EQ(AddressJson(std::string("\x01\0\0x", 4)).dump(), R"({"abstract":"x"})");
  EXPECT_EQ(AddressJson("\x02").dump(), "{}");
}

class TableTest : public testing::Test {
 protected:
  std::string Print(Look look) {
    Table table({{"id", "ID"},
                 {"peer", "PEER", Align::kLeft, true, 8},
                 {"sent", "SENT", Align::kRight},
                 {"fd", "FD", Align::kLeft, false}});
    EXPECT_TRUE(table.SelectColumns(columns_).ok());
    table.Add({"c1", "localhost:8080 httpd[4100]", "83", "5"});
    table.Add({{"c2 ✗", Style::kError}, "-", "4.1K"});
    std::string text;
    Output output(&text, look);
    table.Print(output);
    return text;
  }
  std::string columns_;
};

TEST_F(TableTest, NothingIsCutInAPipe) {
  EXPECT_EQ(Print({}),
            " ID    PEER                        SENT\n"
            " c1    localhost:8080 httpd[4100]    83\n"
            " c2 ✗  -                           4.1K\n");
}

TEST_F(TableTest, ATerminalsWidthIsKept) {
  std::string text = Print({.terminal = true, .width = 30});
  for (size_t start = 0; start < text.size();) {
    const size_t end = text.find('\n', start);
    EXPECT_LE(DisplayWidth(text.substr(start, end - start)), 30u) << text;
    start = end + 1;
  }
  EXPECT_NE(text.find("…"), std::string::npos) << text;
}

TEST_F(TableTest, AsciiHasTheSameLayout) {
  const std::string ascii = Print({.unicode = false});
  EXPECT_NE(ascii.find(" c2 x  -"), std::string::npos) << ascii;
}

TEST_F(TableTest, ColumnsAreChosenAndAdded) {
  columns_ = "sent,id";
  EXPECT_EQ(Print({}), " SENT  ID\n   83  c1\n 4.1K  c2 ✗\n");
  columns_ = "+fd";
  EXPECT_NE(Print({}).find("SENT  FD\n"), std::string::npos);
}

TEST_F(TableTest, AnUnknownColumnIsAnErrorThatNamesTheKnown) {
  Table table({{"id", "ID"}, {"peer", "PEER"}});
  const absl::Status status = table.SelectColumns("id,per");
  EXPECT_EQ(status.message(), "no column 'per'; there are: id peer");
}

TEST(ColorTest, ColourNeverChangesTheText) {
  std::string text;
  Output output(&text, {.color = true});
  EXPECT_EQ(output.Paint(Style::kError, "✗"), "\x1b[1;38;5;175m✗\x1b[0m");
  EXPECT_EQ(DisplayWidth(output.Paint(Style::kError, "✗")), 1u);
  Output plain(&text, {});
  EXPECT_EQ(plain.Paint(Style::kError, "✗"), "✗");
}

TEST(PayloadTextTest, TextComesAsLinesAndSaysWhatIsLeft) {
  const std::string request =
      "GET /hello HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";
  const PayloadLines lines = PayloadAsLines(request, PayloadForm::kAuto, 0, 2, 54, 54);
  EXPECT_EQ(lines.lines, (std::vector<std::string>{"GET /hello HTTP/1.1", "Host: localhost:8080"}));
  EXPECT_EQ(lines.rest, "+2 lines");
  EXPECT_EQ(PayloadAsLines(request, PayloadForm::kText, 0, 0, 54, 0).lines.size(), 4u);
}

TEST(PayloadTextTest, BinaryIsAHexDumpWithOffsetsInTheStream) {
  const PayloadLines lines =
      PayloadAsLines(std::string("\x16\x03\x01 abc\x00Z", 9), PayloadForm::kAuto, 0x1000, 0, 54, 0);
  EXPECT_EQ(lines.lines,
            (std::vector<std::string>{"1000  16 03 01 20 61 62 63 00  ... abc.", "1008  5a                       Z"}));
}

TEST(PayloadTextTest, ATextHeaderBeforeABinaryBodyStaysReadable) {
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08";
  const PayloadLines lines = PayloadAsLines(answer, PayloadForm::kAuto, 0, 0, 54, 0);
  ASSERT_EQ(lines.lines.size(), 3u);
  EXPECT_EQ(lines.lines[1], "Content-Encoding: gzip");
  EXPECT_EQ(lines.lines[2], "002b  1f 8b 08                 ...");
}

TEST(PayloadTextTest, JsonIsLaidOutAlsoBehindAHeader) {
  const PayloadLines lines = PayloadAsLines("HTTP/1.1 200 OK\r\n\r\n{\"a\":[1]}", PayloadForm::kJson, 0, 0, 54, 0);
  EXPECT_EQ(lines.lines, (std::vector<std::string>{"HTTP/1.1 200 OK", "{", "  \"a\": [", "    1", "  ]", "}"}));
}

// A peer can send what would grow by thousands when laid out, and nest deeper than any stack.
TEST(PayloadTextTest, JsonThatNestsToNoEndIsLeftAsItIs) {
  const std::string deep(200'000, '[');
  EXPECT_EQ(PayloadAsLines(deep, PayloadForm::kJson, 0, 0, 80, 0).lines, std::vector<std::string>{deep});
  const std::string closed = deep + std::string(deep.size(), ']');
  EXPECT_EQ(PayloadAsLines(closed, PayloadForm::kJson, 0, 0, 80, 0).lines, std::vector<std::string>{closed});
  std::string wide(90, '[');
  for (int i = 0; i < 50'000; ++i) wide += "1,";
  wide += "1" + std::string(90, ']');
  EXPECT_EQ(PayloadAsLines(wide, PayloadForm::kJson, 0, 0, 80, 0).lines, std::vector<std::string>{wide});
  EXPECT_EQ(PayloadAsLines("[[\"]]\"]]", PayloadForm::kJson, 0, 0, 80, 0).lines.size(), 5u);
}

// Takes minutes where each tab measures all before it.
TEST(PayloadTextTest, ALongLineOfTabsTakesNoLongerThanAnother) {
  const std::string tabs = [] {
    std::string line;
    for (int i = 0; i < 400'000; ++i) line += "a\t";
    return line;
  }();
  const PayloadLines all = PayloadAsLines(tabs, PayloadForm::kText, 0, 0, 80, 0);
  ASSERT_EQ(all.lines.size(), 1u);
  EXPECT_EQ(all.lines[0].size(), 1'600'000u);
  const PayloadLines cut = PayloadAsLines(tabs, PayloadForm::kText, 0, 0, 80, 40);
  EXPECT_EQ(DisplayWidth(cut.lines[0]), 40u);
}

TEST(WidthTest, ATextIsCutAtItsCharacters) {
  EXPECT_EQ(BytesOfWidth("abc", 2), 2u);
  EXPECT_EQ(BytesOfWidth("äöü", 2), 4u);
  EXPECT_EQ(BytesOfWidth("abc", 3), 3u);
  EXPECT_EQ(BytesOfWidth("a日本", 2), 1u);
  EXPECT_EQ(BytesOfWidth("", 2), 0u);
}

TEST(PayloadTextTest, TerminalsAreSafeFromPayload) {
  const PayloadLines lines = PayloadAsLines("\x1b[2Jx\ty\n", PayloadForm::kText, 0, 0, 54, 0);
  EXPECT_EQ(lines.lines, (std::vector<std::string>{"\\x1b[2Jx    y"}));
}

TEST(PayloadTest, EmptyLinesAreLinesUnlessNothingFollows) {
  const std::string part = "a\n\n\n";
  EXPECT_EQ(PayloadAsLines(part, PayloadForm::kText, 0, 0, 54, 0).lines, std::vector<std::string>{"a"});
  const std::vector<std::string> whole = {"a", "", ""};
  EXPECT_EQ(PayloadAsLines(part, PayloadForm::kText, 0, 0, 54, 0, 0, true).lines, whole);
  EXPECT_EQ(PayloadAsLines(part, PayloadForm::kAuto, 0, 0, 54, 0, 0, true).lines, whole);
}

}  // namespace
}  // namespace socktale
