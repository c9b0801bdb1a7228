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

// The symptom: an edit took the address from who had it, for one who had never been told of it.
TEST(EngineSharing, WhoHasTheAddressKeepsItBeforeOneWhoseRowIsNotDurable) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.1-10.0.0.2"}));
  world.Add(Sharing("default/a", 80));
  world.journal_waits = true;
  world.Add(Sharing("default/b", 443));
  world.Add(ServiceOf("default/a"));
  EXPECT_EQ(world.AddressesOf("default/a"), "10.0.0.1");
  world.AnswerJournal();
  EXPECT_EQ(world.AddressesOf("default/a"), "10.0.0.1");
  EXPECT_EQ(world.AddressesOf("default/b"), "10.0.0.2");
  EXPECT_THAT(world.problems, IsEmpty());
}

// The symptom: only the one that was edited last was told of the other pool.
TEST(EngineSharing, AllOnAnAddressAreToldOfThePoolThatAnswersForItNow) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.1-10.0.0.2"}));
  world.Add(PoolOf("q", {"10.0.0.1-10.0.0.4"}));
  world.Add(Sharing("default/a", 80));
  world.Add(Sharing("default/b", 443));
  ServiceRequest a = Sharing("default/a", 80), b = Sharing("default/b", 443);
  a.requested_pool = b.requested_pool = "q";
  world.Add(a);
  EXPECT_EQ(world.PoolsOf("default/a"), "p") << "it still is the pool of the other one";
  world.Add(b);
  EXPECT_EQ(world.PoolsOf("default/a"), "q");
  EXPECT_EQ(world.PoolsOf("default/b"), "q");
  EXPECT_EQ(world.AddressesOf("default/a"), "10.0.0.1");
}

}  // namespace
}  // namespace portolan::ipam
