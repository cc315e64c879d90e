// SPDX-License-Identifier: Apache-2.0
#include "viewer/names/options.h"

#include <linux/netlink.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "viewer/names/calls.h"
#include "viewer/names/constants.h"
#include "viewer/names/printable.h"
#include "viewer/names/sockets.h"

namespace socktale {
namespace {

// SOL_UDP, SOL_TCP and SOL_IP are the protocol's numbers; SOL_SOCKET is 1, which is IPPROTO_ICMP's too.
constexpr Constant kLevels[] = {
    CONSTANT(SOL_SOCKET),   CONSTANT(IPPROTO_IP), CONSTANT(IPPROTO_TCP),  CONSTANT(IPPROTO_UDP),
    CONSTANT(IPPROTO_IPV6), CONSTANT(SOL_RAW),    CONSTANT(SOL_PACKET),   CONSTANT(SOL_NETLINK),
    CONSTANT(SOL_TLS),      CONSTANT(SOL_ALG),    CONSTANT(IPPROTO_SCTP), CONSTANT(IPPROTO_ICMPV6),
};

constexpr Constant kSocketOptions[] = {
    CONSTANT(SO_DEBUG),
    CONSTANT(SO_REUSEADDR),
    CONSTANT(SO_TYPE),
    CONSTANT(SO_ERROR),
    CONSTANT(SO_DONTROUTE),
    CONSTANT(SO_BROADCAST),
    CONSTANT(SO_SNDBUF),
    CONSTANT(SO_RCVBUF),
    CONSTANT(SO_KEEPALIVE),
    CONSTANT(SO_OOBINLINE),
    CONSTANT(SO_NO_CHECK),
    CONSTANT(SO_PRIORITY),
    CONSTANT(SO_LINGER),
    CONSTANT(SO_BSDCOMPAT),
    CONSTANT(SO_REUSEPORT),
    CONSTANT(SO_PASSCRED),
    CONSTANT(SO_PEERCRED),
    CONSTANT(SO_RCVLOWAT),
    CONSTANT(SO_SNDLOWAT),
    CONSTANT(SO_RCVTIMEO),
    CONSTANT(SO_SNDTIMEO),
    CONSTANT(SO_BINDTODEVICE),
    CONSTANT(SO_ATTACH_FILTER),
    CONSTANT(SO_DETACH_FILTER),
    CONSTANT(SO_PEERNAME),
    CONSTANT(SO_TIMESTAMP),
    CONSTANT(SO_ACCEPTCONN),
    CONSTANT(SO_PEERSEC),
    CONSTANT(SO_SNDBUFFORCE),
    CONSTANT(SO_RCVBUFFORCE),
    CONSTANT(SO_PASSSEC),
    CONSTANT(SO_TIMESTAMPNS),
    CONSTANT(SO_MARK),
    CONSTANT(SO_TIMESTAMPING),
    CONSTANT(SO_PROTOCOL),
    CONSTANT(SO_DOMAIN),
    CONSTANT(SO_RXQ_OVFL),
    CONSTANT(SO_WIFI_STATUS),
    CONSTANT(SO_PEEK_OFF),
    CONSTANT(SO_NOFCS),
    CONSTANT(SO_LOCK_FILTER),
    CONSTANT(SO_SELECT_ERR_QUEUE),
    CONSTANT(SO_BUSY_POLL),
    CONSTANT(SO_MAX_PACING_RATE),
    CONSTANT(SO_BPF_EXTENSIONS),
    CONSTANT(SO_INCOMING_CPU),
    CONSTANT(SO_ATTACH_BPF),
    CONSTANT(SO_ATTACH_REUSEPORT_CBPF),
    CONSTANT(SO_ATTACH_REUSEPORT_EBPF),
    CONSTANT(SO_CNX_ADVICE),
    CONSTANT(SO_MEMINFO),
    CONSTANT(SO_INCOMING_NAPI_ID),
    CONSTANT(SO_COOKIE),
    CONSTANT(SO_PEERGROUPS),
    CONSTANT(SO_ZEROCOPY),
    CONSTANT(SO_TXTIME),
    CONSTANT(SO_BINDTOIFINDEX),
    CONSTANT(SO_DETACH_REUSEPORT_BPF),
    CONSTANT(SO_PREFER_BUSY_POLL),
    CONSTANT(SO_BUSY_POLL_BUDGET),
    CONSTANT(SO_NETNS_COOKIE),
    CONSTANT(SO_BUF_LOCK),
};

constexpr Constant kIpOptions[] = {
    CONSTANT(IP_TOS),
    CONSTANT(IP_TTL),
    CONSTANT(IP_HDRINCL),
    CONSTANT(IP_OPTIONS),
    CONSTANT(IP_ROUTER_ALERT),
    CONSTANT(IP_RECVOPTS),
    CONSTANT(IP_RETOPTS),
    CONSTANT(IP_PKTINFO),
    CONSTANT(IP_PKTOPTIONS),
    CONSTANT(IP_MTU_DISCOVER),
    CONSTANT(IP_RECVERR),
    CONSTANT(IP_RECVTTL),
    CONSTANT(IP_RECVTOS),
    CONSTANT(IP_MTU),
    CONSTANT(IP_FREEBIND),
    CONSTANT(IP_IPSEC_POLICY),
    CONSTANT(IP_XFRM_POLICY),
    CONSTANT(IP_PASSSEC),
    CONSTANT(IP_TRANSPARENT),
    CONSTANT(IP_ORIGDSTADDR),
    CONSTANT(IP_MINTTL),
    CONSTANT(IP_NODEFRAG),
    CONSTANT(IP_CHECKSUM),
    CONSTANT(IP_BIND_ADDRESS_NO_PORT),
    CONSTANT(IP_RECVFRAGSIZE),
    CONSTANT(IP_MULTICAST_IF),
    CONSTANT(IP_MULTICAST_TTL),
    CONSTANT(IP_MULTICAST_LOOP),
    CONSTANT(IP_ADD_MEMBERSHIP),
    CONSTANT(IP_DROP_MEMBERSHIP),
    CONSTANT(IP_UNBLOCK_SOURCE),
    CONSTANT(IP_BLOCK_SOURCE),
    CONSTANT(IP_ADD_SOURCE_MEMBERSHIP),
    CONSTANT(IP_DROP_SOURCE_MEMBERSHIP),
    CONSTANT(IP_MSFILTER),
    CONSTANT(IP_MULTICAST_ALL),
    CONSTANT(IP_UNICAST_IF),
};

constexpr Constant kIpv6Options[] = {
    CONSTANT(IPV6_ADDRFORM),
    CONSTANT(IPV6_2292PKTINFO),
    CONSTANT(IPV6_2292HOPOPTS),
    CONSTANT(IPV6_2292DSTOPTS),
    CONSTANT(IPV6_2292RTHDR),
    CONSTANT(IPV6_2292PKTOPTIONS),
    CONSTANT(IPV6_CHECKSUM),
    CONSTANT(IPV6_2292HOPLIMIT),
    CONSTANT(IPV6_NEXTHOP),
    CONSTANT(IPV6_AUTHHDR),
    CONSTANT(IPV6_UNICAST_HOPS),
    CONSTANT(IPV6_MULTICAST_IF),
    CONSTANT(IPV6_MULTICAST_HOPS),
    CONSTANT(IPV6_MULTICAST_LOOP),
    CONSTANT(IPV6_JOIN_GROUP),
    CONSTANT(IPV6_LEAVE_GROUP),
    CONSTANT(IPV6_ROUTER_ALERT),
    CONSTANT(IPV6_MTU_DISCOVER),
    CONSTANT(IPV6_MTU),
    CONSTANT(IPV6_RECVERR),
    CONSTANT(IPV6_V6ONLY),
    CONSTANT(IPV6_JOIN_ANYCAST),
    CONSTANT(IPV6_LEAVE_ANYCAST),
    CONSTANT(IPV6_MULTICAST_ALL),
    CONSTANT(IPV6_ROUTER_ALERT_ISOLATE),
    CONSTANT(IPV6_IPSEC_POLICY),
    CONSTANT(IPV6_XFRM_POLICY),
    CONSTANT(IPV6_HDRINCL),
    CONSTANT(IPV6_RECVPKTINFO),
    CONSTANT(IPV6_PKTINFO),
    CONSTANT(IPV6_RECVHOPLIMIT),
    CONSTANT(IPV6_HOPLIMIT),
    CONSTANT(IPV6_RECVHOPOPTS),
    CONSTANT(IPV6_HOPOPTS),
    CONSTANT(IPV6_RTHDRDSTOPTS),
    CONSTANT(IPV6_RECVRTHDR),
    CONSTANT(IPV6_RTHDR),
    CONSTANT(IPV6_RECVDSTOPTS),
    CONSTANT(IPV6_DSTOPTS),
    CONSTANT(IPV6_RECVPATHMTU),
    CONSTANT(IPV6_PATHMTU),
    CONSTANT(IPV6_DONTFRAG),
    CONSTANT(IPV6_RECVTCLASS),
    CONSTANT(IPV6_TCLASS),
    CONSTANT(IPV6_AUTOFLOWLABEL),
    CONSTANT(IPV6_ADDR_PREFERENCES),
    CONSTANT(IPV6_MINHOPCOUNT),
    CONSTANT(IPV6_ORIGDSTADDR),
    CONSTANT(IPV6_TRANSPARENT),
    CONSTANT(IPV6_UNICAST_IF),
    CONSTANT(IPV6_RECVFRAGSIZE),
    CONSTANT(IPV6_FREEBIND),
};

constexpr Constant kTcpOptions[] = {
    CONSTANT(TCP_NODELAY),
    CONSTANT(TCP_MAXSEG),
    CONSTANT(TCP_CORK),
    CONSTANT(TCP_KEEPIDLE),
    CONSTANT(TCP_KEEPINTVL),
    CONSTANT(TCP_KEEPCNT),
    CONSTANT(TCP_SYNCNT),
    CONSTANT(TCP_LINGER2),
    CONSTANT(TCP_DEFER_ACCEPT),
    CONSTANT(TCP_WINDOW_CLAMP),
    CONSTANT(TCP_INFO),
    CONSTANT(TCP_QUICKACK),
    CONSTANT(TCP_CONGESTION),
    CONSTANT(TCP_MD5SIG),
    CONSTANT(TCP_COOKIE_TRANSACTIONS),
    CONSTANT(TCP_THIN_LINEAR_TIMEOUTS),
    CONSTANT(TCP_THIN_DUPACK),
    CONSTANT(TCP_USER_TIMEOUT),
    CONSTANT(TCP_REPAIR),
    CONSTANT(TCP_REPAIR_QUEUE),
    CONSTANT(TCP_QUEUE_SEQ),
    CONSTANT(TCP_REPAIR_OPTIONS),
    CONSTANT(TCP_FASTOPEN),
    CONSTANT(TCP_TIMESTAMP),
    CONSTANT(TCP_NOTSENT_LOWAT),
    CONSTANT(TCP_CC_INFO),
    CONSTANT(TCP_SAVE_SYN),
    CONSTANT(TCP_SAVED_SYN),
    CONSTANT(TCP_REPAIR_WINDOW),
    CONSTANT(TCP_FASTOPEN_CONNECT),
    CONSTANT(TCP_ULP),
    CONSTANT(TCP_MD5SIG_EXT),
    CONSTANT(TCP_FASTOPEN_KEY),
    CONSTANT(TCP_FASTOPEN_NO_COOKIE),
    CONSTANT(TCP_ZEROCOPY_RECEIVE),
    CONSTANT(TCP_INQ),
    CONSTANT(TCP_TX_DELAY),
};

constexpr Constant kUdpOptions[] = {
    CONSTANT(UDP_CORK),         CONSTANT(UDP_ENCAP),   CONSTANT(UDP_NO_CHECK6_TX),
    CONSTANT(UDP_NO_CHECK6_RX), CONSTANT(UDP_SEGMENT), CONSTANT(UDP_GRO),
};

constexpr Constant kNetlinkOptions[] = {
    CONSTANT(NETLINK_ADD_MEMBERSHIP),   CONSTANT(NETLINK_DROP_MEMBERSHIP), CONSTANT(NETLINK_PKTINFO),
    CONSTANT(NETLINK_BROADCAST_ERROR),  CONSTANT(NETLINK_NO_ENOBUFS),      CONSTANT(NETLINK_LISTEN_ALL_NSID),
    CONSTANT(NETLINK_LIST_MEMBERSHIPS), CONSTANT(NETLINK_CAP_ACK),         CONSTANT(NETLINK_EXT_ACK),
    CONSTANT(NETLINK_GET_STRICT_CHK),
};

constexpr Constant kTlsOptions[] = {CONSTANT(TLS_TX), CONSTANT(TLS_RX)};

Constants OptionsOf(uint32_t level) {
  switch (level) {
    case SOL_SOCKET:
      return kSocketOptions;
    case IPPROTO_IP:
      return kIpOptions;
    case IPPROTO_IPV6:
      return kIpv6Options;
    case IPPROTO_TCP:
      return kTcpOptions;
    case IPPROTO_UDP:
      return kUdpOptions;
    case SOL_NETLINK:
      return kNetlinkOptions;
    case SOL_TLS:
      return kTlsOptions;
    default:
      return {};
  }
}

// Reads a T off the value; false when it has another size.
template <typename T>
bool Read(absl::string_view value, T& out) {
  if (value.size() != sizeof out) return false;
  std::memcpy(&out, value.data(), sizeof out);
  return true;
}

}  // namespace

std::string OptionLevelName(uint32_t level) { return NameOrNumber(kLevels, level); }

std::string OptionName(uint32_t level, uint32_t option) { return NameOrNumber(OptionsOf(level), option); }

std::string OptionValue(uint32_t level, uint32_t option, absl::string_view value) {
  if (value.empty()) return "";
  if (level == SOL_SOCKET) {
    linger wait;
    if (option == SO_LINGER && Read(value, wait)) return absl::StrCat("{", wait.l_onoff, ", ", wait.l_linger, "}");
    timeval timeout;
    if ((option == SO_RCVTIMEO || option == SO_SNDTIMEO) && Read(value, timeout)) {
      return absl::StrCat(static_cast<double>(timeout.tv_sec) + static_cast<double>(timeout.tv_usec) / 1e6, " s");
    }
    ucred peer;
    if (option == SO_PEERCRED && Read(value, peer)) {
      return absl::StrCat("{pid=", peer.pid, ", uid=", peer.uid, ", gid=", peer.gid, "}");
    }
  }
  const bool text = (level == SOL_SOCKET && option == SO_BINDTODEVICE) ||
                    (level == IPPROTO_TCP && (option == TCP_CONGESTION || option == TCP_ULP));
  if (text) return Quoted({value.data(), std::min(value.find('\0'), value.size())});
  int number;
  if (Read(value, number)) {
    if (level == SOL_SOCKET && option == SO_ERROR) return number == 0 ? "0" : ErrnoName(static_cast<uint32_t>(number));
    if (level == SOL_SOCKET && option == SO_TYPE) return SocketTypeName(static_cast<uint32_t>(number));
    if (level == SOL_SOCKET && option == SO_DOMAIN) return FamilyName(static_cast<uint32_t>(number));
    return absl::StrCat(number);
  }
  uint64_t cookie;
  const bool is_cookie = level == SOL_SOCKET && (option == SO_COOKIE || option == SO_NETNS_COOKIE);
  if (is_cookie && Read(value, cookie)) return absl::StrFormat("%#x", cookie);
  if (value.size() == 1) return absl::StrCat(static_cast<unsigned char>(value[0]));
  return absl::StrCat("0x", absl::BytesToHexString(value.substr(0, 32)), value.size() > 32 ? "..." : "");
}

}  // namespace socktale
