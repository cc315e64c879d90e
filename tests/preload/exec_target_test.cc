// SPDX-License-Identifier: Apache-2.0

#include "preload/hooks/exec_target.h"

#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace socktale {
namespace {

class ExecTargetTest : public testing::Test {
 protected:
  ExecTargetTest() {
    char name[] = "/tmp/exec_target_XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~ExecTargetTest() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& bytes, mode_t mode = 0755) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }

  // An ELF header with one program header: PT_INTERP with this loader's name, or none when it is empty.
  static std::string Elf(const std::string& loader, uint16_t machine = EM_X86_64, unsigned char elf_class = ELFCLASS64,
                         size_t program_headers_at = sizeof(Elf64_Ehdr)) {
    Elf64_Ehdr header = {};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = elf_class;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_machine = machine;
    header.e_phoff = program_headers_at;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 1;
    Elf64_Phdr segment = {};
    segment.p_type = loader.empty() ? PT_LOAD : PT_INTERP;
    segment.p_offset = program_headers_at + sizeof segment;
    segment.p_filesz = loader.size() + 1;
    std::string bytes(program_headers_at, '\0');
    std::memcpy(bytes.data(), &header, sizeof header);
    bytes.append(reinterpret_cast<const char*>(&segment), sizeof segment);
    return bytes + loader + '\0';
  }

  static ExecTarget Inspect(const std::string& path) {
    InspectScratch scratch;
    return InspectTarget(AT_FDCWD, path.c_str(), scratch);
  }
  static ExecTarget InspectOnPath(const std::string& name) {
    InspectScratch scratch;
    return InspectTargetOnPath(name.c_str(), scratch);
  }

  std::string folder_;
};

constexpr char kGlibc[] = "/lib64/ld-linux-x86-64.so.2";

TEST_F(ExecTargetTest, GivesTheShimToDynamicPrograms) {
  EXPECT_EQ(Inspect("/bin/true"), ExecTarget::kLoadable);
#if defined(__SANITIZE_ADDRESS__)
  EXPECT_EQ(Inspect("/proc/self/exe"), ExecTarget::kLoadableAsan);  // this program is such a one
#else
  EXPECT_EQ(Inspect("/proc/self/exe"), ExecTarget::kLoadable);
#endif
  EXPECT_EQ(Inspect(Write("far", Elf(kGlibc, EM_X86_64, ELFCLASS64, 70'000))), ExecTarget::kLoadable);
}

// A dynamic section behind the loader's name, whose first library is this one; the strings begin at an address.
std::string ElfThatNeeds(const std::string& library) {
  constexpr char kLoader[] = "/lib64/ld-linux-x86-64.so.2";
  constexpr uint64_t kAddress = 0x400000;
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_machine = EM_X86_64;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 3;
  const uint64_t loader_at = sizeof header + 3 * sizeof(Elf64_Phdr);
  const uint64_t dynamic_at = loader_at + sizeof kLoader;
  const uint64_t strings_at = dynamic_at + 4 * sizeof(Elf64_Dyn);
  Elf64_Phdr segments[3] = {};
  segments[0].p_type = PT_LOAD;
  segments[0].p_vaddr = kAddress;
  segments[0].p_filesz = strings_at + 2 + library.size();
  segments[1].p_type = PT_INTERP;
  segments[1].p_offset = loader_at;
  segments[1].p_filesz = sizeof kLoader;
  segments[2].p_type = PT_DYNAMIC;
  segments[2].p_offset = dynamic_at;
  segments[2].p_filesz = 4 * sizeof(Elf64_Dyn);
  Elf64_Dyn dynamic[4] = {};
  dynamic[0].d_tag = DT_NEEDED;
  dynamic[0].d_un.d_val = 1;
  dynamic[1].d_tag = DT_NEEDED;  // the empty name
  dynamic[2].d_tag = DT_STRTAB;
  dynamic[2].d_un.d_ptr = kAddress + strings_at;
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes.append(reinterpret_cast<const char*>(segments), sizeof segments);
  bytes.append(kLoader, sizeof kLoader);
  bytes.append(reinterpret_cast<const char*>(dynamic), sizeof dynamic);
  return bytes + '\0' + library + '\0';
}

TEST_F(ExecTargetTest, KnowsAddressSanitizersLibrary) {
  EXPECT_EQ(Inspect(Write("asan", ElfThatNeeds("libasan.so.8"))), ExecTarget::kLoadableAsan);
  EXPECT_EQ(Inspect(Write("other", ElfThatNeeds("libasana.so.8"))), ExecTarget::kLoadable);
  EXPECT_EQ(Inspect(Write("short", ElfThatNeeds("x"))), ExecTarget::kLoadable);
  const std::string whole = ElfThatNeeds("libasan.so.8");
  for (size_t size = 0; size < whole.size(); ++size) Inspect(Write("cut", whole.substr(0, size)));
}

TEST_F(ExecTargetTest, KnowsWhatCannotLoadTheShim) {
  EXPECT_EQ(Inspect(Write("static", Elf(""))), ExecTarget::kDeaf);
  EXPECT_EQ(Inspect(Write("musl", Elf("/lib/ld-musl-x86_64.so.1"))), ExecTarget::kHostile);
  EXPECT_EQ(Inspect(Write("narrow", Elf("/lib/ld-linux.so.2", EM_386, ELFCLASS32))), ExecTarget::kHostile);
  EXPECT_EQ(Inspect(Write("arm", Elf("/lib/ld-linux-aarch64.so.1", EM_AARCH64))), ExecTarget::kHostile);
}

TEST_F(ExecTargetTest, FollowsScriptsToTheirInterpreter) {
  const std::string musl = Write("musl", Elf("/lib/ld-musl-x86_64.so.1"));
  const std::string script = Write("script", "#! \t" + musl + " -x\n");
  EXPECT_EQ(Inspect(script), ExecTarget::kHostile);
  EXPECT_EQ(Inspect(Write("of_a_script", "#!" + script + "\n")), ExecTarget::kHostile);
  EXPECT_EQ(Inspect(Write("shell", "#!/bin/sh\n")), ExecTarget::kLoadable);
  const std::string self = folder_ + "/loop";
  EXPECT_EQ(Inspect(Write("loop", "#!" + self + "\n")), ExecTarget::kLoadable);  // ELOOP is the kernel's to say
  EXPECT_EQ(Inspect(Write("empty_line", "#!\n")), ExecTarget::kLoadable);
  EXPECT_EQ(Inspect(Write("endless_line", "#!" + std::string(5000, 'x'))), ExecTarget::kLoadable);
}

TEST_F(ExecTargetTest, LeavesSetUserIdProgramsOfOthersAlone) {
  const std::string mine = Write("mine", Elf(kGlibc), 04755);
  EXPECT_EQ(Inspect(mine), ExecTarget::kLoadable);
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  const std::string others = Write("others", Elf(kGlibc));
  ASSERT_EQ(chown(others.c_str(), 12345, 12345), 0);
  ASSERT_EQ(chmod(others.c_str(), 04755), 0);
  EXPECT_EQ(Inspect(others), ExecTarget::kDeaf);
  ASSERT_EQ(chmod(others.c_str(), 02755), 0);
  EXPECT_EQ(Inspect(others), ExecTarget::kDeaf);
  ASSERT_EQ(chmod(others.c_str(), 02745), 0);  // without group execution it is a lock bit, not a set-group-id program
  EXPECT_EQ(Inspect(others), ExecTarget::kLoadable);
}

TEST_F(ExecTargetTest, SaysNothingAgainstWhatItCannotRead) {
  EXPECT_EQ(Inspect(folder_ + "/nothing"), ExecTarget::kLoadable);
  EXPECT_EQ(Inspect(folder_), ExecTarget::kLoadable);
  EXPECT_EQ(Inspect("/dev/zero"), ExecTarget::kLoadable);
  const std::string elf = Elf(kGlibc);
  for (size_t size = 0; size < elf.size(); ++size) {
    EXPECT_NE(Inspect(Write("cut", elf.substr(0, size))), ExecTarget::kHostile) << size;
  }
  const std::string fifo = folder_ + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0755), 0);
  EXPECT_EQ(Inspect(fifo), ExecTarget::kLoadable);  // and does not wait for a writer
}

TEST_F(ExecTargetTest, SearchesPathAsExecvpDoes) {
  Write("program", Elf(kGlibc), 0644);  // found first, but not executable
  std::filesystem::create_directory(folder_ + "/later");
  Write("later/program", Elf("/lib/ld-musl-x86_64.so.1"));
  const std::string before = getenv("PATH");
  ASSERT_EQ(setenv("PATH", ("/nowhere:" + folder_ + ":" + folder_ + "/later").c_str(), 1), 0);
  EXPECT_EQ(InspectOnPath("program"), ExecTarget::kHostile);
  EXPECT_EQ(InspectOnPath("nothing"), ExecTarget::kLoadable);
  EXPECT_EQ(InspectOnPath(""), ExecTarget::kLoadable);
  EXPECT_EQ(InspectOnPath(folder_ + "/later/program"), ExecTarget::kHostile);
  ASSERT_EQ(setenv("PATH", before.c_str(), 1), 0);
}

TEST_F(ExecTargetTest, AProgramThatWouldLoadAShimOutOfReachIsNotToKnowOfIt) {
  EXPECT_EQ(InReach(ExecTarget::kLoadable, "/proc/self/exe"), ExecTarget::kLoadable);
  EXPECT_EQ(InReach(ExecTarget::kLoadable, "/nowhere"), ExecTarget::kHostile);
  EXPECT_EQ(InReach(ExecTarget::kDeaf, "/nowhere"), ExecTarget::kDeaf);
}

TEST_F(ExecTargetTest, LeavesNoDescriptorOpen) {
  const int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(close(before), 0);
  Inspect("/proc/self/exe");
  Inspect(Write("shell", "#!/bin/sh\n"));
  EXPECT_TRUE(FileIsReadable("/proc/self/exe"));
  EXPECT_FALSE(FileIsReadable("/nowhere"));
  const int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(close(after), 0);
  EXPECT_EQ(before, after);
}

}  // namespace
}  // namespace socktale
