// A million random operations against a plain model (core/testing_random_run.h says what is
// compared). A failure is named by its seed and the operation that made it visible.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <iostream>

#include "absl/strings/str_join.h"
#include "services/ipam-service/core/testing_random_run.h"

namespace portolan::ipam {
namespace {

constexpr int kSeeds = 1000;
constexpr int kOperations = 1000;  // of each seed
constexpr int kParts = 4;          // that run side by side
constexpr int kRest = 20;          // operations between two comparisons of everything

// The first operation after which something is wrong.
int FirstBad(uint64_t seed, bool overlaps, int rest) {
  RandomRun run(seed, overlaps);
  for (int operation = 1; operation <= kOperations; ++operation) {
    run.Step(rest);
    if (run.problems().empty()) continue;
    ADD_FAILURE() << "seed " << seed << (overlaps ? " with" : " without") << " overlaps, operation "
                  << operation << ": " << absl::StrJoin(run.problems(), "\n");
    return operation;
  }
  return 0;
}

class EngineModel : public testing::TestWithParam<int> {};

TEST_P(EngineModel, AgreesWithThePlainModel) {
  int operations = 0;
  for (uint64_t seed = GetParam(); seed < kSeeds; seed += kParts) {
    ASSERT_EQ(FirstBad(seed, /*overlaps=*/seed / kParts % 2 == 1, kRest), 0);
    operations += kOperations;
  }
  std::cout << operations << " operations\n";
}

INSTANTIATE_TEST_SUITE_P(Part, EngineModel, testing::Range(0, kParts));

}  // namespace
}  // namespace portolan::ipam
