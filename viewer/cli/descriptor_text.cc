// SPDX-License-Identifier: Apache-2.0
#include "viewer/cli/descriptor_text.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "viewer/cli/format.h"
#include "viewer/names/address.h"
#include "viewer/names/calls.h"
#include "viewer/names/ids.h"
#include "viewer/names/printable.h"
#include "viewer/names/sockets.h"

namespace socktale {
namespace {

bool WritesOnly(const Object& object) { return (object.status_flags() & O_ACCMODE) == O_WRONLY; }

}  // namespace

bool OpenAtItsEnd(const DescriptorLife& life) { return life.end() == LIFE_END_OPEN || life.end() == LIFE_END_PROCESS; }

std::string DescriptorKindInWords(const DescriptorLife& life, const Object* object) {
  if (life.kind() != DESCRIPTOR_KIND_SOCKET) return KindName(life.kind());
  if (object == nullptr) return "socket";
  const bool stream = object->type() == SOCK_STREAM;
  const bool datagram = object->type() == SOCK_DGRAM;
  switch (object->domain()) {
    case AF_INET:
    case AF_INET6:
      return stream ? "tcp" : datagram ? "udp" : "raw ip";
    case AF_UNIX:
      return stream ? "unix" : datagram ? "unix dgram" : "unix seqpacket";
    case AF_UNSPEC:
      return "socket";
    default:
      return absl::AsciiStrToLower(absl::StripPrefix(FamilyName(object->domain()), "AF_"));
  }
}

DescriptorText::DescriptorText(const Trace& trace, const Moment& moment, bool unicode)
    : trace_(trace), moment_(moment), unicode_(unicode) {
  for (const Object& object : trace.tables().object()) {
    if (object.kind() == DESCRIPTOR_KIND_PIPE && object.inode() != 0) pipes_[object.inode()].push_back(&object);
  }
}

bool DescriptorText::Alive(const DescriptorLife& life) const {
  // Lives may end a little before the process is known to have ended, so times say nothing here.
  if (moment_.end_of != 0 && life.process() == moment_.end_of) return OpenAtItsEnd(life);
  if (life.start_ns() > moment_.at_ns) return false;
  if (life.end() != LIFE_END_OPEN) return life.end_ns() > moment_.at_ns;
  const Process* process = trace_.process(life.process());
  return process == nullptr || process->end_ns() == 0 || process->end_ns() > moment_.at_ns;
}

std::vector<const DescriptorLife*> DescriptorText::LivesOf(uint32_t object) const {
  std::vector<const DescriptorLife*> alive;
  for (const DescriptorLife* life : trace_.lookup().LivesOfObject(object)) {
    if (Alive(*life)) alive.push_back(life);
  }
  return alive;
}

std::string DescriptorText::Holder(uint32_t object, uint32_t from) const {
  const DescriptorLife* holder = nullptr;
  for (const DescriptorLife* life : LivesOf(object)) {
    if (holder == nullptr || (holder->process() == from && life->process() != from)) holder = life;
  }
  if (holder == nullptr) return "";
  const Process* process = trace_.process(holder->process());
  return absl::StrCat(process != nullptr ? ProcessLabel(*process) : "?", " fd ", holder->fd());
}

std::string DescriptorText::OtherEnd(const std::string& near, const std::string& far) const {
  return absl::StrCat(near, near.empty() ? "" : " ", unicode_ ? "⇄" : "<->", " ", far.empty() ? "?" : far);
}

std::string DescriptorText::SocketName(const DescriptorLife& life, const Object& object) const {
  const std::string local = DescribeAddress(object.local_address());
  const std::string peer = DescribeAddress(object.peer_address());
  if (object.listening()) return absl::StrCat(local, " listening, ", FormatCount(object.accepted()), " accepted");
  if (object.pair() != 0) {
    const std::string holder = Holder(object.pair(), life.process());
    return absl::StrCat(OtherEnd("", holder.empty() ? "closed" : holder), " (socketpair)");
  }
  const Connection* connection = trace_.connection(object.connection());
  if (connection != nullptr) {
    const bool is_client = connection->client().object() == object.id();
    const Endpoint& far = is_client ? connection->server() : connection->client();
    std::string holder = far.object() != 0 ? Holder(far.object(), life.process()) : "";
    if (holder.empty() && far.process() != 0) {
      const Process* process = trace_.process(far.process());
      // Who closed it later held it for as long as this one was there.
      if (process != nullptr) holder = absl::StrCat(ProcessLabel(*process), far.ended_first() ? " (closed it)" : "");
    }
    if (object.domain() == AF_UNIX) return OtherEnd(Printable(connection->unix_path()), holder);
    const std::string address = far.address().empty() ? peer : DescribeAddress(far.address());
    const std::string name = is_client && !connection->host().empty() ? " " + Printable(connection->host()) : "";
    return OtherEnd(local == "-" ? "" : local, absl::StrCat(address, name, holder.empty() ? "" : " ", holder));
  }
  if (peer != "-") return OtherEnd(local == "-" ? "" : local, peer);
  return local == "-" ? "not connected" : absl::StrCat(local, " bound");
}

std::string DescriptorText::PipeName(const DescriptorLife& life, const Object& object) const {
  if (!object.path().empty() && object.path()[0] == '/') return Printable(object.path());
  uint32_t other = object.pair();
  if (other == 0) {
    const auto ends = pipes_.find(object.inode());
    for (const Object* end : ends == pipes_.end() ? std::vector<const Object*>() : ends->second) {
      if (end != &object && WritesOnly(*end) != WritesOnly(object) && !LivesOf(end->id()).empty()) other = end->id();
    }
    if (other == 0) return "other end not recorded";
  }
  const std::string holder = Holder(other, life.process());
  return OtherEnd("", holder.empty() ? "closed" : holder);
}

std::string DescriptorText::Name(const DescriptorLife& life) const {
  const Object* object = trace_.object(life.object());
  if (object == nullptr) return "";
  switch (object->kind()) {
    case DESCRIPTOR_KIND_SOCKET:
      return SocketName(life, *object);
    case DESCRIPTOR_KIND_PIPE:
      return PipeName(life, *object);
    case DESCRIPTOR_KIND_EPOLL: {
      std::vector<int32_t> watches(object->watches().begin(), object->watches().end());
      std::sort(watches.begin(), watches.end());
      return watches.empty() ? "watches nothing" : absl::StrCat("watches ", absl::StrJoin(watches, " "));
    }
    default:
      return Printable(object->path());
  }
}

std::string DescriptorText::MadeBy(const DescriptorLife& life) const {
  const DescriptorLife* from = trace_.life(life.from_life());
  const Process* source = from != nullptr ? trace_.process(from->process()) : nullptr;
  const std::string where = source != nullptr ? ProcessLabel(*source) : "";
  switch (life.begin()) {
    case LIFE_BEGIN_INHERITED:
      return where.empty() ? "" : absl::StrCat("from ", where);
    case LIFE_BEGIN_RECEIVED:
      return where.empty() ? "received" : absl::StrCat("received from ", where, " fd ", from->fd());
    case LIFE_BEGIN_DUPLICATED: {
      const std::string call = CallName(life.made_by());
      return from != nullptr ? absl::StrCat(call, " of ", from->fd()) : call;
    }
    case LIFE_BEGIN_FOUND:
      return "";
    default:
      return life.made_by() == CALL_UNKNOWN ? "" : CallName(life.made_by());
  }
}

bool DescriptorText::KeptThroughExec(const DescriptorLife& life) const {
  // What somebody outside gave the first program is meant to be inherited, and so are the standard streams.
  const DescriptorLife* first = &life;
  while (first->begin() == LIFE_BEGIN_INHERITED) {
    const DescriptorLife* from = trace_.life(first->from_life());
    // Ids ascend from parent to child; a damaged trace may say otherwise, and go in circles.
    if (from == nullptr || from->id() >= first->id()) break;
    first = from;
  }
  const Process* process = trace_.process(life.process());
  if (process == nullptr || life.fd() <= STDERR_FILENO || first->begin() == LIFE_BEGIN_FOUND) return false;
  return std::any_of(process->image().begin(), process->image().end(), [&](const Image& image) {
    return image.start_ns() > life.start_ns() && image.start_ns() <= moment_.at_ns;
  });
}

std::string DescriptorText::Flags(const DescriptorLife& life) const {
  const Object* object = trace_.object(life.object());
  std::vector<std::string> flags;
  if (life.kind() == DESCRIPTOR_KIND_SOCKET) {
    flags.push_back("rw");
  } else if (object != nullptr && (life.kind() == DESCRIPTOR_KIND_FILE || life.kind() == DESCRIPTOR_KIND_PIPE ||
                                   life.kind() == DESCRIPTOR_KIND_CHARACTER_DEVICE)) {
    const uint32_t mode = object->status_flags() & O_ACCMODE;
    flags.push_back(mode == O_RDWR ? "rw" : mode == O_WRONLY ? "w" : "r");
  }
  if (life.close_on_exec()) flags.push_back("cloexec");
  if (object != nullptr && (object->status_flags() & O_NONBLOCK) != 0) flags.push_back("nonblock");
  if (object != nullptr && (object->status_flags() & O_APPEND) != 0) flags.push_back("append");
  if (KeptThroughExec(life)) flags.push_back("kept through exec");
  return absl::StrJoin(flags, " ");
}

size_t DescriptorText::SharedWith(const DescriptorLife& life) const {
  const size_t lives = LivesOf(life.object()).size();
  return lives > 0 ? lives - 1 : 0;
}

std::vector<const DescriptorLife*> DescriptorText::OpenIn(uint32_t process) const {
  std::vector<const DescriptorLife*> open;
  for (const DescriptorLife* life : trace_.lookup().LivesOfProcess(process)) {
    if (Alive(*life)) open.push_back(life);
  }
  std::sort(open.begin(), open.end(),
            [](const DescriptorLife* a, const DescriptorLife* b) { return a->fd() < b->fd(); });
  return open;
}

}  // namespace socktale
