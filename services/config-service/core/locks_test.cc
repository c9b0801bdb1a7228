#include "services/config-service/core/locks.h"

#include <gtest/gtest.h>

namespace portolan::config {
namespace {

TEST(LockTable, IsHeldByOneAndNamesIt) {
  LockTable locks;
  EXPECT_EQ(locks.Lock(Datastore::kRunning, 4), 0u);
  EXPECT_EQ(locks.Lock(Datastore::kRunning, 5), 4u);
  EXPECT_EQ(locks.Lock(Datastore::kRunning, 4), 4u);
  EXPECT_EQ(locks.Lock(Datastore::kCandidate, 5), 0u);
}

TEST(LockTable, OnlyTheHolderUnlocks) {
  LockTable locks;
  locks.Lock(Datastore::kRunning, 4);
  EXPECT_FALSE(locks.Unlock(Datastore::kRunning, 5));
  EXPECT_FALSE(locks.Unlock(Datastore::kStartup, 4));
  EXPECT_FALSE(locks.Unlock(Datastore::kStartup, 0));
  EXPECT_TRUE(locks.Unlock(Datastore::kRunning, 4));
  EXPECT_EQ(locks.Holder(Datastore::kRunning), 0u);
}

TEST(LockTable, StandsAgainstOthersOnly) {
  LockTable locks;
  EXPECT_EQ(locks.HolderAgainst(Datastore::kRunning, 5), 0u);
  locks.Lock(Datastore::kRunning, 4);
  EXPECT_EQ(locks.HolderAgainst(Datastore::kRunning, 4), 0u);
  EXPECT_EQ(locks.HolderAgainst(Datastore::kRunning, 5), 4u);
  EXPECT_EQ(locks.HolderAgainst(Datastore::kRunning, 0), 4u);
}

TEST(LockTable, ReleaseFreesAllOfASession) {
  LockTable locks;
  locks.Lock(Datastore::kRunning, 4);
  locks.Lock(Datastore::kStartup, 4);
  locks.Lock(Datastore::kCandidate, 5);
  locks.Release(4);
  EXPECT_EQ(locks.Holder(Datastore::kRunning), 0u);
  EXPECT_EQ(locks.Holder(Datastore::kStartup), 0u);
  EXPECT_EQ(locks.Holder(Datastore::kCandidate), 5u);
}

}  // namespace
}  // namespace portolan::config
