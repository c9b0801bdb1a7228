// What a pool hands out: exclusions, addresses that old devices dislike, several for one Service,
// and when it will be empty.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class EnginePoolTest : public testing::Test {
 protected:
  EnginePoolTest() { world_.Start(); }
  ~EnginePoolTest() override { EXPECT_THAT(world_.problems, IsEmpty()); }

  std::string Given(const std::string& key) {
    world_.Add(ServiceOf(key));
    return world_.AddressesOf(key);
  }
  ServiceRequest Exactly(const std::string& key, const std::string& address) {
    ServiceRequest service = ServiceOf(key);
    service.requested_addresses = {address};
    return service;
  }

  Disk disk_;
  World world_{&disk_};
};

TEST_F(EnginePoolTest, ExcludedRangesAreNotHandedOutNorOnRequest) {
  PoolConfig pool = PoolOf("p", {"10.0.0.0-10.0.0.5", "2001:db8::/126"});
  pool.excluded = {BlockOf("10.0.0.0/31"), BlockOf("10.0.0.3-10.0.0.4")};
  world_.Add(pool);
  EXPECT_EQ(Given("n/a"), "10.0.0.2");
  EXPECT_EQ(Given("n/b"), "10.0.0.5");
  EXPECT_EQ(Given("n/c"), "");
  EXPECT_EQ(world_.ReasonOf("n/c"), "pool-exhausted");
  world_.Add(Exactly("n/exact", "10.0.0.3"));
  EXPECT_EQ(world_.ReasonOf("n/exact"), "address-reserved");
  EXPECT_THAT(world_.StatusOf("n/exact")->message, HasSubstr("10.0.0.3 is reserved in pool \"p\""));
  world_.Advance(absl::Seconds(1));
  EXPECT_EQ(world_.CountsOf("p"), "ipv4 2/6 4 reserved, ipv6 0/4 2 reserved");
}

TEST_F(EnginePoolTest, BuggyAddressesAreAvoidedInEachBlockOfIpv4Alone) {
  PoolConfig pool = PoolOf("p", {"10.0.0.254-10.0.1.1", "2001:db8::-2001:db8::ff"});
  pool.avoid_buggy_ips = true;
  world_.Add(pool);
  EXPECT_EQ(Given("n/a"), "10.0.0.254");
  EXPECT_EQ(Given("n/b"), "10.0.1.1");
  EXPECT_EQ(Given("n/c"), "");
  world_.Add(Exactly("n/exact", "10.0.0.255"));
  EXPECT_EQ(world_.ReasonOf("n/exact"), "address-reserved");
  ServiceRequest six = ServiceOf("n/six");
  six.families = {net::Family::kIpv6};
  world_.Add(six);
  EXPECT_EQ(world_.AddressesOf("n/six"), "2001:db8::");
}

// What is held when a range becomes excluded stays, is counted, and is not given again.
TEST_F(EnginePoolTest, AnAddressThatBecomesExcludedStaysWithItsServiceAndGoesToNobodyAfterwards) {
  PoolConfig pool = PoolOf("p", {"10.0.0.1-10.0.0.3"});
  world_.Add(pool);
  EXPECT_EQ(Given("n/a"), "10.0.0.1");
  pool.excluded = {BlockOf("10.0.0.1-10.0.0.2")};
  world_.Add(pool);
  EXPECT_EQ(world_.AddressesOf("n/a"), "10.0.0.1");
  world_.Advance(absl::Seconds(1));
  EXPECT_EQ(world_.CountsOf("p"), "ipv4 1/3 1 reserved");
  world_.RemoveService("n/a");
  EXPECT_EQ(Given("n/b"), "10.0.0.3");
  world_.Advance(absl::Seconds(1));
  EXPECT_EQ(world_.CountsOf("p"), "ipv4 1/3 2 reserved");
}

TEST_F(EnginePoolTest, SeveralAddressesOfEachFamilyComeAsFarAsThereAre) {
  world_.Add(PoolOf("p", {"10.0.0.1-10.0.0.2", "2001:db8::1-2001:db8::9"}));
  ServiceRequest service = ServiceOf("n/a");
  service.family_policy = FamilyPolicy::kRequireDualStack;
  service.addresses_per_family = 3;
  world_.Add(service);
  EXPECT_EQ(world_.AddressesOf("n/a"), "10.0.0.1 10.0.0.2 2001:db8::1 2001:db8::2 2001:db8::3");
  EXPECT_EQ(world_.StatusOf("n/a")->state, State::kDegraded);
  EXPECT_EQ(world_.ReasonOf("n/a"), "pool-exhausted");
  service.addresses_per_family = 1;
  world_.Add(service);
  EXPECT_EQ(world_.AddressesOf("n/a"), "10.0.0.1 2001:db8::1");
  EXPECT_EQ(world_.StatusOf("n/a")->state, State::kReady);
}

TEST_F(EnginePoolTest, TimeToExhaustionIsPublishedWhileUseGrowsAndEndsWhenItDoesNot) {
  world_.Add(PoolOf("p", {"10.0.0.1-10.0.0.100"}));
  for (int minute = 0; minute < 10; ++minute) {
    Given(absl::StrCat("n/", minute));
    world_.Advance(absl::Minutes(1));
  }
  // 90 are left, one a minute.
  const int64_t seconds = world_.StateOf("p")->counts.at(0).exhausted_in_s;
  EXPECT_GT(seconds, 80 * 60);
  EXPECT_LT(seconds, 110 * 60);
  world_.Advance(absl::Hours(2));
  EXPECT_EQ(world_.StateOf("p")->counts.at(0).exhausted_in_s, 0);
}

}  // namespace
}  // namespace portolan::ipam
