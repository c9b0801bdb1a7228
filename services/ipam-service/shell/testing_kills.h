// kill -9 at every store call of 1,000 assignments and releases, for tests on any store.
//
// Owns the lives (testing_life.h), each a child process that is gone before the next one begins,
// and the witness. The calling process must not have used gRPC before: its children do.
#pragma once

#include <vector>

#include "services/ipam-service/shell/testing_life.h"
#include "services/ipam-service/shell/testing_witness.h"

namespace portolan::ipam {

class Kills {
 public:
  Kills(OpenMortal open, DeathMoment moment);

  // Life after life until the work is done, and one more that finds the outcome. Fails the test
  // when an address has two owners or one that was acknowledged is lost. Says how many died.
  void Run();

 private:
  // True: it was killed. False: it came to the end of the work.
  bool LiveOnce();

  const OpenMortal open_;
  const DeathMoment moment_;
  const std::vector<Operation> operations_;
  Witness witness_{&operations_};
};

}  // namespace portolan::ipam
