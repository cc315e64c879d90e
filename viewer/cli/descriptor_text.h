// SPDX-License-Identifier: Apache-2.0
//
// One life of a descriptor in words: what it names, who has the other end, where it came from.

#ifndef SOCKTALE_VIEWER_CLI_DESCRIPTOR_TEXT_H_
#define SOCKTALE_VIEWER_CLI_DESCRIPTOR_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "proto/trace.pb.h"
#include "viewer/model/trace.h"

namespace socktale {

// A moment at which descriptors are looked at.
struct Moment {
  uint64_t at_ns = 0;  // ns since the trace began
  uint32_t end_of =
      0;  // Process.id: the moment is this process's end, and what it had open then is what counts; 0: none
};

// Whether nobody closed it before its process, or the trace, ended.
bool OpenAtItsEnd(const DescriptorLife& life);

// "tcp", "udp", "unix", "unix dgram", "netlink", "pipe", "file", "epoll" …
std::string DescriptorKindInWords(const DescriptorLife& life, const Object* object);

// Answers about the descriptors of a trace as of one moment.
class DescriptorText {
 public:
  // The trace must outlive this.
  DescriptorText(const Trace& trace, const Moment& moment, bool unicode);

  // What is asked from here on is meant as of another moment.
  void LookAt(const Moment& moment) { moment_ = moment; }

  // "*:8080 listening, 4 accepted", "localhost:51544 ⇄ localhost:8080 httpd[4100] fd 9", "watches 3 7 9".
  std::string Name(const DescriptorLife& life) const;

  // Where it came from: "accept", "dup of 5", "from make[3990]", "x[1] fd 5".
  std::string MadeBy(const DescriptorLife& life) const;

  // "rw cloexec nonblock".
  std::string Flags(const DescriptorLife& life) const;

  // How many other descriptors, of any process, share its open file at that moment.
  size_t SharedWith(const DescriptorLife& life) const;

  // Lives of a process, by descriptor number, that are there at that moment.
  std::vector<const DescriptorLife*> OpenIn(uint32_t process) const;

  // "dbd[3801] fd 12": a holder of the object, another process than `from` if there is one; empty: nobody has it.
  std::string Holder(uint32_t object, uint32_t from) const;

 private:
  bool Alive(const DescriptorLife& life) const;
  std::vector<const DescriptorLife*> LivesOf(uint32_t object) const;  // alive ones
  std::string SocketName(const DescriptorLife& life, const Object& object) const;
  std::string PipeName(const DescriptorLife& life, const Object& object) const;
  // Opened by an earlier program of the process (or its parent's) and open in the next, for want of close-on-exec.
  bool KeptThroughExec(const DescriptorLife& life) const;
  std::string OtherEnd(const std::string& near, const std::string& far) const;

  const Trace& trace_;
  Moment moment_;
  const bool unicode_;
  absl::flat_hash_map<uint64_t, std::vector<const Object*>> pipes_;  // by inode: both ends have the same
};

}  // namespace socktale

#endif  // SOCKTALE_VIEWER_CLI_DESCRIPTOR_TEXT_H_
