#include <gtest/gtest.h>

#include "services/datapath-loader/core/extent_pool.h"
#include "services/datapath-loader/core/id_pool.h"

namespace portolan::datapath {
namespace {

constexpr absl::Time kStart = absl::UnixEpoch();

TEST(IdPoolTest, FreshIdsGoFirstAndFreedOnesRest) {
  IdPool pool(2);
  EXPECT_EQ(*pool.Allocate(kStart), (IdPool::Id{1, 0}));
  pool.Free(1, kStart + absl::Seconds(1));
  EXPECT_EQ(*pool.Allocate(kStart), (IdPool::Id{2, 0}));
  EXPECT_EQ(pool.Allocate(kStart).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(*pool.Allocate(kStart + absl::Seconds(1)), (IdPool::Id{1, 1}));
}

TEST(IdPoolTest, AdoptedIdsKeepTheirEpochs) {
  IdPool pool(3);
  pool.Adopt({0, 5, 6, 7}, {1, 3});
  EXPECT_EQ(*pool.Allocate(kStart), (IdPool::Id{2, 6}));
  EXPECT_EQ(pool.NextEpoch(3), 8);
}

TEST(ExtentPoolTest, ExtentsAreWholeChunksAndDoNotOverlap) {
  ExtentPool pool(64, 16);
  EXPECT_EQ(*pool.Allocate(17, kStart), 0u);
  EXPECT_EQ(*pool.Allocate(1, kStart), 32u);
  EXPECT_EQ(*pool.Allocate(16, kStart), 48u);
  EXPECT_FALSE(pool.Allocate(1, kStart).ok());
}

TEST(ExtentPoolTest, FreedNeighboursGrowTogetherAfterTheirRest) {
  ExtentPool pool(64, 16);
  for (int i = 0; i < 4; i++) ASSERT_TRUE(pool.Allocate(16, kStart).ok());
  pool.Free(16, 16, kStart + absl::Seconds(1));
  pool.Free(0, 16, kStart + absl::Seconds(1));
  pool.Free(32, 16, kStart + absl::Seconds(1));
  EXPECT_FALSE(pool.Allocate(48, kStart).ok());
  EXPECT_EQ(*pool.Allocate(48, kStart + absl::Seconds(1)), 0u);
}

TEST(ExtentPoolTest, ReservedExtentsAreNotGivenAway) {
  ExtentPool pool(96, 16);
  EXPECT_TRUE(pool.Reserve(32, 20));
  EXPECT_FALSE(pool.Reserve(48, 16));
  EXPECT_FALSE(pool.Reserve(90, 16));
  EXPECT_FALSE(pool.Reserve(1, 4));
  EXPECT_EQ(*pool.Allocate(32, kStart), 0u);
  EXPECT_EQ(*pool.Allocate(32, kStart), 64u);
  EXPECT_FALSE(pool.Allocate(1, kStart).ok());
}

}  // namespace
}  // namespace portolan::datapath
