#include "services/config-service/shell/locks.h"

#include "absl/strings/str_cat.h"

namespace portolan::config {

std::optional<Locks::Denial> Locks::Lock(Datastore datastore, uint64_t session) {
  absl::MutexLock lock(&mutex_);
  if (datastore == Datastore::kRunning) {
    mutex_.Await(absl::Condition(
        +[](bool* committing) { return !*committing; }, &committing_));
    if (trial_.has_value() && trial_->session != session) {
      return Denial{trial_->session, absl::StrCat("revision ", trial_->revision,
                                                  " waits for its confirmation by another")};
    }
  }
  const uint64_t holder = table_.Lock(datastore, session);
  if (holder == 0) return std::nullopt;
  return Denial{holder, absl::StrCat("session ", holder, " has it locked")};
}

bool Locks::Unlock(Datastore datastore, uint64_t session) {
  absl::MutexLock lock(&mutex_);
  return table_.Unlock(datastore, session);
}

void Locks::Release(uint64_t session) {
  absl::MutexLock lock(&mutex_);
  table_.Release(session);
}

uint64_t Locks::Holder(Datastore datastore) const {
  absl::MutexLock lock(&mutex_);
  return table_.Holder(datastore);
}

uint64_t Locks::HolderAgainst(Datastore datastore, uint64_t session) const {
  absl::MutexLock lock(&mutex_);
  return table_.HolderAgainst(datastore, session);
}

uint64_t Locks::BeginCommit(uint64_t session, bool forced) {
  absl::MutexLock lock(&mutex_);
  const uint64_t holder = forced ? 0 : table_.HolderAgainst(Datastore::kRunning, session);
  committing_ = holder == 0;
  return holder;
}

void Locks::EndCommit(const std::optional<Trial>& trial) {
  absl::MutexLock lock(&mutex_);
  committing_ = false;
  trial_ = trial;
}

}  // namespace portolan::config
