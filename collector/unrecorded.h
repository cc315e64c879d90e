// SPDX-License-Identifier: Apache-2.0
//
// Programs that traced processes started and that never attached: static ones, setuid ones, other C libraries. Known
// from the parents' events, and by looking (exec_watch.h).

#ifndef SOCKTALE_COLLECTOR_UNRECORDED_H_
#define SOCKTALE_COLLECTOR_UNRECORDED_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "proto/event_view.h"
#include "proto/trace.pb.h"

namespace socktale {

class UnrecordedPrograms {
 public:
  struct Program {
    uint32_t pid = 0;            // as its parent saw it
    uint64_t pid_namespace = 0;  // that it counts in, 0: not known
    Image image;                 // without number; not_recorded says why in words
    std::string kind;            // row of proto/stats.def
  };

  // Says which process an image is: a pid alone means nothing across pid namespaces.
  void ImageStarted(uint32_t image, uint32_t pid, uint64_t pid_namespace);

  // All that the image wrote has been added.
  void ForgetImage(uint32_t image) { images_.erase(image); }

  // A process of this pid executes a program; start_ns as in events.
  void Executing(uint32_t pid, uint64_t pid_namespace, Image image);

  // The image's process executed the program at `path` past every hook; found out at now_ns (ns since the trace began).
  void ExecutedUnseen(uint32_t image, const std::string& path, uint64_t now_ns);

  // Whether an event told that the image's process executes a program, which has not attached since.
  bool IsExecuting(uint32_t image) const;

  // Takes an event that tells of processes, in any order between images.
  void Add(uint32_t image, const EventView& event);

  // Children made by fork, vfork or spawn after since_ns (ns since the trace began) that have not attached yet.
  // Pids as their parents saw them, with the namespace.
  struct Process {
    uint32_t pid = 0;
    uint64_t pid_namespace = 0;
    friend auto operator<=>(const Process&, const Process&) = default;
  };
  std::vector<Process> ChildrenAwaited(uint64_t since_ns) const;

  // Those processes, of the collector's own pid namespace, that are gone although their last program, executed since
  // since_ns (ns since the trace began), did not attach, as far as was read. Looks at each in /proc. own_namespace: 0:
  // not known, and none is found. meanwhile: called before each look.
  std::vector<Process> LookForGone(uint64_t own_namespace, uint64_t since_ns, const std::function<void()>& meanwhile);

  // Of a process that LookForGone found, when all it wrote until gone_ns has been read. False: it had attached after
  // all, or its exec failed.
  bool Gone(const Process& process, uint64_t gone_ns);

  // Whether any process was forked or spawned so far.
  bool any_children() const { return any_children_; }

  // Forgets processes that were settled before until_ns: nothing that happened to them is still to be read.
  void Prune(uint64_t until_ns);

  // Takes the programs executed before until_ns (ns since the trace began) that have not attached, and forgets them.
  std::vector<Program> Take(uint64_t until_ns);

 private:
  struct History {
    uint64_t attached_ns = 0;  // last start of a program here (start or exec)
    bool attached = false;
    uint64_t began_ns = 0;  // last attach of any kind
    uint64_t child_ns = 0;  // when the parent made it
    bool child = false;     // made, not attached yet
    bool executing = false;
    uint64_t executing_ns = 0;
    uint64_t start_ticks = 0;  // of the process that executes, as first seen in /proc; 0: not seen
    uint64_t gone_ns = 0;      // when that was found to be over; 0: it was not
    Image image;
  };

  void Settle(const Process& process, History& history);

  std::map<uint32_t, Process> images_;
  std::map<Process, History> processes_;
  std::vector<Program> programs_;
  bool any_children_ = false;
};

}  // namespace socktale

#endif  // SOCKTALE_COLLECTOR_UNRECORDED_H_
