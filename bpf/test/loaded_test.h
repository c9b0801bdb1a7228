// What tests have that load programs of their own for each case: a network namespace with the
// interface t0 (network.h), and a harness whose packets come in there. Needs root, else it skips.
#pragma once

#include <gtest/gtest.h>
#include <net/if.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "bpf/test/harness.h"
#include "bpf/test/network.h"

namespace portolan::bpf {

template <typename Case>
class LoadedTest : public testing::TestWithParam<Case> {
 protected:
  static void SetUpTestSuite() {
    if (geteuid() == 0) network_ = EnterTestNetwork();
  }
  // There is a harness afterwards, unless the test is skipped or has failed.
  void Load(const Harness::Sizes& sizes) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to load BPF programs";
    ASSERT_TRUE(network_) << "cannot make a network namespace";
    auto harness = Harness::Load(sizes);
    ASSERT_TRUE(harness.ok()) << harness.status();
    harness_ = *std::move(harness);
    harness_->set_ifindex(if_nametoindex("t0"));
  }

  std::unique_ptr<Harness> harness_;

 private:
  inline static bool network_ = false;
};

}  // namespace portolan::bpf
