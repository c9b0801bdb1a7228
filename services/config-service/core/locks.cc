#include "services/config-service/core/locks.h"

namespace portolan::config {

uint64_t LockTable::Lock(Datastore datastore, uint64_t session) {
  uint64_t& holder = holders_[static_cast<size_t>(datastore)];
  if (holder != 0) return holder;
  holder = session;
  return 0;
}

bool LockTable::Unlock(Datastore datastore, uint64_t session) {
  uint64_t& holder = holders_[static_cast<size_t>(datastore)];
  if (session == 0 || holder != session) return false;
  holder = 0;
  return true;
}

void LockTable::Release(uint64_t session) {
  for (uint64_t& holder : holders_) {
    if (holder == session) holder = 0;
  }
}

uint64_t LockTable::HolderAgainst(Datastore datastore, uint64_t session) const {
  const uint64_t holder = Holder(datastore);
  return holder == session ? 0 : holder;
}

}  // namespace portolan::config
