// SPDX-License-Identifier: Apache-2.0

#include "collector/program_check.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/collector/test_home.h"

namespace socktale {
namespace {

using testing::HasSubstr;

class ProgramCheckTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content, mode_t mode = 0755) {
    const std::string path = home_.traces() + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    chmod(path.c_str(), mode);
    return path;
  }

  // An ELF file with a program header for `interpreter` (none if empty).
  static std::string Elf(const std::string& interpreter, uint16_t machine, const std::string& section = "") {
    Elf64_Ehdr header = {};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_machine = machine;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = interpreter.empty() ? 0 : 1;
    Elf64_Phdr segment = {};
    segment.p_type = PT_INTERP;
    segment.p_offset = sizeof header + sizeof segment;
    segment.p_filesz = interpreter.size() + 1;
    Elf64_Shdr names = {};
    names.sh_offset = segment.p_offset + segment.p_filesz;
    names.sh_size = section.size();
    header.e_shoff = names.sh_offset + names.sh_size;
    header.e_shentsize = sizeof names;
    header.e_shnum = section.empty() ? 0 : 1;
    std::string file(reinterpret_cast<const char*>(&header), sizeof header);
    file.append(reinterpret_cast<const char*>(&segment), sizeof segment);
    file.append(interpreter.c_str(), interpreter.size() + 1);
    file += section;
    file.append(reinterpret_cast<const char*>(&names), sizeof names);
    return file;
  }

  ProgramVerdict VerdictOf(const std::string& path) { return CheckProgramFile(path, path).verdict; }

#if defined(__x86_64__)
  static constexpr uint16_t kOwn = EM_X86_64, kOther = EM_AARCH64;
#else
  static constexpr uint16_t kOwn = EM_AARCH64, kOther = EM_X86_64;
#endif
  TestHome home_;
};

TEST_F(ProgramCheckTest, TakesProgramsAndScriptsOfTheSystem) {
  const ProgramCheck shell = CheckProgram("sh", "/usr/bin:/bin");
  EXPECT_EQ(shell.verdict, ProgramVerdict::kRecordable) << shell.message;
  EXPECT_EQ(shell.path, "/usr/bin/sh");
  EXPECT_EQ(VerdictOf(Write("script", "#!/bin/sh -e\necho\n")), ProgramVerdict::kRecordable);
  EXPECT_EQ(VerdictOf(Write("bare", "echo\n")), ProgramVerdict::kRecordable);
}

TEST_F(ProgramCheckTest, NamesAStaticProgramAndTheWayOut) {
  const std::string path = Write("gotool", Elf("", kOwn));
  const ProgramCheck check = CheckProgramFile(path, "./gotool");
  EXPECT_EQ(check.verdict, ProgramVerdict::kStatic);
  EXPECT_EQ(check.message, "gotool is statically linked, so nothing can be preloaded into it.");
  EXPECT_THAT(check.way_out, HasSubstr("without -static"));
  EXPECT_EQ(check.start_status(), 0);
  EXPECT_STREQ(check.missing_kind(), "static");
}

TEST_F(ProgramCheckTest, LooksThroughAScriptAtItsInterpreter) {
  const std::string interpreter = Write("static-sh", Elf("", kOwn));
  const ProgramCheck check = CheckProgramFile(Write("script", "#! " + interpreter + "\n"), "script");
  EXPECT_EQ(check.verdict, ProgramVerdict::kStatic);
  EXPECT_EQ(check.decider, interpreter);
  EXPECT_EQ(VerdictOf(Write("broken", "#!/nonexistent/perl\n")), ProgramVerdict::kBadInterpreter);
  EXPECT_EQ(VerdictOf(Write("itself", "#!" + home_.traces() + "/itself\n")), ProgramVerdict::kBadInterpreter);
}

TEST_F(ProgramCheckTest, KnowsGoMuslAndOtherProcessors) {
  EXPECT_EQ(VerdictOf(Write("go", Elf("", kOwn, ".go.buildinfo"))), ProgramVerdict::kGo);
  const ProgramCheck musl = CheckProgramFile(Write("app", Elf("/lib/ld-musl-x86_64.so.1", kOwn)), "./app");
  EXPECT_EQ(musl.verdict, ProgramVerdict::kOtherLibc);
  EXPECT_EQ(musl.message, "./app uses musl (/lib/ld-musl-x86_64.so.1); only the glibc shim is installed.");
  EXPECT_EQ(VerdictOf(Write("arm", Elf("/lib/ld-linux.so.1", kOther))), ProgramVerdict::kOtherMachine);
  EXPECT_EQ(VerdictOf(Write("lost", Elf("/lib64/ld-linux-gone.so.2", kOwn))), ProgramVerdict::kBadInterpreter);
}

TEST_F(ProgramCheckTest, SurvivesDamagedPrograms) {
  const std::string whole = Elf("/lib64/ld-linux-x86-64.so.2", kOwn, ".go.buildinfo");
  for (size_t size = 0; size < whole.size(); ++size) (void)VerdictOf(Write("cut", whole.substr(0, size)));
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ 0xff);
    (void)VerdictOf(Write("flipped", flipped));
  }
}

TEST_F(ProgramCheckTest, SaysWhyAFileCannotBeExecuted) {
  const ProgramCheck directory = CheckProgramFile(home_.traces(), "./traces");
  EXPECT_EQ(directory.message, "./traces is a directory.");
  EXPECT_EQ(directory.start_status(), 126);
  const ProgramCheck plain = CheckProgramFile(Write("plain", "echo\n", 0644), "./plain");
  EXPECT_THAT(plain.message, HasSubstr("no permission to execute it"));
  EXPECT_EQ(plain.way_out, "chmod +x ./plain");
  EXPECT_EQ(plain.start_status(), 126);
  EXPECT_EQ(CheckProgram("./nothing/here", "").start_status(), 127);
}

TEST_F(ProgramCheckTest, ProposesTheCommandThatWasMeant) {
  Write("frobnicate", "#!/bin/sh\n");
  Write("frobnicated", "#!/bin/sh\n", 0644);  // not executable: not proposed
  const ProgramCheck check = CheckProgram("frobnictae", home_.traces());
  EXPECT_EQ(check.message, "frobnictae: not found in PATH. Did you mean frobnicate?");
  EXPECT_EQ(check.start_status(), 127);
  EXPECT_EQ(CheckProgram("entirely-else", home_.traces()).message, "entirely-else: not found in PATH.");
  EXPECT_EQ(CheckProgram("", home_.traces()).start_status(), 127);
}

TEST_F(ProgramCheckTest, PrefersALaterDirectoryToAFileThatMayNotBeExecuted) {
  Write("tool", "echo\n", 0644);
  const std::string second = home_.traces() + "/second";
  mkdir(second.c_str(), 0755);
  std::ofstream(second + "/tool") << "#!/bin/sh\n";
  chmod((second + "/tool").c_str(), 0755);
  EXPECT_EQ(CheckProgram("tool", home_.traces() + ":" + second).path, second + "/tool");
  EXPECT_EQ(CheckProgram("tool", home_.traces()).start_status(), 126);
}

TEST_F(ProgramCheckTest, RefusesProgramsThatGainPrivileges) {
  if (getuid() == 0) {
    const std::string path = Write("setuid", Elf("/lib64/ld-linux-x86-64.so.2", kOwn));
    ASSERT_EQ(chown(path.c_str(), 65534, 65534), 0);
    ASSERT_EQ(chmod(path.c_str(), 04755), 0);
    // /dev/shm may be mounted nosuid, and then nothing is gained.
    const ProgramVerdict verdict = VerdictOf(path);
    if (verdict != ProgramVerdict::kGainsPrivileges) GTEST_SKIP() << "nosuid here";
  } else {
    EXPECT_EQ(VerdictOf("/usr/bin/passwd"), ProgramVerdict::kGainsPrivileges);
  }
}

}  // namespace
}  // namespace socktale
