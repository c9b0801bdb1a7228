// Decides about edits of the running configuration: validates, counts revisions, says what to
// journal and what to publish, in that order.
//
// Pure: the same events give the same effects. One edit at a time: after WriteJournal the engine
// takes no other edit until JournalWritten. Nothing is published before it is durable, and a
// refused or failed edit leaves running as it was.
//
// A service's generation is the revision at which its entry changed last. Revisions only grow, so
// a service that was removed and declared anew has a higher generation than before.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "services/config-service/core/diff.h"
#include "services/config-service/core/problem.h"
#include "services/config-service/core/snapshot.h"

namespace portolan::config {

// ---- events ----

// What the journal held. At most once, first of all.
struct Restored {
  Snapshot running;
  uint64_t revision = 0;
  std::map<std::string, uint64_t> generations;
};
// From now on changes are published, beginning with everything that is there.
struct Started {};
// `candidate` passed YANG. With `dry_run` only the answer is wanted.
struct EditProposed {
  uint64_t id = 0;
  Snapshot candidate;
  bool dry_run = false;
};
// Outcome of WriteJournal. `error`: why nothing was written; empty: it is durable.
struct JournalWritten {
  uint64_t id = 0;
  std::string error;
};
using Event = std::variant<Restored, Started, EditProposed, JournalWritten>;

// ---- effects ----

// Make the edit durable with this revision and these generations, then report JournalWritten.
struct WriteJournal {
  uint64_t id = 0;
  uint64_t revision = 0;
  std::map<std::string, uint64_t> generations;
};
struct Publish {
  uint64_t revision = 0;
  std::vector<Change> changes;
};
// The end of an edit: refused when there are problems.
struct Answer {
  uint64_t id = 0;
  uint64_t revision = 0;  // of running
  std::vector<Problem> problems;
};
using Effect = std::variant<WriteJournal, Publish, Answer>;

class Engine {
 public:
  std::vector<Effect> Handle(Event event, absl::Time now);

  const Snapshot& running() const { return running_; }
  uint64_t revision() const { return revision_; }

 private:
  struct Pending {
    uint64_t id = 0;
    Snapshot candidate;
    std::vector<Change> changes;
    std::map<std::string, uint64_t> generations;
  };

  std::vector<Effect> On(Restored restored);
  std::vector<Effect> On(Started);
  std::vector<Effect> On(EditProposed edit);
  std::vector<Effect> On(JournalWritten written);
  void SetGenerations(std::vector<Change>* changes,
                      const std::map<std::string, uint64_t>& generations) const;

  bool started_ = false;
  Snapshot running_;
  uint64_t revision_ = 0;
  std::map<std::string, uint64_t> generations_;  // of running services
  std::optional<Pending> pending_;
};

}  // namespace portolan::config
