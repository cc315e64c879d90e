// SPDX-License-Identifier: Apache-2.0
//
// Hands the arena's descriptor to programs that cannot open its path (changed root, other user): an abstract UNIX
// socket, asked with the session's token. Never blocks.

#ifndef SOCKTALE_COLLECTOR_ATTACH_SERVER_H_
#define SOCKTALE_COLLECTOR_ATTACH_SERVER_H_

#include <poll.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace socktale {

class AttachServer {
 public:
  // token: 16 bytes. arena_fd: what is handed out. is_traced: whether a pid is a process that this session started or
  // records; a peer of another user must descend from one (its own user and root need not).
  static absl::StatusOr<AttachServer> Create(const std::string& token, int arena_fd,
                                             std::function<bool(pid_t)> is_traced);

  // Name of the socket in the abstract namespace, without the leading zero byte: "socktale-<uid>-<hex>", with our
  // effective user, by whom shims know that it is not somebody else who listens on it. No comma in it.
  const std::string& name() const { return name_; }

  // Adds what to wait for.
  void AddPollFds(std::vector<pollfd>& fds) const;

  // Accepts, reads requests, answers. Returns how many were given the arena.
  int Serve();

 private:
  struct Peer {
    UniqueFd fd;
    std::string request;
    uint64_t deadline_ns = 0;  // CLOCK_MONOTONIC: silent peers are let go
  };

  // Whether the peer was answered, or has gone.
  bool ServePeer(Peer& peer, int* given);
  bool Allowed(int fd) const;

  std::string name_;
  UniqueFd listener_;
  std::string token_;
  int arena_fd_ = -1;
  std::function<bool(pid_t)> is_traced_;
  std::vector<Peer> peers_;
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_ATTACH_SERVER_H_
