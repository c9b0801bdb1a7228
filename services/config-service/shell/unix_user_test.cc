#include "services/config-service/shell/unix_user.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace portolan::config {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

TEST(UnixUser, UidZeroIsTheRecoverySession) {
  const Subject root = SubjectOfUid(0);
  EXPECT_TRUE(root.recovery);
  EXPECT_EQ(root.user, "root");
  EXPECT_THAT(root.external_groups, Contains("root"));
}

TEST(UnixUser, NobodyElseIs) {
  const Subject daemon = SubjectOfUid(1);  // "daemon" on Debian
  EXPECT_FALSE(daemon.recovery);
  EXPECT_EQ(daemon.user, "daemon");
  EXPECT_THAT(daemon.external_groups, Contains("daemon"));
}

TEST(UnixUser, AUidWithoutANameIsInNoGroup) {
  const Subject stranger = SubjectOfUid(4000000001);
  EXPECT_FALSE(stranger.recovery);
  EXPECT_EQ(stranger.user, "uid:4000000001");
  EXPECT_THAT(stranger.external_groups, IsEmpty());
}

TEST(UnixUser, GroupsAreFoundByName) {
  EXPECT_THAT(UnixGroupsOf("root"), Contains("root"));
  EXPECT_THAT(UnixGroupsOf("no such user"), IsEmpty());
}

}  // namespace
}  // namespace portolan::config
