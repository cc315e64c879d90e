// SPDX-License-Identifier: Apache-2.0
//
// Addresses as text: as ss(8) prints them, in a reader's words, and what becomes of bytes that are no address.

#include "viewer/names/address.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string>

namespace socktale {
namespace {

using ::testing::HasSubstr;

template <typename T>
std::string Bytes(const T& address, size_t size = sizeof(T)) {
  return std::string(reinterpret_cast<const char*>(&address), size);
}

std::string Inet(const char* ip, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET, ip, &address.sin_addr), 1);
  return Bytes(address);
}

std::string Inet6(const char* ip, uint16_t port, uint32_t scope = 0) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_scope_id = scope;
  EXPECT_EQ(inet_pton(AF_INET6, ip, &address.sin6_addr), 1);
  return Bytes(address);
}

std::string Unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return Bytes(address, offsetof(sockaddr_un, sun_path) + path.size());
}

TEST(FormatAddressTest, WritesAddressesAsSsDoes) {
  EXPECT_EQ(*FormatAddress(Inet("192.0.2.1", 443)), "192.0.2.1:443");
  EXPECT_EQ(*FormatAddress(Inet("0.0.0.0", 0)), "0.0.0.0:0");
  EXPECT_EQ(*FormatAddress(Inet6("2001:db8::1", 443)), "[2001:db8::1]:443");
  EXPECT_EQ(*FormatAddress(Inet6("fe80::1", 22, 3)), "[fe80::1%3]:22");
  EXPECT_EQ(*FormatAddress(Unix(std::string("/run/x.sock\0", 12))), "/run/x.sock");
  EXPECT_EQ(*FormatAddress(Unix("/run/x.sock")), "/run/x.sock");
  EXPECT_EQ(*FormatAddress(Unix(std::string("\0name", 5))), "@name");
  EXPECT_EQ(*FormatAddress(""), "-");
  EXPECT_EQ(*FormatAddress(Unix("")), "-");
}

TEST(FormatAddressTest, ShowsEveryByteOfAnAbstractNameAndNothingThatATerminalWouldObey) {
  EXPECT_EQ(*FormatAddress(Unix(std::string("\0a\0z", 4))), "@a\\x00z");
  EXPECT_EQ(*FormatAddress(Unix("/tmp/\x1b[2J")), "/tmp/\\x1b[2J");
  EXPECT_EQ(*FormatAddress(Unix("/tmp/\xc2\x9b"
                                "2J\xe9")),
            "/tmp/\\xc2\\x9b2J\\xe9");  // C1's ESC [, and Latin-1
  EXPECT_EQ(*FormatAddress(Unix("/tmp/\xc3\xa4")), "/tmp/\xc3\xa4");
}

TEST(FormatAddressTest, NamesNetlinkAndVsock) {
  sockaddr_nl netlink{};
  netlink.nl_family = AF_NETLINK;
  EXPECT_EQ(*FormatAddress(Bytes(netlink)), "netlink:kernel");
  netlink.nl_pid = 77;
  EXPECT_EQ(*FormatAddress(Bytes(netlink)), "netlink:77");
  sockaddr_vm vsock{};
  vsock.svm_family = AF_VSOCK;
  vsock.svm_cid = 2;
  vsock.svm_port = 1024;
  EXPECT_EQ(*FormatAddress(Bytes(vsock)), "vsock:2:1024");
}

TEST(FormatAddressTest, SaysTheFamilyThatItCannotFormat) {
  sockaddr address{};
  address.sa_family = AF_ALG;
  EXPECT_EQ(*FormatAddress(Bytes(address)), "family 38");
}

TEST(FormatAddressTest, RefusesAddressesThatAreTooShort) {
  const std::string whole = Inet6("::1", 80);
  for (size_t size = 2; size < offsetof(sockaddr_in6, sin6_scope_id); ++size) {
    EXPECT_EQ(FormatAddress(whole.substr(0, size)).status().code(), absl::StatusCode::kDataLoss) << size;
  }
  EXPECT_TRUE(FormatAddress(whole.substr(0, offsetof(sockaddr_in6, sin6_scope_id))).ok());
  EXPECT_EQ(FormatAddress("x").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(FormatAddress(Inet("10.0.0.1", 1).substr(0, 6)).status().message()),
              HasSubstr("6 bytes; it needs 8"));
}

// Any prefix of any family's bytes is text or an error, never a crash: also run under the sanitizers.
TEST(FormatAddressTest, TakesAnyBytes) {
  for (uint16_t family = 0; family < 64; ++family) {
    std::string bytes(130, '\xff');
    std::memcpy(bytes.data(), &family, sizeof family);
    for (size_t size = 0; size <= bytes.size(); ++size) {
      // An exact copy, so that reading past its end is seen.
      const std::string cut(bytes.data(), size);
      FormatAddress(cut).IgnoreError();
      EXPECT_FALSE(DescribeAddress(cut).empty());
    }
  }
}

TEST(DescribeAddressTest, SaysLocalhostAndStar) {
  EXPECT_EQ(DescribeAddress(Inet("127.0.0.1", 8080)), "localhost:8080");
  EXPECT_EQ(DescribeAddress(Inet6("::1", 8080)), "localhost:8080");
  EXPECT_EQ(DescribeAddress(Inet6("::ffff:127.0.0.1", 8080)), "localhost:8080");
  EXPECT_EQ(DescribeAddress(Inet("0.0.0.0", 80)), "*:80");
  EXPECT_EQ(DescribeAddress(Inet6("::", 80)), "*:80");
}

TEST(DescribeAddressTest, KeepsOtherAddressesApart) {
  EXPECT_EQ(DescribeAddress(Inet("127.0.0.53", 53)), "127.0.0.53:53");
  EXPECT_EQ(DescribeAddress(Inet("10.0.0.7", 5432)), "10.0.0.7:5432");
  EXPECT_EQ(DescribeAddress(Inet6("::ffff:10.0.0.7", 5432)), "10.0.0.7:5432");
  EXPECT_EQ(DescribeAddress(Inet6("2001:db8::1", 443)), "[2001:db8::1]:443");
  EXPECT_EQ(DescribeAddress(Unix("/run/db.sock")), "/run/db.sock");
  EXPECT_EQ(DescribeAddress(""), "-");
  EXPECT_EQ(DescribeAddress("\x02"), "?");
}

}  // namespace
}  // namespace socktale
