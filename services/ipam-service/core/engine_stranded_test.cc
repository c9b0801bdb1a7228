// Addresses that are kept although nobody would give them now. Found by random operations against a
// plain model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

ServiceRequest Using(const std::string& key, std::vector<std::string> addresses) {
  ServiceRequest service = ServiceOf(key);
  service.addresses_in_use = std::move(addresses);
  return service;
}

// The symptom: a Service that waited for another address was left with none.
TEST(EngineStranded, WhoWaitsForAnotherAddressKeepsTheOldOneWhenItsPoolShrinks) {
  Disk disk;
  World world(&disk);
  world.settings.allow_renumber = false;
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.1-10.0.0.9"}));
  world.Add(ServiceOf("default/web"));
  ServiceRequest elsewhere = ServiceOf("default/web");
  elsewhere.requested_addresses = {"192.0.2.1"};
  world.Add(elsewhere);
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.1");
  world.Add(PoolOf("p", {"10.0.0.2-10.0.0.9"}));
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.1");
  EXPECT_THAT(world.StatusOf("default/web")->message,
              HasSubstr("keeps 10.0.0.1 although it is not allowed any more"));
  world.Set({.allow_renumber = true});
  EXPECT_EQ(world.AddressesOf("default/web"), "");
  EXPECT_THAT(world.problems, IsEmpty());
}

// The symptom: an address in no pool was kept until the next restart and then stripped.
TEST(EngineStranded, ARestartDoesNotMoveWhatWasFoundInUseSinceTheLastEdit) {
  Disk disk;
  const ServiceRequest web = Using("default/web", {"192.0.2.1"});
  {
    World world(&disk);
    world.Start();
    world.Add(PoolOf("p", {"10.0.0.0/24"}));
    world.Add(web);
    EXPECT_EQ(world.AddressesOf("default/web"), "192.0.2.1");
  }
  World world(&disk);
  world.Send(PoolChanged{PoolOf("p", {"10.0.0.0/24"})});
  world.Add(web);
  world.Start();
  world.Advance(absl::Seconds(1));
  EXPECT_EQ(world.AddressesOf("default/web"), "192.0.2.1");
  // An edit with the permission is the operator's decision.
  world.Add(PoolOf("p", {"10.0.0.0/25"}));
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.1");
}

// The symptom: the explanation showed one slot more than there is.
TEST(EngineStranded, WhatWasFoundInUseIsExplainedAsLeavingOnceAnotherAddressIsAskedFor) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.0/24"}));
  world.Add(ServiceOf("default/holder"));
  world.Add(Using("default/web", {"10.0.0.9"}));
  ServiceRequest edited = Using("default/web", {"10.0.0.9"});
  edited.requested_addresses = {"10.0.0.1"};
  world.Add(edited);
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.9");
  EXPECT_EQ(world.engine().Explain("default/web")->status, *world.StatusOf("default/web"));
}

// The symptom: an address that was legal went in favour of one that was not, which went next.
TEST(EngineStranded, WhatIsLegalDoesNotGoForAnAddressThatIsNot) {
  Disk disk;
  World world(&disk);
  world.settings.allow_renumber = false;
  world.Start();
  world.Add(PoolOf("four", {"10.0.0.1-10.0.0.1"}));
  world.Add(PoolOf("six", {"2001:db8::1-2001:db8::1"}));
  ServiceRequest web = ServiceOf("default/web");
  web.family_policy = FamilyPolicy::kRequireDualStack;
  world.Add(web);
  world.Add(PoolOf("four", {"10.0.0.2-10.0.0.2"}));
  web.family_policy = FamilyPolicy::kSingleStack;
  web.families = {net::Family::kIpv4};
  world.Add(web);
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.1 2001:db8::1");
  world.Add(PoolOf("four", {"10.0.0.1-10.0.0.2"}));
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.1");
}

}  // namespace
}  // namespace portolan::ipam
