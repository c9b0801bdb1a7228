#include "services/datapath-loader/core/maglev.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace portolan::datapath {
namespace {

std::vector<MaglevBackend> Backends(int count) {
  std::vector<MaglevBackend> backends;
  for (int i = 1; i <= count; i++) {
    backends.push_back({.address = net::IpAddress::FromValue(net::Family::kIpv4, 0x0af40100 + i),
                        .port = 8080,
                        .protocol = 6,
                        .weight = 1,
                        .value = static_cast<uint32_t>(i)});
  }
  return backends;
}

std::map<uint32_t, double> Shares(const std::vector<uint32_t>& table) {
  std::map<uint32_t, double> shares;
  for (const uint32_t value : table) shares[value] += 1.0 / table.size();
  return shares;
}

TEST(MaglevTest, SizeIsTheSmallestPrimeOfAHundredSlotsPerBackend) {
  EXPECT_EQ(MaglevTableSize(0), 0u);
  EXPECT_EQ(MaglevTableSize(1), 251u);
  EXPECT_EQ(MaglevTableSize(2), 251u);
  EXPECT_EQ(MaglevTableSize(3), 1021u);
  EXPECT_EQ(MaglevTableSize(10), 1021u);
  EXPECT_EQ(MaglevTableSize(11), 4093u);
  EXPECT_EQ(MaglevTableSize(163), 16381u);
  EXPECT_EQ(MaglevTableSize(164), 65537u);
  EXPECT_EQ(MaglevTableSize(5000), 65537u);
}

TEST(MaglevTest, TheOrderAndTheIdsOfBackendsDoNotMatter) {
  std::vector<MaglevBackend> backends = Backends(7);
  const std::vector<uint32_t> table = BuildMaglevTable(backends, 1021, 42);
  std::reverse(backends.begin(), backends.end());
  EXPECT_EQ(BuildMaglevTable(backends, 1021, 42), table);
  for (MaglevBackend& backend : backends) backend.value += 1000;
  std::vector<uint32_t> shifted = BuildMaglevTable(backends, 1021, 42);
  for (uint32_t& value : shifted) value -= 1000;
  EXPECT_EQ(shifted, table);
}

TEST(MaglevTest, TheTableIsTheSameForEver) {
  // Nodes of different versions must agree: these values are a promise.
  const std::vector<uint32_t> table = BuildMaglevTable(Backends(3), 251, 7);
  EXPECT_EQ(std::vector<uint32_t>(table.begin(), table.begin() + 12),
            (std::vector<uint32_t>{3, 3, 3, 3, 1, 1, 3, 3, 3, 2, 2, 1}));
}

TEST(MaglevTest, SharesAreEven) {
  for (const int count : {1, 2, 3, 10, 100}) {
    const uint32_t size = MaglevTableSize(count);
    const auto shares = Shares(BuildMaglevTable(Backends(count), size, 1));
    ASSERT_EQ(shares.size(), static_cast<size_t>(count));
    for (const auto& [value, share] : shares) EXPECT_NEAR(share * count, 1.0, 0.02) << value;
  }
}

TEST(MaglevTest, SharesFollowTheWeights) {
  std::vector<MaglevBackend> backends = Backends(4);
  backends[0].weight = 300;
  backends[1].weight = 100;
  backends[2].weight = 0;
  backends[3].weight = 100;
  const auto shares = Shares(BuildMaglevTable(backends, 4093, 1));
  EXPECT_NEAR(shares.at(1), 0.6, 0.01);
  EXPECT_NEAR(shares.at(2), 0.2, 0.01);
  EXPECT_NEAR(shares.at(4), 0.2, 0.01);
  EXPECT_FALSE(shares.contains(3));
}

TEST(MaglevTest, NobodyWithAWeightMakesNoTable) {
  std::vector<MaglevBackend> backends = Backends(2);
  for (MaglevBackend& backend : backends) backend.weight = 0;
  EXPECT_TRUE(BuildMaglevTable(backends, 251, 1).empty());
  EXPECT_TRUE(BuildMaglevTable({}, 251, 1).empty());
}

TEST(MaglevTest, RemovingOneBackendMovesFewSlotsOfTheOthers) {
  for (const int count : {10, 100}) {
    const uint32_t size = MaglevTableSize(count);
    std::vector<MaglevBackend> backends = Backends(count);
    const std::vector<uint32_t> before = BuildMaglevTable(backends, size, 1);
    backends.erase(backends.begin() + 4);
    const std::vector<uint32_t> after = BuildMaglevTable(backends, size, 1);
    int moved = 0;
    for (uint32_t i = 0; i < size; i++) {
      if (before[i] != 5 && before[i] != after[i]) moved++;
    }
    EXPECT_LT(moved, size * 0.03) << count;
  }
}

TEST(MaglevTest, AnotherSeedIsAnotherTable) {
  EXPECT_NE(BuildMaglevTable(Backends(5), 1021, 1), BuildMaglevTable(Backends(5), 1021, 2));
}

}  // namespace
}  // namespace portolan::datapath
