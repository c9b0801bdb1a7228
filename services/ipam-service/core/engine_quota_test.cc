// Quotas: what counts, who is refused and in which words, who is served when there is room again.
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

class EngineQuotaTest : public testing::Test {
 protected:
  EngineQuotaTest() {
    world_.Start();
    world_.Add(PoolOf("p", {"10.0.0.1-10.0.0.9"}));
  }
  ~EngineQuotaTest() override { EXPECT_THAT(world_.problems, IsEmpty()); }

  void Set(QuotaConfig quota) { world_.Send(QuotaChanged{std::move(quota)}); }
  void Add(const std::string& key) { world_.Add(ServiceOf(key)); }
  std::string Has(const std::string& key) const { return world_.AddressesOf(key); }

  Disk disk_;
  World world_{&disk_};
};

TEST_F(EngineQuotaTest, EachNamespaceHasItsOwnAndIsToldWhichQuotaItExceeds) {
  Set({.name = "two", .max_addresses = 2});
  for (const char* key : {"a/1", "a/2", "a/3", "b/1"}) Add(key);
  EXPECT_EQ(Has("a/2"), "10.0.0.2");
  EXPECT_EQ(Has("b/1"), "10.0.0.3");
  const StatusReport* refused = world_.StatusOf("a/3");
  EXPECT_EQ(refused->state, State::kPending);
  EXPECT_EQ(refused->reason, "over-quota");
  EXPECT_THAT(refused->message,
              HasSubstr("namespace \"a\" holds 2 addresses, and quota \"two\" allows 2"));
  EXPECT_THAT(refused->remedy, HasSubstr("raise the quota"));
}

TEST_F(EngineQuotaTest, IsForTheNamespacesThatItNamesOrSelects) {
  world_.Send(NamespaceChanged{"gold", Labels{{"tier", "gold"}}});
  const LabelSelector gold({{"tier", LabelSelector::Operator::kIn, {"gold"}}});
  Set({.name = "none",
       .namespaces = {"listed"},
       .namespace_selectors = {gold},
       .max_addresses = 0});
  for (const char* key : {"listed/a", "gold/a", "free/a"}) Add(key);
  EXPECT_EQ(world_.ReasonOf("listed/a"), "over-quota");
  EXPECT_EQ(world_.ReasonOf("gold/a"), "over-quota");
  EXPECT_EQ(Has("free/a"), "10.0.0.1");
  world_.Send(NamespaceChanged{"gold", Labels{{"tier", "iron"}}});
  EXPECT_EQ(Has("gold/a"), "10.0.0.2");
}

TEST_F(EngineQuotaTest, CountsThePoolsThatItNamesTogether) {
  world_.Add(PoolOf("q", {"10.1.0.1-10.1.0.9"}));
  world_.Add(PoolOf("r", {"10.2.0.1-10.2.0.9"}));
  Set({.name = "dear", .pools = {"p", "q"}, .max_addresses = 2});
  ServiceRequest in_q = ServiceOf("a/q");
  in_q.requested_pool = "q";
  world_.Add(in_q);
  for (const char* key : {"a/1", "a/2"}) Add(key);
  EXPECT_EQ(Has("a/q"), "10.1.0.1");
  EXPECT_EQ(Has("a/1"), "10.0.0.1");
  EXPECT_EQ(Has("a/2"), "10.2.0.1") << "the pool that is not counted serves";
}

TEST_F(EngineQuotaTest, ARequestedAddressIsCountedAndSaysSoOfThatAddress) {
  Set({.name = "one", .max_addresses = 1});
  Add("a/1");
  ServiceRequest exact = ServiceOf("a/exact");
  exact.requested_addresses = {"10.0.0.7"};
  world_.Add(exact);
  ASSERT_EQ(world_.ReasonOf("a/exact"), "over-quota");
  EXPECT_EQ(world_.StatusOf("a/exact")->findings.at(0).subject, "address/10.0.0.7");
}

TEST_F(EngineQuotaTest, AnAddressThatTwoShareCountsOnce) {
  Set({.name = "one", .max_addresses = 1});
  for (const uint16_t port : {80, 443}) {
    ServiceRequest service = ServiceOf(absl::StrCat("a/", port));
    service.sharing = SharingTerms{.key = "k", .ports = {{6, port}}};
    world_.Add(service);
    EXPECT_EQ(Has(service.key), "10.0.0.1");
  }
}

TEST_F(EngineQuotaTest, WhoWaitsLongestIsServedWhenThereIsRoom) {
  Set({.name = "one", .max_addresses = 1});
  for (const char* key : {"a/1", "a/3", "a/2"}) Add(key);
  world_.RemoveService("a/1");
  EXPECT_NE(Has("a/3"), "");
  EXPECT_EQ(Has("a/2"), "");
  Set({.name = "one", .max_addresses = 2});
  EXPECT_NE(Has("a/2"), "");
}

TEST_F(EngineQuotaTest, ALowerQuotaTakesNothingAndNoMoreIsGivenUntilThereIsRoom) {
  for (const char* key : {"a/1", "a/2"}) Add(key);
  Set({.name = "one", .max_addresses = 1});
  EXPECT_EQ(Has("a/1"), "10.0.0.1");
  EXPECT_EQ(Has("a/2"), "10.0.0.2");
  EXPECT_EQ(world_.ReasonOf("a/2"), "assigned");
  Add("a/3");
  world_.RemoveService("a/1");
  EXPECT_EQ(Has("a/3"), "");
  world_.RemoveService("a/2");
  EXPECT_NE(Has("a/3"), "");
}

// An edit of the Service itself that keeps its address does not ask the quota again.
TEST_F(EngineQuotaTest, WhatIsHeldOverAQuotaSurvivesAnEditAndARestart) {
  for (const char* key : {"a/1", "a/2"}) Add(key);
  Set({.name = "none", .max_addresses = 0});
  world_.Add(ServiceOf("a/1", {{"touched", "yes"}}));
  EXPECT_EQ(Has("a/1"), "10.0.0.1");
  World next(&disk_);
  next.Send(PoolChanged{PoolOf("p", {"10.0.0.1-10.0.0.9"})});
  next.Send(QuotaChanged{{.name = "none", .max_addresses = 0}});
  for (const char* key : {"a/1", "a/2"}) next.Add(ServiceOf(key));
  next.Start();
  EXPECT_EQ(next.AddressesOf("a/1"), "10.0.0.1");
  EXPECT_EQ(next.AddressesOf("a/2"), "10.0.0.2");
}

// Make before break: the old address drains, which no longer counts, and the new one counts.
TEST_F(EngineQuotaTest, AnAddressThatDrainsDoesNotCount) {
  Settings settings = world_.settings;
  settings.drain_time = absl::Seconds(30);
  world_.Set(settings);
  Set({.name = "one", .max_addresses = 1});
  Add("a/1");
  world_.Add(PoolOf("p", {"10.0.5.1-10.0.5.9"}));
  EXPECT_EQ(Has("a/1"), "10.0.5.1 10.0.0.1");
  world_.Advance(absl::Seconds(30));
  EXPECT_EQ(Has("a/1"), "10.0.5.1");
}

}  // namespace
}  // namespace portolan::ipam
