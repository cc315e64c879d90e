// SPDX-License-Identifier: Apache-2.0
//
// Names of processes and descriptors, and what becomes of names that a terminal would act on.

#include "viewer/names/ids.h"

#include <gtest/gtest.h>

#include "viewer/names/printable.h"

namespace socktale {
namespace {

Process MakeProcess(const std::string& name, uint32_t use) {
  Process process;
  process.set_name(name);
  process.set_pid(512);
  process.set_pid_use(use);
  return process;
}

TEST(IdsTest, ASecondUseOfANumberIsTold) {
  const Process first = MakeProcess("api", 1), second = MakeProcess("api", 2);
  EXPECT_EQ(ProcessLabel(first), "api[512]");
  EXPECT_EQ(ProcessLabel(second), "api[512#2]");
  EXPECT_EQ(DescriptorId(&first, 7, 1), "512/7");
  EXPECT_EQ(DescriptorId(&second, 7, 3), "512#2/7#3");
  EXPECT_EQ(DescriptorId(&first, 7, 0), "512/7");
  EXPECT_EQ(DescriptorId(nullptr, 7, 0), "?/7");
}

TEST(IdsTest, ANameIsSafeOnATerminal) {
  EXPECT_EQ(ProcessLabel(MakeProcess("x\x1b[31mred", 1)), "x\\x1b[31mred[512]");
  EXPECT_EQ(ProcessLabel(MakeProcess("x\xc2\x9b"
                                     "31m",
                                     1)),
            "x\\xc2\\x9b31m[512]");
}

TEST(PrintableTest, ControlsAndWhatIsNoTextAreEscaped) {
  EXPECT_EQ(Printable("h\xc3\xa9llo → \xe9\x7f\n"), "h\xc3\xa9llo → \\xe9\\x7f\\n");
  EXPECT_EQ(Printable("\xc2\x9b\xed\xa0\x80\xf5"), "\\xc2\\x9b\\xed\\xa0\\x80\\xf5");
  EXPECT_EQ(Quoted("a\"b\\\r"), "\"a\\\"b\\\\\\r\"");
}

}  // namespace
}  // namespace socktale
