// Replays one seed of the simulation, line by line: bazel run //integration/simulation -- --seed N
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "integration/simulation/world.h"

int main(int argc, char** argv) {
  uint64_t seed = 1;
  int steps = 200;
  bool quiet = false;
  CLI::App app{"One run of Portolan's simulation"};
  app.add_option("--seed", seed, "decides everything")->capture_default_str();
  app.add_option("--steps", steps, "things that happen before it heals")->capture_default_str();
  app.add_flag("--quiet", quiet, "only the outcome");
  CLI11_PARSE(app, argc, argv);
  portolan::simulation::World world(seed, /*print=*/!quiet);
  for (int i = 0; i < steps; ++i) world.Step();
  world.Heal();
  const auto& violations = world.journal().violations();
  std::printf("seed %llu, %d steps, journal %016llx: %zu violations\n",
              static_cast<unsigned long long>(seed), steps,
              static_cast<unsigned long long>(world.journal().hash()), violations.size());
  for (const std::string& violation : violations) std::printf("  %s\n", violation.c_str());
  // The kernel in memory reports what it finds as GoogleTest failures.
  const bool kernel_failed = testing::UnitTest::GetInstance()->ad_hoc_test_result().Failed();
  return violations.empty() && !kernel_failed ? 0 : 1;
}
