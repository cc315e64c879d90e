// SPDX-License-Identifier: Apache-2.0
//
// struct sockaddr → comparable forms. The bytes come from a trace: nothing in them is trusted.

#include "collector/aggregate/address.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace socktale {
namespace {

constexpr std::array<uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

uint16_t BigEndian16(const char* bytes) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[0]) << 8 | static_cast<uint8_t>(bytes[1]));
}

// "." and empty parts go, ".." takes its parent along. Symbolic links stay what they are.
std::string CleanPath(absl::string_view path) {
  std::vector<absl::string_view> kept;
  for (const absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    if (part == ".." && !kept.empty() && kept.back() != "..") {
      kept.pop_back();
    } else if (part != ".." || path[0] != '/') {
      kept.push_back(part);
    }
  }
  return absl::StrCat(path[0] == '/' ? "/" : "", absl::StrJoin(kept, "/"));
}

}  // namespace

bool InternetAddress::IsWildcard() const {
  const bool mapped = std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), ip.begin());
  return std::all_of(ip.begin() + (mapped ? 12 : 0), ip.end(), [](uint8_t byte) { return byte == 0; });
}

uint16_t AddressFamily(absl::string_view sockaddr_bytes) {
  uint16_t family = AF_UNSPEC;
  if (sockaddr_bytes.size() >= sizeof(family)) std::memcpy(&family, sockaddr_bytes.data(), sizeof(family));
  return family;
}

std::optional<InternetAddress> ParseInternetAddress(absl::string_view sockaddr_bytes) {
  const uint16_t family = AddressFamily(sockaddr_bytes);
  InternetAddress address;
  if (family == AF_INET && sockaddr_bytes.size() >= offsetof(sockaddr_in, sin_zero)) {
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), address.ip.begin());
    std::memcpy(&address.ip[12], sockaddr_bytes.data() + offsetof(sockaddr_in, sin_addr), 4);
  } else if (family == AF_INET6 && sockaddr_bytes.size() >= offsetof(sockaddr_in6, sin6_scope_id)) {
    std::memcpy(address.ip.data(), sockaddr_bytes.data() + offsetof(sockaddr_in6, sin6_addr), 16);
  } else {
    return std::nullopt;
  }
  address.port = BigEndian16(sockaddr_bytes.data() + offsetof(sockaddr_in, sin_port));
  return address;
}

bool SameHost(const InternetAddress& a, const InternetAddress& b) {
  return a.ip == b.ip || a.IsWildcard() || b.IsWildcard();
}

std::string UnixName(absl::string_view sockaddr_bytes, absl::string_view cwd) {
  if (AddressFamily(sockaddr_bytes) != AF_UNIX) return "";
  const absl::string_view path = sockaddr_bytes.substr(offsetof(sockaddr_un, sun_path));
  if (path.empty()) return "";
  if (path[0] == '\0') return path.size() == 1 ? "" : std::string(path);
  const absl::string_view name = path.substr(0, path.find('\0'));
  return CleanPath(name[0] == '/' || cwd.empty() ? std::string(name) : absl::StrCat(cwd, "/", name));
}

std::string UnixLabel(absl::string_view unix_name) {
  if (unix_name.empty() || unix_name[0] != '\0') return std::string(unix_name);
  return absl::StrCat("@", unix_name.substr(1));
}

std::string AddressKey(absl::string_view sockaddr_bytes, absl::string_view cwd) {
  if (const auto internet = ParseInternetAddress(sockaddr_bytes)) {
    std::string key(reinterpret_cast<const char*>(internet->ip.data()), internet->ip.size());
    key.push_back(static_cast<char>(internet->port >> 8));
    key.push_back(static_cast<char>(internet->port & 0xff));
    return key;
  }
  if (AddressFamily(sockaddr_bytes) == AF_UNIX) return UnixName(sockaddr_bytes, cwd);
  return std::string(sockaddr_bytes);
}

}  // namespace socktale
