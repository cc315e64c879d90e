// SPDX-License-Identifier: Apache-2.0
//
// struct sockaddr → comparable forms, also of bytes that are cut or no address at all.

#include "collector/aggregate/address.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/support/trace_builder.h"

namespace socktale {
namespace {

using testing::Inet;
using testing::Inet6;
using testing::Unix;

TEST(AddressTest, AnIpv4AddressEqualsItsMappedForm) {
  const auto plain = ParseInternetAddress(Inet("192.0.2.1", 443));
  const auto mapped = ParseInternetAddress(Inet6("::ffff:192.0.2.1", 443));
  ASSERT_TRUE(plain && mapped);
  EXPECT_EQ(plain->ip, mapped->ip);
  EXPECT_EQ(plain->port, 443);
  EXPECT_EQ(AddressKey(Inet("192.0.2.1", 443), "/"), AddressKey(Inet6("::ffff:192.0.2.1", 443), "/"));
  EXPECT_NE(AddressKey(Inet("192.0.2.1", 443), "/"), AddressKey(Inet("192.0.2.1", 444), "/"));
}

TEST(AddressTest, WildcardsAreAnyHost) {
  for (const std::string& any : {Inet("0.0.0.0", 80), Inet6("::", 80), Inet6("::ffff:0.0.0.0", 80)}) {
    const auto wildcard = ParseInternetAddress(any);
    ASSERT_TRUE(wildcard);
    EXPECT_TRUE(wildcard->IsWildcard());
    EXPECT_TRUE(SameHost(*wildcard, *ParseInternetAddress(Inet("192.0.2.1", 1))));
  }
  EXPECT_FALSE(SameHost(*ParseInternetAddress(Inet("192.0.2.2", 1)), *ParseInternetAddress(Inet("192.0.2.1", 1))));
}

// Whatever was cut off: no byte behind the end is read (the sanitizers watch), and half an address is none.
TEST(AddressTest, CutAddressesAreNone) {
  for (const std::string& whole : {Inet("192.0.2.1", 443), Inet6("2001:db8::1", 443), Unix("/run/x"), Unix("@x")}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      const std::string cut(whole.data(), size);
      const uint16_t family = AddressFamily(cut);
      EXPECT_EQ(family, size < 2 ? AF_UNSPEC : AddressFamily(whole));
      if (size < 8) {
        EXPECT_FALSE(ParseInternetAddress(cut)) << size;
      }
      UnixName(cut, "/cwd");
      AddressKey(cut, "/cwd");
    }
  }
  EXPECT_FALSE(ParseInternetAddress(Unix("/run/a-long-name-of-a-socket")));
}

TEST(UnixNameTest, RelativePathsBeginAtTheWorkingDirectory) {
  EXPECT_EQ(UnixName(Unix("x.sock"), "/run/app"), "/run/app/x.sock");
  EXPECT_EQ(UnixName(Unix("./../x.sock"), "/run/app"), "/run/x.sock");
  EXPECT_EQ(UnixName(Unix("/run//app/./x.sock"), "/"), "/run/app/x.sock");
  EXPECT_EQ(UnixName(Unix("/../../x.sock"), "/"), "/x.sock");
  EXPECT_EQ(UnixName(Unix("../x.sock"), ""), "../x.sock") << "where it begins is not known";
}

TEST(UnixNameTest, AbstractAndUnnamedSockets) {
  EXPECT_EQ(UnixName(Unix("@tale"), "/run"), std::string("\0tale", 5));
  EXPECT_EQ(UnixLabel(UnixName(Unix("@tale"), "/run")), "@tale");
  EXPECT_EQ(UnixLabel("/run/x.sock"), "/run/x.sock");
  EXPECT_EQ(UnixName(Unix(""), "/run"), "");
  EXPECT_EQ(UnixName(Unix("") + std::string(1, '\0'), "/run"), "");
  EXPECT_EQ(UnixName(Inet("127.0.0.1", 1), "/run"), "");
}

// Addresses of families that nobody takes apart are compared as they are.
TEST(AddressKeyTest, OtherFamiliesAreTheirBytes) {
  const std::string netlink = std::string("\x10\0", 2) + "abc";
  EXPECT_EQ(AddressKey(netlink, "/"), netlink);
  EXPECT_EQ(AddressKey("", "/"), "");
}

}  // namespace
}  // namespace socktale
