// Services that wait and could share an address that somebody else has come to. Found by random
// operations against a plain model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using ::testing::IsEmpty;

ServiceRequest Sharing(const std::string& key, uint16_t port) {
  ServiceRequest service = ServiceOf(key);
  service.sharing = SharingTerms{.key = "k", .namespaces = {"*"}, .ports = {{6, port}}};
  return service;
}

// The symptom: it waited though another had come to an address that it may share.
TEST(EngineSharing, WhoWaitsJoinsOneThatBeginsToShare) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.1-10.0.0.1"}));
  world.Add(ServiceOf("default/a"));
  world.Add(Sharing("default/b", 443));
  EXPECT_EQ(world.AddressesOf("default/b"), "");
  world.Add(Sharing("default/a", 80));
  EXPECT_EQ(world.AddressesOf("default/a"), "10.0.0.1");
  EXPECT_EQ(world.AddressesOf("default/b"), "10.0.0.1");
  EXPECT_THAT(world.problems, IsEmpty());
}

// Its pool's picker is not there, so nothing can be chosen; but the other one names its address.
TEST(EngineSharing, WhoWaitsJoinsOneThatTakesTheAddressThatItRequests) {
  Disk disk;
  World world(&disk);
  world.Start();
  PoolConfig pool = PoolOf("p", {"10.0.0.1-10.0.0.9"});
  pool.address_picker = "nobody";
  world.Add(pool);
  world.Add(Sharing("default/b", 443));
  EXPECT_EQ(world.AddressesOf("default/b"), "");
  ServiceRequest exact = Sharing("default/a", 80);
  exact.requested_addresses = {"10.0.0.7"};
  world.Add(exact);
  EXPECT_EQ(world.AddressesOf("default/a"), "10.0.0.7");
  EXPECT_EQ(world.AddressesOf("default/b"), "10.0.0.7");
  EXPECT_THAT(world.problems, IsEmpty());
}

}  // namespace
}  // namespace portolan::ipam
