#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>

#include "absl/strings/str_join.h"
#include "integration/simulation/world.h"

namespace portolan::simulation {
namespace {

constexpr int kSteps = 150;

// The journal's hash.
uint64_t Simulate(uint64_t seed) {
  World world(seed, /*print=*/false);
  for (int i = 0; i < kSteps && world.journal().violations().empty(); ++i) world.Step();
  if (world.journal().violations().empty()) world.Heal();
  EXPECT_TRUE(world.journal().violations().empty() && !testing::Test::HasFailure())
      << "replay: bazel run //integration/simulation -- --seed " << seed << " --steps " << kSteps
      << "\n  " << absl::StrJoin(world.journal().violations(), "\n  ") << "\nthe last lines:\n  "
      << absl::StrJoin(world.journal().last(), "\n  ");
  return world.journal().hash();
}

TEST(Simulation, EveryPromiseIsKeptWhateverHappens) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    Simulate(seed);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

TEST(Simulation, ASeedDecidesEverything) {
  EXPECT_EQ(Simulate(7), Simulate(7));
  EXPECT_NE(Simulate(7), Simulate(8));
}

}  // namespace
}  // namespace portolan::simulation
