// SPDX-License-Identifier: Apache-2.0
//
// The descriptor tables of all processes through time.

#include "collector/aggregate/descriptors.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "collector/aggregate/address.h"

namespace socktale {
namespace {

// How far back a late event may look for the life it belongs to.
constexpr int kLookBack = 256;

// Second name of an object where it has no cookie; 0: none. The inodes of anonymous files are shared and name nothing.
uint64_t InodeKey(DescriptorKind kind, uint64_t inode, uint32_t status_flags) {
  if (inode == 0) return 0;
  if (kind == DESCRIPTOR_KIND_SOCKET) return inode * 4 + 2;
  if (kind == DESCRIPTOR_KIND_PIPE && (status_flags & O_ACCMODE) != O_RDWR) {
    return inode * 4 + ((status_flags & O_ACCMODE) == O_WRONLY ? 1 : 0);
  }
  return 0;
}

}  // namespace

uint32_t Descriptors::At(uint32_t process, int32_t fd, uint64_t time_ns) const {
  const auto& table = world_.processes[process].table;
  const auto entry = table.find(fd);
  if (entry == table.end()) return 0;
  uint32_t id = entry->second;
  for (int i = 0; id != 0 && i < kLookBack; ++i) {
    const LifeState& life = world_.lives[id];
    if (life.start_ns <= time_ns) return life.end == LIFE_END_OPEN || life.end_ns >= time_ns ? id : 0;
    id = life.previous;
  }
  return 0;
}

uint32_t Descriptors::AtOrFound(uint32_t process, int32_t fd, uint64_t time_ns, Call call) {
  if (const uint32_t life = At(process, fd, time_ns)) return life;
  if (fd < 0 || !world_.Room()) return 0;
  return Begin(process, fd,
               {.object = MakeObject(DESCRIPTOR_KIND_UNKNOWN, process), .how = LIFE_BEGIN_FOUND, .call = call},
               time_ns);
}

uint32_t Descriptors::MakeObject(DescriptorKind kind, uint32_t process) {
  const auto id = static_cast<uint32_t>(world_.objects.size());
  ObjectState& object = world_.objects.emplace_back();
  object.kind = kind;
  object.process = process;
  object.network_namespace = world_.processes[process].network_namespace;
  return id;
}

uint32_t Descriptors::Begin(uint32_t process, int32_t fd, const Beginning& beginning, uint64_t now_ns) {
  if (fd < 0 || !world_.Room()) return 0;
  ProcessState& owner = world_.processes[process];
  uint32_t& latest = owner.table[fd];
  const auto id = static_cast<uint32_t>(world_.lives.size());
  LifeState life;
  life.process = process;
  life.fd = fd;
  life.object = beginning.object;
  life.from = beginning.from;
  life.begin = beginning.how;
  life.made_by = beginning.call;
  life.close_on_exec = beginning.close_on_exec;
  life.start_ns = now_ns;
  life.kind = world_.objects[beginning.object].kind;

  ObjectState& object = world_.objects[beginning.object];
  object.last_life = id;
  object.shared = object.shared || object.process != process;
  ++object.open_lives;
  object.gone_ns = 0;  // it was on its way from one process to another
  ++owner.open_count;
  // Later lives of the number are known already: this one is long over.
  uint32_t after = 0;
  uint32_t before = latest;
  for (int i = 0; before != 0 && world_.lives[before].start_ns > now_ns && i < kLookBack; ++i) {
    after = before;
    before = world_.lives[before].previous;
  }
  life.previous = before;
  if (before != 0 && world_.lives[before].end == LIFE_END_OPEN) {
    Close(before, LIFE_END_IMPLICIT, now_ns);
    ++owner.implicit_closes;
  } else if (before != 0 && world_.lives[before].end_ns > now_ns) {
    world_.lives[before].end_ns = now_ns;
  }
  world_.lives.push_back(life);
  if (after == 0) {
    latest = id;
    if (owner.open_count > owner.peak_count) {
      owner.peak_count = owner.open_count;
      owner.peak_ns = now_ns;
    }
  } else {
    world_.lives[after].previous = id;
    Close(id, LIFE_END_IMPLICIT, world_.lives[after].start_ns);
    ++owner.implicit_closes;
  }
  if (owner.ended && world_.lives[id].end == LIFE_END_OPEN) Close(id, LIFE_END_PROCESS, std::max(now_ns, owner.end_ns));
  return id;
}

void Descriptors::Close(uint32_t id, LifeEnd how, uint64_t now_ns) {
  LifeState& life = world_.lives[id];
  life.end = how;
  life.end_ns = std::max(now_ns, life.start_ns);
  ProcessState& owner = world_.processes[life.process];
  if (owner.open_count > 0) --owner.open_count;
  ObjectState& object = world_.objects[life.object];
  if (object.open_lives > 0 && --object.open_lives > 0) return;
  object.gone_ns = life.end_ns;
  object.gone_by_process = how == LIFE_END_PROCESS;
  // Inodes are used again, cookies are not.
  const auto known = of_inode_.find(InodeKey(object.kind, object.inode, object.status_flags));
  if (known != of_inode_.end() && known->second == life.object) of_inode_.erase(known);
}

void Descriptors::End(uint32_t process, int32_t fd, LifeEnd how, uint64_t now_ns) {
  const auto& table = world_.processes[process].table;
  const auto entry = table.find(fd);
  uint32_t id = entry == table.end() ? 0 : entry->second;
  for (int i = 0; id != 0 && world_.lives[id].start_ns > now_ns && i < kLookBack; ++i) id = world_.lives[id].previous;
  if (id == 0 || world_.lives[id].start_ns > now_ns) return;
  LifeState& life = world_.lives[id];
  if (life.end == LIFE_END_OPEN) {
    Close(id, how, now_ns);
  } else if ((life.end == LIFE_END_IMPLICIT || life.end == LIFE_END_PROCESS) && life.end_ns >= now_ns) {
    // The close was seen after all, only later than the number's next use or the end of the process.
    ProcessState& owner = world_.processes[process];
    if (life.end == LIFE_END_IMPLICIT && owner.implicit_closes > 0) --owner.implicit_closes;
    ObjectState& object = world_.objects[life.object];
    if (object.open_lives == 0 && object.gone_ns == life.end_ns) {
      object.gone_ns = now_ns;
      object.gone_by_process = false;
    }
    life.end = how;
    life.end_ns = now_ns;
  }
}

void Descriptors::Inherit(uint32_t parent, uint32_t child, uint64_t now_ns) {
  std::vector<std::pair<int32_t, uint32_t>> open;
  for (const auto& [fd, latest] : world_.processes[parent].table) {
    const uint32_t life = At(parent, fd, now_ns);
    // Closed at the very moment of the fork: the child has it no more.
    if (life != 0 && (world_.lives[life].end == LIFE_END_OPEN || world_.lives[life].end_ns > now_ns)) {
      open.emplace_back(fd, life);
    }
  }
  std::sort(open.begin(), open.end());
  for (const auto& [fd, life] : open) {
    if (world_.copied_lives >= world_.limits.copied_lives) {
      ++world_.left_out;
      continue;
    }
    ++world_.copied_lives;
    const LifeState from = world_.lives[life];
    Begin(child, fd,
          {.object = from.object,
           .how = LIFE_BEGIN_INHERITED,
           .call = CALL_FORK,
           .from = life,
           .close_on_exec = from.close_on_exec},
          now_ns);
  }
}

uint32_t Descriptors::Lookup(const EventView& event) const {
  if (event.socket_id != 0) {
    const auto known = of_cookie_.find(event.socket_id);
    if (known != of_cookie_.end()) return known->second;
  }
  const auto known = of_inode_.find(InodeKey(event.kind, event.inode, event.status_flags));
  if (known == of_inode_.end()) return 0;
  const ObjectState& object = world_.objects[known->second];
  return event.socket_id == 0 || object.cookie == 0 || object.cookie == event.socket_id ? known->second : 0;
}

bool Descriptors::MayBe(const ObjectState& object, const EventView& event) const {
  if (object.cookie != 0 && event.socket_id != 0) return object.cookie == event.socket_id;
  if (object.kind != DESCRIPTOR_KIND_UNKNOWN && event.kind != DESCRIPTOR_KIND_UNKNOWN && object.kind != event.kind) {
    return false;
  }
  return object.inode == 0 || event.inode == 0 || object.inode == event.inode;
}

void Descriptors::LearnCookie(uint32_t id, uint64_t cookie) {
  ObjectState& object = world_.objects[id];
  if (object.cookie != 0 || cookie == 0) return;
  object.cookie = cookie;
  of_cookie_.try_emplace(cookie, id);
}

void Descriptors::Learn(uint32_t id, const EventView& event, uint64_t now_ns) {
  ObjectState& object = world_.objects[id];
  if (object.kind == DESCRIPTOR_KIND_UNKNOWN) object.kind = event.kind;
  LearnCookie(id, event.socket_id);
  if (object.domain == 0) object.domain = event.domain;
  if (object.type == 0) object.type = event.type & kSocketTypeMask;
  if (object.protocol == 0) object.protocol = event.protocol;
  if (object.peer_pid == 0) object.peer_pid = event.peer_pid;
  // The kernel's names of things without a path ("pipe:[7]") say nothing more than the kind does.
  const bool names =
      event.call != CALL_FOUND || event.kind == DESCRIPTOR_KIND_OTHER || absl::StartsWith(event.path, "/");
  if (object.path.empty() && names) object.path = std::string(event.path);
  if (event.status_flags != 0) object.status_flags = event.status_flags;
  if (object.inode == 0 && event.inode != 0) object.inode = event.inode;
  if (const uint64_t key = InodeKey(object.kind, object.inode, object.status_flags)) {
    of_inode_.try_emplace(key, id);
    const auto other = of_inode_.find(key ^ 1);
    if (object.kind == DESCRIPTOR_KIND_PIPE && object.pair == 0 && other != of_inode_.end()) {
      object.pair = other->second;
      world_.objects[other->second].pair = id;
    }
  }
  if (!event.local_address.empty()) flows_.LocalName(id, event.local_address);
  if (event.listening && !object.listening) {
    object.listening = true;
    object.listen_ns = now_ns;
  }
}

void Descriptors::Repoint(uint32_t id, uint32_t to) {
  LifeState& life = world_.lives[id];
  ObjectState& from = world_.objects[life.object];
  if (from.open_lives > 0) --from.open_lives;
  ObjectState& object = world_.objects[to];
  ++object.open_lives;
  object.gone_ns = 0;
  if (life.from == 0 && object.last_life != id) life.from = object.last_life;
  object.last_life = id;
  object.shared = object.shared || object.process != life.process;
  life.object = to;
  life.kind = object.kind;
}

void Descriptors::Found(uint32_t process, uint32_t image, const EventView& event, uint64_t now_ns) {
  const ProcessState& owner = world_.processes[process];
  const bool settling = owner.settling && owner.settling_image == image;
  if (settling) ++world_.processes[process].found;
  uint32_t id = At(process, event.fd, now_ns);
  if (id != 0 && world_.lives[id].end != LIFE_END_OPEN) id = 0;
  if (id != 0 && !MayBe(world_.objects[world_.lives[id].object], event)) {
    if (settling) {
      Close(id, LIFE_END_EXEC, owner.attached_ns);
    }
    id = 0;
  }
  const uint32_t known = Lookup(event);
  if (id == 0) {
    if (!world_.Room()) return;
    const bool fresh = known == 0;
    Beginning beginning;
    beginning.object = fresh ? MakeObject(event.kind, process) : known;
    beginning.how = LIFE_BEGIN_FOUND;
    beginning.call = CALL_FOUND;
    if (!fresh) {
      beginning.from = world_.objects[known].last_life;
      const uint32_t parents = settling && owner.parent != 0 ? At(owner.parent, event.fd, now_ns) : 0;
      if (parents != 0 && world_.lives[parents].object == known) {
        beginning.from = parents;
        beginning.how = LIFE_BEGIN_INHERITED;
      }
    }
    id = Begin(process, event.fd, beginning, now_ns);
    if (id == 0) return;
  } else if (known != 0 && known != world_.lives[id].object) {
    const ObjectState& blank = world_.objects[world_.lives[id].object];
    if (blank.cookie == 0 && blank.last_flow == 0 && blank.open_lives == 1) Repoint(id, known);
  }
  LifeState& life = world_.lives[id];
  life.confirmed_by = image;
  life.close_on_exec = event.close_on_exec;
  Learn(life.object, event, now_ns);
  life.kind = world_.objects[life.object].kind;
  if (!event.peer_address.empty()) flows_.FoundConnected(life.object, process, event.fd, event.peer_address, now_ns);
}

void Descriptors::Settle(uint32_t process) {
  ProcessState& owner = world_.processes[process];
  owner.settling = false;
  std::vector<uint32_t> gone;
  for (const auto& [fd, id] : owner.table) {
    const LifeState& life = world_.lives[id];
    if (life.end != LIFE_END_OPEN || life.start_ns > owner.attached_ns) continue;
    // Without a word from /proc/self/fd the flag decides.
    if (owner.found == 0 ? life.close_on_exec : life.confirmed_by != owner.settling_image) gone.push_back(id);
  }
  const uint64_t when_ns =
      owner.executing_ns != 0 ? std::min(owner.executing_ns, owner.attached_ns) : owner.attached_ns;
  for (const uint32_t id : gone) Close(id, LIFE_END_EXEC, when_ns);
}

void Descriptors::Received(uint32_t process, int32_t fd, bool close_on_exec, uint64_t start_ns, uint64_t now_ns) {
  const uint32_t known = At(process, fd, now_ns);
  if (known != 0 && world_.lives[known].end == LIFE_END_OPEN && world_.lives[known].begin == LIFE_BEGIN_FOUND &&
      world_.lives[known].start_ns >= start_ns) {  // its CALL_FOUND came first
    world_.lives[known].begin = LIFE_BEGIN_RECEIVED;
    world_.lives[known].made_by = CALL_RECVMSG;
    return;
  }
  if (fd < 0 || !world_.Room()) return;
  Begin(process, fd,
        {.object = MakeObject(DESCRIPTOR_KIND_UNKNOWN, process),
         .how = LIFE_BEGIN_RECEIVED,
         .call = CALL_RECVMSG,
         .close_on_exec = close_on_exec},
        now_ns);
}

void Descriptors::ProcessEnded(uint32_t process, uint64_t now_ns) {
  std::vector<uint32_t> open;
  for (const auto& [fd, id] : world_.processes[process].table) {
    if (world_.lives[id].end == LIFE_END_OPEN) open.push_back(id);
  }
  std::sort(open.begin(), open.end());
  for (const uint32_t id : open) Close(id, LIFE_END_PROCESS, now_ns);
}

void Descriptors::ProcessGoesOn(uint32_t process, uint64_t end_ns) {
  ProcessState& owner = world_.processes[process];
  for (const auto& [fd, id] : owner.table) {
    LifeState& life = world_.lives[id];
    if (life.end != LIFE_END_PROCESS || life.end_ns != std::max(end_ns, life.start_ns)) continue;
    life.end = LIFE_END_OPEN;
    life.end_ns = 0;
    ++owner.open_count;
    ObjectState& object = world_.objects[life.object];
    ++object.open_lives;
    object.gone_ns = 0;
    if (const uint64_t key = InodeKey(object.kind, object.inode, object.status_flags)) {
      of_inode_.try_emplace(key, life.object);
    }
  }
}

}  // namespace socktale
