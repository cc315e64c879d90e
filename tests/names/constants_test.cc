// SPDX-License-Identifier: Apache-2.0
//
// Numbers to symbols: what each family of constants says for names, unknown numbers and combinations.

#include "viewer/names/constants.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <set>
#include <string>

#include "preload/abi/arena_abi.h"
#include "viewer/names/calls.h"
#include "viewer/names/files.h"
#include "viewer/names/options.h"
#include "viewer/names/sockets.h"

namespace socktale {
namespace {

constexpr Constant kTable[] = {{6, "BOTH"}, {1, "ONE"}, {2, "TWO"}, {4, "FOUR"}};

TEST(ConstantsTest, BitsWithoutANameBecomeAHexadecimalRest) {
  EXPECT_EQ(BitNames(kTable, 0), "0");
  EXPECT_EQ(BitNames(kTable, 1 | 4), "ONE|FOUR");
  EXPECT_EQ(BitNames(kTable, 1 | 2 | 4), "BOTH|ONE");
  EXPECT_EQ(BitNames(kTable, 2 | 0x80), "TWO|0x80");
  EXPECT_EQ(BitNames(kTable, 0x80000000), "0x80000000");
}

TEST(ConstantsTest, NumbersWithoutANameStayNumbers) {
  EXPECT_EQ(NameOrNumber(kTable, 2), "TWO");
  EXPECT_EQ(NameOrNumber(kTable, 3), "3");
  EXPECT_EQ(FindName(kTable, 3), nullptr);
}

TEST(CallNameTest, IsTheFunctionsName) {
  EXPECT_EQ(CallName(CALL_RECV), "recv");
  EXPECT_EQ(CallName(CALL_EPOLL_CREATE1), "epoll_create1");
  EXPECT_EQ(CallName(CALL_POSIX_SPAWN), "posix_spawn");
  EXPECT_EQ(CallName(CALL_EXIT), "_exit");
  EXPECT_EQ(CallName(CALL_SOCKET_SUMMARY), "socket summary");
  EXPECT_EQ(CallName(static_cast<Call>(199)), "call 199");
}

TEST(CallNameTest, EveryCallHasOneOfItsOwn) {
  const google::protobuf::EnumDescriptor& calls = *Call_descriptor();
  std::set<std::string> names;
  for (int i = 0; i < calls.value_count(); ++i) {
    const std::string name = CallName(static_cast<Call>(calls.value(i)->number()));
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_EQ(name.find("CALL_"), std::string::npos) << name;
  }
}

TEST(KindNameTest, IsAWordForEveryKind) {
  EXPECT_EQ(KindName(DESCRIPTOR_KIND_PIPE), "pipe");
  EXPECT_EQ(KindName(DESCRIPTOR_KIND_CHARACTER_DEVICE), "char device");
  EXPECT_EQ(KindName(DESCRIPTOR_KIND_UNKNOWN), "unknown");
  EXPECT_EQ(KindName(static_cast<DescriptorKind>(99)), "unknown");
}

TEST(ErrnoNameTest, IsTheSymbol) {
  EXPECT_EQ(ErrnoName(ECONNREFUSED), "ECONNREFUSED");
  EXPECT_EQ(ErrnoName(EAGAIN), "EAGAIN");
  EXPECT_EQ(ErrnoName(4095), "errno 4095");
}

TEST(SignalNameTest, IsTheSymbol) {
  EXPECT_EQ(SignalName(SIGSEGV), "SIGSEGV");
  EXPECT_EQ(SignalName(static_cast<uint32_t>(SIGRTMIN) + 3), "SIGRTMIN+3");
  EXPECT_EQ(SignalName(99), "signal 99");
}

// The names stand in the order of the causes; a cause added there must be added here.
TEST(DropCauseNameTest, FollowsTheSharedMemorysNumbers) {
  EXPECT_EQ(DropCauseName(abi::kDropFull), "full");
  EXPECT_EQ(DropCauseName(abi::kDropNested), "nested");
  EXPECT_EQ(DropCauseName(abi::kDropTooBig), "too big");
  EXPECT_EQ(DropCauseName(abi::kDropUnattached), "unattached");
  EXPECT_EQ(DropCauseName(abi::kDropNoSlot), "no slot");
  EXPECT_EQ(DropCauseName(abi::kDropShared), "shared");
  EXPECT_EQ(DropCauseName(abi::kDropConfined), "confined");
  EXPECT_EQ(DropCauseName(abi::kDropConfined + 1), "cause 7");
}

TEST(SocketNamesTest, NameFamiliesTypesAndProtocols) {
  EXPECT_EQ(FamilyName(AF_INET), "AF_INET");
  EXPECT_EQ(FamilyName(AF_UNIX), "AF_UNIX");
  EXPECT_EQ(FamilyName(99), "99");
  EXPECT_EQ(SocketTypeName(SOCK_STREAM), "SOCK_STREAM");
  EXPECT_EQ(SocketTypeName(SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK), "SOCK_DGRAM|SOCK_CLOEXEC|SOCK_NONBLOCK");
  EXPECT_EQ(SocketTypeName(9 | 0x10000), "9|0x10000");
  EXPECT_EQ(ProtocolNumberName(AF_INET6, IPPROTO_TCP), "IPPROTO_TCP");
  EXPECT_EQ(ProtocolNumberName(AF_NETLINK, 0), "NETLINK_ROUTE");
  EXPECT_EQ(ProtocolNumberName(AF_UNIX, 6), "6");
  EXPECT_EQ(MessageFlagNames(MSG_PEEK | MSG_DONTWAIT), "MSG_PEEK|MSG_DONTWAIT");
  EXPECT_EQ(ShutdownName(SHUT_WR), "SHUT_WR");
}

TEST(OptionNamesTest, DependOnTheLevel) {
  EXPECT_EQ(OptionLevelName(SOL_SOCKET), "SOL_SOCKET");
  EXPECT_EQ(OptionLevelName(IPPROTO_TCP), "IPPROTO_TCP");
  EXPECT_EQ(OptionName(SOL_SOCKET, SO_REUSEADDR), "SO_REUSEADDR");
  EXPECT_EQ(OptionName(IPPROTO_TCP, TCP_NODELAY), "TCP_NODELAY");
  EXPECT_EQ(OptionName(IPPROTO_IPV6, IPV6_V6ONLY), "IPV6_V6ONLY");
  EXPECT_EQ(OptionName(SOL_SOCKET, 9999), "9999");
  EXPECT_EQ(OptionName(12345, 1), "1");
}

template <typename T>
std::string Bytes(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

TEST(OptionValueTest, SpeaksTheOptionsLanguage) {
  EXPECT_EQ(OptionValue(SOL_SOCKET, SO_REUSEADDR, Bytes(1)), "1");
  EXPECT_EQ(OptionValue(SOL_SOCKET, SO_ERROR, Bytes(ECONNREFUSED)), "ECONNREFUSED");
  EXPECT_EQ(OptionValue(SOL_SOCKET, SO_ERROR, Bytes(0)), "0");
  EXPECT_EQ(OptionValue(SOL_SOCKET, SO_TYPE, Bytes<int>(SOCK_DGRAM)), "SOCK_DGRAM");
  EXPECT_EQ(OptionValue(SOL_SOCKET, SO_LINGER, Bytes(linger{1, 10})), "{1, 10}");
  EXPECT_EQ(OptionValue(SOL_SOCKET, SO_RCVTIMEO, Bytes(timeval{2, 500'000})), "2.5 s");
  EXPECT_EQ(OptionValue(IPPROTO_TCP, TCP_CONGESTION, std::string("cubic\0\0\0", 8)), "\"cubic\"");
  EXPECT_EQ(OptionValue(IPPROTO_IP, 4, "\xab\xcd\xef"), "0xabcdef");
  EXPECT_EQ(OptionValue(IPPROTO_IP, IP_TTL, std::string(1, '\x40')), "64");
  EXPECT_EQ(OptionValue(IPPROTO_IP, IP_MULTICAST_TTL, std::string(1, '\xff')), "255");
  // struct ip_mreq: 224.0.0.1 on 10.0.0.7.
  EXPECT_EQ(OptionValue(IPPROTO_IP, IP_ADD_MEMBERSHIP, std::string("\xe0\0\0\1\x0a\0\0\7", 8)), "0xe00000010a000007");
  EXPECT_EQ(OptionValue(SOL_SOCKET, SO_COOKIE, Bytes(uint64_t{0x1001})), "0x1001");
  EXPECT_EQ(OptionValue(SOL_SOCKET, SO_BINDTODEVICE, "e\xc2\x9bth"), "\"e\\xc2\\x9bth\"");
  EXPECT_EQ(OptionValue(SOL_SOCKET, SO_LINGER, "ab"), "0x6162");
  EXPECT_EQ(OptionValue(SOL_SOCKET, SO_REUSEADDR, ""), "");
}

TEST(FileNamesTest, AlwaysSayTheAccessMode) {
  EXPECT_EQ(OpenFlagNames(O_RDONLY), "O_RDONLY");
  EXPECT_EQ(OpenFlagNames(O_RDWR | O_CREAT | O_CLOEXEC), "O_RDWR|O_CREAT|O_CLOEXEC");
  EXPECT_EQ(OpenFlagNames(O_WRONLY | O_SYNC), "O_WRONLY|O_SYNC");
  EXPECT_EQ(OpenFlagNames(O_WRONLY | O_DSYNC), "O_WRONLY|O_DSYNC");
  EXPECT_EQ(StatusFlagNames(O_NONBLOCK | O_CLOEXEC), "O_NONBLOCK|O_CLOEXEC");
}

TEST(FileNamesTest, NameFcntlAndWaits) {
  EXPECT_EQ(FcntlCommandName(F_DUPFD_CLOEXEC), "F_DUPFD_CLOEXEC");
  EXPECT_EQ(FcntlCommandName(7777), "7777");
  EXPECT_EQ(DescriptorFlagNames(FD_CLOEXEC), "FD_CLOEXEC");
  EXPECT_EQ(PollEventNames(POLLIN | POLLHUP), "POLLIN|POLLHUP");
  EXPECT_EQ(EpollEventNames(EPOLLIN | EPOLLET), "EPOLLIN|EPOLLET");
  EXPECT_EQ(EpollOperationName(EPOLL_CTL_MOD), "EPOLL_CTL_MOD");
}

}  // namespace
}  // namespace socktale
