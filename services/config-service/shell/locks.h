// The locks of the datastores, shared by the loop of config-service and the threads of NETCONF
// sessions. Thread-safe. The rules are core/locks.h; here they meet commits: running is not locked
// while somebody commits to it, and not committed to while somebody else has it locked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/config-service/core/locks.h"
#include "services/config-service/core/trial.h"

namespace portolan::config {

class Locks {
 public:
  // Why a lock is not granted.
  struct Denial {
    uint64_t session = 0;  // that stands against it; 0: none, or one that is none of NETCONF
    std::string reason;
  };

  // Nothing: granted. Waits for a commit that is under way. Running is also denied while a commit
  // of somebody else is on trial (RFC 6241, section 7.5).
  std::optional<Denial> Lock(Datastore datastore, uint64_t session);
  bool Unlock(Datastore datastore, uint64_t session);
  void Release(uint64_t session);
  uint64_t Holder(Datastore datastore) const;
  uint64_t HolderAgainst(Datastore datastore, uint64_t session) const;

  // 0: begun, and to be ended. Else the session that has locked running against `session`. One at
  // a time. `forced`: whatever is locked.
  uint64_t BeginCommit(uint64_t session, bool forced);
  // `trial`: the one that runs now.
  void EndCommit(const std::optional<Trial>& trial);

 private:
  mutable absl::Mutex mutex_;
  LockTable table_ ABSL_GUARDED_BY(mutex_);
  bool committing_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<Trial> trial_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace portolan::config
