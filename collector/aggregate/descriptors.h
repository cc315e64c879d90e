// SPDX-License-Identifier: Apache-2.0
//
// Lives of descriptor numbers and the objects they name: beginnings, ends, copies by dup, fork, exec and SCM_RIGHTS.

#ifndef SOCKTALE_COLLECTOR_AGGREGATE_DESCRIPTORS_H_
#define SOCKTALE_COLLECTOR_AGGREGATE_DESCRIPTORS_H_

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "collector/aggregate/flows.h"
#include "collector/aggregate/state.h"
#include "proto/event_view.h"

namespace socktale {

class Descriptors {
 public:
  Descriptors(World& world, Flows& flows) : world_(world), flows_(flows) {}

  // The life of number fd that was open at time_ns, 0: none known. Lives that ended at that moment count.
  uint32_t At(uint32_t process, int32_t fd, uint64_t time_ns) const;

  // The same; where none is known one begins, as found.
  uint32_t AtOrFound(uint32_t process, int32_t fd, uint64_t time_ns, Call call);

  uint32_t MakeObject(DescriptorKind kind, uint32_t process);

  // What begins a life.
  struct Beginning {
    uint32_t object = 0;
    LifeBegin how = LIFE_BEGIN_MADE;
    Call call = CALL_UNKNOWN;
    uint32_t from = 0;
    bool close_on_exec = false;
  };
  // A life of number fd begins at now_ns. A life of it that is still open ends there: an implicit close. A beginning
  // that comes to be known late is put in its place among the lives before. Returns 0 when there are too many lives.
  uint32_t Begin(uint32_t process, int32_t fd, const Beginning& beginning, uint64_t now_ns);

  // The life of fd that was open at now_ns ends. One that seemed to have been closed unseen just after now_ns gets its
  // true end. by_process: nobody closed it.
  void End(uint32_t process, int32_t fd, LifeEnd how, uint64_t now_ns);

  // The child has all that the parent had open at now_ns.
  void Inherit(uint32_t parent, uint32_t child, uint64_t now_ns);

  // CALL_FOUND, in `process` by `image`.
  void Found(uint32_t process, uint32_t image, const EventView& event, uint64_t now_ns);
  // The image's first call other than CALL_FOUND: what it did not find was closed by exec.
  void Settle(uint32_t process);

  // A descriptor came by SCM_RIGHTS with a call entered at start_ns.
  void Received(uint32_t process, int32_t fd, bool close_on_exec, uint64_t start_ns, uint64_t now_ns);

  void ProcessEnded(uint32_t process, uint64_t now_ns);
  // It had not ended then: takes ProcessEnded back.
  void ProcessGoesOn(uint32_t process, uint64_t end_ns);

  // Fills in what an event says of an object (cookie, inode, domain, type, names …); keeps what is known.
  void Learn(uint32_t object, const EventView& event, uint64_t now_ns);
  void LearnCookie(uint32_t object, uint64_t cookie);  // 0: nothing to learn

 private:
  uint32_t Lookup(const EventView& event) const;
  bool MayBe(const ObjectState& object, const EventView& event) const;
  void Close(uint32_t life, LifeEnd how, uint64_t now_ns);
  void Repoint(uint32_t life, uint32_t object);

  World& world_;
  Flows& flows_;
  absl::flat_hash_map<uint64_t, uint32_t> of_cookie_;
  absl::flat_hash_map<uint64_t, uint32_t> of_inode_;  // sockets without a cookie; pipes: inode * 2 + is write end
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_AGGREGATE_DESCRIPTORS_H_
