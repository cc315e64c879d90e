// SPDX-License-Identifier: Apache-2.0

#include "preload/hooks/child_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/preload/tail_buffer.h"

namespace socktale {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kShim[] = "/opt/lib/libsocktale.so";
constexpr char kAttach[] = "SOCKTALE_ATTACH=1,00ff,name,/arena";

// What the new program is given. Memory beyond need() is unmapped. Asking for nothing means the given array itself.
std::vector<std::string> Given(std::vector<std::string> entries, ExecTarget target = ExecTarget::kLoadable,
                               const char* shim = kShim, const char* attach = kAttach) {
  std::vector<char*> envp;
  for (std::string& entry : entries) envp.push_back(entry.data());
  envp.push_back(nullptr);
  const ChildEnvironment environment(envp.data(), shim, attach, target);
  if (environment.need() == 0) return entries;
  const size_t room = (environment.need() + 7) / 8 * 8;
  TailBuffer buffer(room);
  std::vector<std::string> result;
  for (char** entry = environment.Build(buffer.Last(room)); *entry != nullptr; ++entry) result.push_back(*entry);
  return result;
}

TEST(ChildEnvironmentTest, AddsBothVariablesToAnEmptyEnvironment) {
  EXPECT_THAT(Given({}), ElementsAre("LD_PRELOAD=/opt/lib/libsocktale.so", kAttach));
}

TEST(ChildEnvironmentTest, TakesANullPointerForAnEmptyEnvironment) {
  const ChildEnvironment environment(nullptr, kShim, kAttach, ExecTarget::kLoadable);
  std::vector<char*> memory(environment.need() / sizeof(char*) + 1);
  char** const built = environment.Build(memory.data());
  EXPECT_STREQ(built[0], "LD_PRELOAD=/opt/lib/libsocktale.so");
  EXPECT_STREQ(built[1], kAttach);
  EXPECT_EQ(built[2], nullptr);
}

bool IsComplete(std::vector<std::string> entries, ExecTarget target = ExecTarget::kLoadable) {
  std::vector<char*> envp;
  for (std::string& entry : entries) envp.push_back(entry.data());
  envp.push_back(nullptr);
  return ChildEnvironment(envp.data(), kShim, kAttach, target).complete();
}

TEST(ChildEnvironmentTest, IsCompleteWithTheShimAmongOthersAndThisSession) {
  EXPECT_TRUE(IsComplete({"A=1", "LD_PRELOAD=/opt/lib/libsocktale.so", kAttach}));
  EXPECT_TRUE(IsComplete({kAttach, "LD_PRELOAD=a.so /opt/lib/libsocktale.so:b.so"}));
  EXPECT_FALSE(IsComplete({}));
  EXPECT_FALSE(IsComplete({"LD_PRELOAD=/opt/lib/libsocktale.so"}));
  EXPECT_FALSE(IsComplete({kAttach}));
  EXPECT_FALSE(IsComplete({"LD_PRELOAD=", kAttach}));
  EXPECT_FALSE(IsComplete({"LD_PRELOAD=/opt/lib/libsocktale.so.1", kAttach}));
  EXPECT_FALSE(IsComplete({"LD_PRELOAD=/opt/lib/libsocktale.so", "SOCKTALE_ATTACH=1,ff00,name,/arena"}));
  EXPECT_FALSE(IsComplete({"LD_PRELOAD=/opt/lib/libsocktale.so", kAttach, "LD_PRELOAD=other.so"}));
  EXPECT_FALSE(IsComplete({"LD_PRELOAD=/opt/lib/libsocktale.so", kAttach}, ExecTarget::kHostile));
}

TEST(ChildEnvironmentTest, TellsAddressSanitizerThatTheShimComesFirst) {
  constexpr ExecTarget kAsan = ExecTarget::kLoadableAsan;
  EXPECT_THAT(Given({}, kAsan),
              ElementsAre("LD_PRELOAD=/opt/lib/libsocktale.so", kAttach, "ASAN_OPTIONS=verify_asan_link_order=0"));
  EXPECT_THAT(Given({"ASAN_OPTIONS=verify_asan_link_order=1:exitcode=3", "A=1"}, kAsan),
              ElementsAre("ASAN_OPTIONS=verify_asan_link_order=1:exitcode=3:verify_asan_link_order=0", "A=1",
                          "LD_PRELOAD=/opt/lib/libsocktale.so", kAttach));
  EXPECT_THAT(
      Given({"ASAN_OPTIONS=verify_asan_link_order=0:exitcode=3"}, kAsan),
      ElementsAre("ASAN_OPTIONS=verify_asan_link_order=0:exitcode=3", "LD_PRELOAD=/opt/lib/libsocktale.so", kAttach));
  EXPECT_THAT(Given({"ASAN_OPTIONS=exitcode=3"}),
              ElementsAre("ASAN_OPTIONS=exitcode=3", "LD_PRELOAD=/opt/lib/libsocktale.so", kAttach));
}

TEST(ChildEnvironmentTest, KeepsTheOrderAndAllOtherEntries) {
  EXPECT_THAT(
      Given({"A=1", "LD_PRELOAD=/usr/lib/mine.so", "no equals sign", "SOCKTALE_ATTACH=stale", "", "B="}),
      ElementsAre("A=1", "LD_PRELOAD=/opt/lib/libsocktale.so:/usr/lib/mine.so", "no equals sign", kAttach, "", "B="));
}

TEST(ChildEnvironmentTest, PutsTheShimFirstAndOnce) {
  EXPECT_THAT(Given({"LD_PRELOAD=a.so /opt/lib/libsocktale.so::b.so"}),
              ElementsAre("LD_PRELOAD=/opt/lib/libsocktale.so:a.so:b.so", kAttach));
  EXPECT_THAT(Given({"LD_PRELOAD=/opt/lib/libsocktale.so"}),
              ElementsAre("LD_PRELOAD=/opt/lib/libsocktale.so", kAttach));
  EXPECT_THAT(Given({"LD_PRELOAD="}), ElementsAre("LD_PRELOAD=/opt/lib/libsocktale.so", kAttach));
}

TEST(ChildEnvironmentTest, DoesNotMistakeLongerNames) {
  EXPECT_THAT(Given({"LD_PRELOADS=x", "SOCKTALE_ATTACHED=y"}),
              ElementsAre("LD_PRELOADS=x", "SOCKTALE_ATTACHED=y", "LD_PRELOAD=/opt/lib/libsocktale.so", kAttach));
}

TEST(ChildEnvironmentTest, TakesTheShimOutWhereItWouldDoHarm) {
  EXPECT_THAT(Given({"A=1", "LD_PRELOAD=/opt/lib/libsocktale.so:b.so"}, ExecTarget::kHostile),
              ElementsAre("A=1", "LD_PRELOAD=b.so"));
  EXPECT_THAT(Given({"LD_PRELOAD=/opt/lib/libsocktale.so", "A=1"}, ExecTarget::kHostile), ElementsAre("A=1"));
  EXPECT_THAT(Given({"A=1"}, ExecTarget::kHostile), ElementsAre("A=1"));
}

TEST(ChildEnvironmentTest, LeavesTheEnvironmentOfADeafProgramAlone) {
  EXPECT_THAT(Given({"A=1"}, ExecTarget::kDeaf), ElementsAre("A=1"));
  EXPECT_THAT(Given({"LD_PRELOAD=/opt/lib/libsocktale.so"}, ExecTarget::kDeaf),
              ElementsAre("LD_PRELOAD=/opt/lib/libsocktale.so"));
}

TEST(ChildEnvironmentTest, ChangesNothingWithoutASession) {
  EXPECT_THAT(Given({"A=1"}, ExecTarget::kLoadable, "", ""), ElementsAre("A=1"));
  EXPECT_THAT(Given({}, ExecTarget::kLoadable, "", ""), IsEmpty());
}

TEST(ChildEnvironmentTest, PassesUnreadableArraysOnForTheKernelToRefuse) {
  TailBuffer buffer(64);
  char** const array = reinterpret_cast<char**>(buffer.Last(2 * sizeof(char*)));  // no null pointer before the page
  char entry[] = "A=1";
  array[0] = entry;
  array[1] = entry;
  EXPECT_EQ(ChildEnvironment(array, kShim, kAttach, ExecTarget::kLoadable).need(), 0u);
  array[0] = reinterpret_cast<char*>(buffer.Beyond());
  array[1] = nullptr;
  EXPECT_EQ(ChildEnvironment(array, kShim, kAttach, ExecTarget::kLoadable).need(), 0u);
}

}  // namespace
}  // namespace socktale
