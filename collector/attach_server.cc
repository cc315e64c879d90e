// SPDX-License-Identifier: Apache-2.0
#include "collector/attach_server.h"

#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "collector/clock.h"
#include "collector/errno_status.h"
#include "collector/process_watch.h"
#include "preload/abi/arena_abi.h"

namespace socktale {
namespace {

constexpr size_t kMaxPeers = 64;  // at one time; more wait in the backlog
constexpr uint64_t kPatienceNs = kSecondNs;
constexpr int kMaxAncestors = 64;

// Sends one byte, with the descriptor when there is one to give.
bool Answer(int socket, int given_fd) {
  char answer = given_fd >= 0 ? 1 : 0;
  iovec part = {.iov_base = &answer, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (given_fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &given_fd, sizeof given_fd);
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

}  // namespace

absl::StatusOr<AttachServer> AttachServer::Create(const std::string& token, int arena_fd,
                                                  std::function<bool(pid_t)> is_traced) {
  AttachServer server;
  uint8_t random[8];
  if (getrandom(random, sizeof random, 0) != sizeof random) return ErrnoStatus("getrandom");
  server.name_ =
      absl::StrCat("socktale-", geteuid(), "-",
                   absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(random), sizeof random)));
  server.token_ = token;
  server.arena_fd_ = arena_fd;
  server.is_traced_ = std::move(is_traced);
  server.listener_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!server.listener_.valid()) return ErrnoStatus("cannot make the attach socket");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, server.name_.data(), server.name_.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + server.name_.size());
  if (bind(server.listener_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      listen(server.listener_.get(), SOMAXCONN) != 0) {
    return ErrnoStatus(absl::StrCat("cannot listen on @", server.name_));
  }
  return server;
}

void AttachServer::AddPollFds(std::vector<pollfd>& fds) const {
  if (peers_.size() < kMaxPeers) fds.push_back({.fd = listener_.get(), .events = POLLIN, .revents = 0});
  for (const Peer& peer : peers_) fds.push_back({.fd = peer.fd.get(), .events = POLLIN, .revents = 0});
}

int AttachServer::Serve() {
  int given = 0;
  while (peers_.size() < kMaxPeers) {
    UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) break;  // nobody else, or out of descriptors: they wait in the backlog
    peers_.push_back({.fd = std::move(fd), .request = {}, .deadline_ns = MonotonicNs() + kPatienceNs});
  }
  for (size_t i = 0; i < peers_.size();) {
    if (!ServePeer(peers_[i], &given)) {
      ++i;
      continue;
    }
    peers_[i] = std::move(peers_.back());
    peers_.pop_back();
  }
  return given;
}

bool AttachServer::ServePeer(Peer& peer, int* given) {
  char bytes[sizeof(abi::AttachRequest)];
  const ssize_t n = recv(peer.fd.get(), bytes, sizeof bytes - peer.request.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return MonotonicNs() > peer.deadline_ns;
  if (n <= 0) return true;
  peer.request.append(bytes, static_cast<size_t>(n));
  if (peer.request.size() < sizeof(abi::AttachRequest)) return false;
  abi::AttachRequest request;
  std::memcpy(&request, peer.request.data(), sizeof request);
  const bool allowed = request.magic == abi::kArenaMagic &&
                       std::memcmp(request.token, token_.data(), sizeof request.token) == 0 && Allowed(peer.fd.get());
  if (Answer(peer.fd.get(), allowed ? arena_fd_ : -1) && allowed) ++*given;
  return true;
}

// Who knows the token and is of our user (or root, who may read everything anyway), or descends from what we started.
bool AttachServer::Allowed(int fd) const {
  ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == geteuid() || peer.uid == 0) return true;
  pid_t pid = peer.pid;  // 0: not visible in our pid namespace
  for (int i = 0; i < kMaxAncestors && pid > 1; ++i) {
    if (is_traced_(pid)) return true;
    ProcessStat stat;
    if (!ReadProcessStat(pid, stat)) return false;
    pid = stat.parent;
  }
  return false;
}

}  // namespace socktale
