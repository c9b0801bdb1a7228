// kill -9 at every store call of 1,000 assignments and releases on a real etcd. Each life stands
// for election after the one before; the dead leader's lease is not waited for.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "services/base/store/testing_etcd.h"
#include "services/ipam-service/shell/testing_kills.h"
#include "services/ipam-service/shell/testing_mortal_etcd.h"

namespace portolan::ipam {
namespace {

class KillEtcdTest : public testing::TestWithParam<DeathMoment> {
 protected:
  void SetUp() override {
    if (!store::TestingEtcd::IsInstalled()) GTEST_SKIP() << store::TestingEtcd::kMissing;
    etcd_ = std::make_unique<store::TestingEtcd>();
    const std::string endpoint = etcd_->endpoints().front();
    ASSERT_TRUE(absl::SimpleAtoi(endpoint.substr(endpoint.rfind(':') + 1), &port_));
  }

  std::unique_ptr<store::TestingEtcd> etcd_;
  int port_ = 0;
};

TEST_P(KillEtcdTest, NoAddressHasTwoOwnersAndNoneThatWasAcknowledgedIsLost) {
  Kills([this] { return OpenMortalEtcd(port_); }, GetParam()).Run();
}

INSTANTIATE_TEST_SUITE_P(Moments, KillEtcdTest,
                         testing::Values(DeathMoment::kBefore, DeathMoment::kInside,
                                         DeathMoment::kAfter),
                         [](const auto& info) {
                           return info.param == DeathMoment::kBefore   ? "BeforeTheCall"
                                  : info.param == DeathMoment::kInside ? "SentAndUnanswered"
                                                                       : "BeforeItsOutcomeIsTold";
                         });

}  // namespace
}  // namespace portolan::ipam
