// SPDX-License-Identifier: Apache-2.0
#include "viewer/names/sockets.h"

#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "viewer/names/constants.h"

namespace socktale {
namespace {

constexpr Constant kFamilies[] = {
    CONSTANT(AF_UNSPEC),    CONSTANT(AF_UNIX),       CONSTANT(AF_INET),    CONSTANT(AF_AX25),    CONSTANT(AF_IPX),
    CONSTANT(AF_APPLETALK), CONSTANT(AF_NETROM),     CONSTANT(AF_BRIDGE),  CONSTANT(AF_ATMPVC),  CONSTANT(AF_X25),
    CONSTANT(AF_INET6),     CONSTANT(AF_ROSE),       CONSTANT(AF_DECnet),  CONSTANT(AF_NETBEUI), CONSTANT(AF_SECURITY),
    CONSTANT(AF_KEY),       CONSTANT(AF_NETLINK),    CONSTANT(AF_PACKET),  CONSTANT(AF_ASH),     CONSTANT(AF_ECONET),
    CONSTANT(AF_ATMSVC),    CONSTANT(AF_RDS),        CONSTANT(AF_SNA),     CONSTANT(AF_IRDA),    CONSTANT(AF_PPPOX),
    CONSTANT(AF_WANPIPE),   CONSTANT(AF_LLC),        CONSTANT(AF_IB),      CONSTANT(AF_MPLS),    CONSTANT(AF_CAN),
    CONSTANT(AF_TIPC),      CONSTANT(AF_BLUETOOTH),  CONSTANT(AF_IUCV),    CONSTANT(AF_RXRPC),   CONSTANT(AF_ISDN),
    CONSTANT(AF_PHONET),    CONSTANT(AF_IEEE802154), CONSTANT(AF_CAIF),    CONSTANT(AF_ALG),     CONSTANT(AF_NFC),
    CONSTANT(AF_VSOCK),     CONSTANT(AF_KCM),        CONSTANT(AF_QIPCRTR), CONSTANT(AF_SMC),     CONSTANT(AF_XDP),
};

constexpr Constant kTypes[] = {
    CONSTANT(SOCK_STREAM),    CONSTANT(SOCK_DGRAM), CONSTANT(SOCK_RAW),    CONSTANT(SOCK_RDM),
    CONSTANT(SOCK_SEQPACKET), CONSTANT(SOCK_DCCP),  CONSTANT(SOCK_PACKET),
};
constexpr Constant kTypeFlags[] = {CONSTANT(SOCK_CLOEXEC), CONSTANT(SOCK_NONBLOCK)};
// The kernel's SOCK_TYPE_MASK (include/linux/net.h): the rest of the argument is flags.
constexpr uint32_t kTypeMask = 0xf;

constexpr Constant kProtocols[] = {
    CONSTANT(IPPROTO_IP),     CONSTANT(IPPROTO_ICMP),     CONSTANT(IPPROTO_IGMP),   CONSTANT(IPPROTO_IPIP),
    CONSTANT(IPPROTO_TCP),    CONSTANT(IPPROTO_EGP),      CONSTANT(IPPROTO_PUP),    CONSTANT(IPPROTO_UDP),
    CONSTANT(IPPROTO_IDP),    CONSTANT(IPPROTO_TP),       CONSTANT(IPPROTO_DCCP),   CONSTANT(IPPROTO_IPV6),
    CONSTANT(IPPROTO_RSVP),   CONSTANT(IPPROTO_GRE),      CONSTANT(IPPROTO_ESP),    CONSTANT(IPPROTO_AH),
    CONSTANT(IPPROTO_ICMPV6), CONSTANT(IPPROTO_MTP),      CONSTANT(IPPROTO_BEETPH), CONSTANT(IPPROTO_ENCAP),
    CONSTANT(IPPROTO_PIM),    CONSTANT(IPPROTO_COMP),     CONSTANT(IPPROTO_SCTP),   CONSTANT(IPPROTO_UDPLITE),
    CONSTANT(IPPROTO_MPLS),   CONSTANT(IPPROTO_ETHERNET), CONSTANT(IPPROTO_RAW),    CONSTANT(IPPROTO_MPTCP),
};

constexpr Constant kNetlinkProtocols[] = {
    CONSTANT(NETLINK_ROUTE),      CONSTANT(NETLINK_USERSOCK),      CONSTANT(NETLINK_FIREWALL),
    CONSTANT(NETLINK_SOCK_DIAG),  CONSTANT(NETLINK_NFLOG),         CONSTANT(NETLINK_XFRM),
    CONSTANT(NETLINK_SELINUX),    CONSTANT(NETLINK_ISCSI),         CONSTANT(NETLINK_AUDIT),
    CONSTANT(NETLINK_FIB_LOOKUP), CONSTANT(NETLINK_CONNECTOR),     CONSTANT(NETLINK_NETFILTER),
    CONSTANT(NETLINK_IP6_FW),     CONSTANT(NETLINK_DNRTMSG),       CONSTANT(NETLINK_KOBJECT_UEVENT),
    CONSTANT(NETLINK_GENERIC),    CONSTANT(NETLINK_SCSITRANSPORT), CONSTANT(NETLINK_ECRYPTFS),
    CONSTANT(NETLINK_RDMA),       CONSTANT(NETLINK_CRYPTO),        CONSTANT(NETLINK_SMC),
};

constexpr Constant kMessageFlags[] = {
    CONSTANT(MSG_OOB),          CONSTANT(MSG_PEEK),     CONSTANT(MSG_DONTROUTE), CONSTANT(MSG_CTRUNC),
    CONSTANT(MSG_PROXY),        CONSTANT(MSG_TRUNC),    CONSTANT(MSG_DONTWAIT),  CONSTANT(MSG_EOR),
    CONSTANT(MSG_WAITALL),      CONSTANT(MSG_FIN),      CONSTANT(MSG_SYN),       CONSTANT(MSG_CONFIRM),
    CONSTANT(MSG_RST),          CONSTANT(MSG_ERRQUEUE), CONSTANT(MSG_NOSIGNAL),  CONSTANT(MSG_MORE),
    CONSTANT(MSG_WAITFORONE),   CONSTANT(MSG_BATCH),    CONSTANT(MSG_ZEROCOPY),  CONSTANT(MSG_FASTOPEN),
    CONSTANT(MSG_CMSG_CLOEXEC),
};

constexpr Constant kShutdowns[] = {CONSTANT(SHUT_RD), CONSTANT(SHUT_WR), CONSTANT(SHUT_RDWR)};

}  // namespace

std::string FamilyName(uint32_t domain) { return NameOrNumber(kFamilies, domain); }

std::string SocketTypeName(uint32_t type) {
  const std::string name = NameOrNumber(kTypes, type & kTypeMask);
  const uint32_t flags = type & ~kTypeMask;
  return flags == 0 ? name : absl::StrCat(name, "|", BitNames(kTypeFlags, flags));
}

std::string ProtocolNumberName(uint32_t domain, uint32_t protocol) {
  if (domain == AF_INET || domain == AF_INET6) return NameOrNumber(kProtocols, protocol);
  if (domain == AF_NETLINK) return NameOrNumber(kNetlinkProtocols, protocol);
  return absl::StrCat(protocol);
}

std::string MessageFlagNames(uint32_t flags) { return BitNames(kMessageFlags, flags); }

std::string ShutdownName(uint32_t how) { return NameOrNumber(kShutdowns, how); }

}  // namespace socktale
