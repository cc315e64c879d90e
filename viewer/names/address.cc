// SPDX-License-Identifier: Apache-2.0
#include "viewer/names/address.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "viewer/names/printable.h"

namespace socktale {
namespace {

// Copies the address into its structure, which the recorded bytes need not be aligned for. needed: bytes without which
// it means nothing.
template <typename T>
absl::Status Copy(absl::string_view bytes, size_t needed, const char* family, T& address) {
  if (bytes.size() < needed) {
    return absl::DataLossError(absl::StrCat("an ", family, " address of ", bytes.size(), " bytes; it needs ", needed));
  }
  std::memset(&address, 0, sizeof address);
  std::memcpy(&address, bytes.data(), std::min(bytes.size(), sizeof address));
  return absl::OkStatus();
}

std::string Ipv4(const in_addr& address, in_port_t port) {
  char text[INET_ADDRSTRLEN] = "";
  inet_ntop(AF_INET, &address, text, sizeof text);
  return absl::StrCat(text, ":", ntohs(port));
}

std::string Ipv6(const sockaddr_in6& address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
  // The interface by number: its name belongs to the machine and the moment of the recording.
  const std::string scope = address.sin6_scope_id != 0 ? absl::StrCat("%", address.sin6_scope_id) : "";
  return absl::StrCat("[", text, scope, "]:", ntohs(address.sin6_port));
}

// unix(7): nothing behind the family is an unnamed socket, a leading 0 the abstract namespace, where every byte counts.
std::string Unix(absl::string_view bytes) {
  absl::string_view name = bytes.substr(offsetof(sockaddr_un, sun_path));
  if (name.empty()) return "-";
  if (name[0] == '\0') return absl::StrCat("@", Printable({name.data() + 1, name.size() - 1}));
  return Printable({name.data(), std::min(name.find('\0'), name.size())});
}

uint16_t FamilyOf(absl::string_view bytes) {
  sa_family_t family = AF_UNSPEC;
  if (bytes.size() >= sizeof family) std::memcpy(&family, bytes.data(), sizeof family);
  return family;
}

}  // namespace

absl::StatusOr<std::string> FormatAddress(absl::string_view sockaddr_bytes) {
  if (sockaddr_bytes.empty()) return "-";
  if (sockaddr_bytes.size() < sizeof(sa_family_t)) {
    return absl::DataLossError("an address of 1 byte; its family alone takes 2");
  }
  const uint16_t family = FamilyOf(sockaddr_bytes);
  switch (family) {
    case AF_UNSPEC:
      return "-";
    case AF_INET: {
      sockaddr_in address;
      RETURN_IF_ERROR(Copy(sockaddr_bytes, offsetof(sockaddr_in, sin_zero), "AF_INET", address));
      return Ipv4(address.sin_addr, address.sin_port);
    }
    case AF_INET6: {
      sockaddr_in6 address;
      // RFC 2133's structure, which the kernel still takes, has no scope id.
      RETURN_IF_ERROR(Copy(sockaddr_bytes, offsetof(sockaddr_in6, sin6_scope_id), "AF_INET6", address));
      return Ipv6(address);
    }
    case AF_UNIX:
      return Unix(sockaddr_bytes);
    case AF_NETLINK: {
      sockaddr_nl address;
      RETURN_IF_ERROR(Copy(sockaddr_bytes, sizeof address, "AF_NETLINK", address));
      return address.nl_pid == 0 ? "netlink:kernel" : absl::StrCat("netlink:", address.nl_pid);
    }
    case AF_VSOCK: {
      sockaddr_vm address;
      RETURN_IF_ERROR(Copy(sockaddr_bytes, offsetof(sockaddr_vm, svm_zero), "AF_VSOCK", address));
      return absl::StrCat("vsock:", address.svm_cid, ":", address.svm_port);
    }
    default:
      return absl::StrCat("family ", family);
  }
}

std::string DescribeAddress(absl::string_view sockaddr_bytes) {
  const uint16_t family = FamilyOf(sockaddr_bytes);
  in_addr ipv4;
  in_port_t port;
  if (family == AF_INET && sockaddr_bytes.size() >= offsetof(sockaddr_in, sin_zero)) {
    std::memcpy(&port, sockaddr_bytes.data() + offsetof(sockaddr_in, sin_port), sizeof port);
    std::memcpy(&ipv4, sockaddr_bytes.data() + offsetof(sockaddr_in, sin_addr), sizeof ipv4);
  } else if (family == AF_INET6 && sockaddr_bytes.size() >= offsetof(sockaddr_in6, sin6_scope_id)) {
    in6_addr ipv6;
    std::memcpy(&port, sockaddr_bytes.data() + offsetof(sockaddr_in6, sin6_port), sizeof port);
    std::memcpy(&ipv6, sockaddr_bytes.data() + offsetof(sockaddr_in6, sin6_addr), sizeof ipv6);
    if (IN6_IS_ADDR_LOOPBACK(&ipv6)) return absl::StrCat("localhost:", ntohs(port));
    if (IN6_IS_ADDR_UNSPECIFIED(&ipv6)) return absl::StrCat("*:", ntohs(port));
    if (!IN6_IS_ADDR_V4MAPPED(&ipv6)) return FormatAddress(sockaddr_bytes).value();
    std::memcpy(&ipv4, ipv6.s6_addr + 12, sizeof ipv4);
  } else {
    return FormatAddress(sockaddr_bytes).value_or("?");
  }
  if (ntohl(ipv4.s_addr) == INADDR_LOOPBACK) return absl::StrCat("localhost:", ntohs(port));
  if (ipv4.s_addr == INADDR_ANY) return absl::StrCat("*:", ntohs(port));
  return Ipv4(ipv4, port);
}

}  // namespace socktale
