#include "services/base/process/pins.h"

#include <gtest/gtest.h>

namespace portolan::process {
namespace {

TEST(PinsTest, WhatIsConfiguredIsTaken) {
  EXPECT_EQ(ChoosePinDirectory("/bpf/here", "/var/lib/portolan", "a"), "/bpf/here");
}

TEST(PinsTest, WithoutABpfFileSystemOfItsOwnANodeUsesTheSystems) {
  EXPECT_EQ(ChoosePinDirectory("", testing::TempDir(), "a"), "/sys/fs/bpf/portolan/a");
}

TEST(PinsTest, AnOrdinaryDirectoryIsNoBpfFileSystem) {
  EXPECT_FALSE(IsOnBpffs(testing::TempDir() + "/does/not/exist"));
}

TEST(PinsTest, ANetworkNamespaceKeepsItsName) {
  const absl::StatusOr<uint64_t> name = NetworkNamespaceCookie();
  if (!name.ok()) GTEST_SKIP() << name.status();
  EXPECT_NE(*name, 0u);
  EXPECT_EQ(NetworkNamespaceCookie().value(), *name);
}

}  // namespace
}  // namespace portolan::process
