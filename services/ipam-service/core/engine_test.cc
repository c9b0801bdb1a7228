// Pools, Services, families, requests: who gets what, and who keeps what.
#include "services/ipam-service/core/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

LabelSelector ColorIn(std::vector<std::string> colors) {
  return LabelSelector({{"color", LabelSelector::Operator::kIn, std::move(colors)}});
}

class EngineTest : public testing::Test {
 protected:
  EngineTest() { world_.Start(); }
  ~EngineTest() override { EXPECT_THAT(world_.problems, IsEmpty()); }

  Disk disk_;
  World world_{&disk_};
};

TEST_F(EngineTest, WithoutAPoolAServiceIsPendingAndSaysSo) {
  world_.Add(ServiceOf("default/web"));
  const StatusReport* status = world_.StatusOf("default/web");
  ASSERT_NE(status, nullptr);
  EXPECT_EQ(status->state, State::kPending);
  EXPECT_EQ(status->reason, "no-pool");
  EXPECT_EQ(status->message,
            "Service default/web does not get an ipv4 address: there is no "
            "address pool");
  EXPECT_THAT(status->remedy, HasSubstr("add a pool"));
}

TEST_F(EngineTest, APoolServesTheServicesThatWaitForIt) {
  world_.Add(ServiceOf("default/web"));
  world_.Add(PoolOf("first", {"20.0.10.0/24"}));
  EXPECT_EQ(world_.AddressesOf("default/web"), "20.0.10.1");
  EXPECT_EQ(world_.PoolsOf("default/web"), "first");
  EXPECT_EQ(world_.StatusOf("default/web")->state, State::kReady);
  EXPECT_EQ(disk_.rows.at(Address("20.0.10.1")).service, "default/web");
}

// Issue 2, story step 3.
TEST_F(EngineTest, TheStoryOfRedAndGreen) {
  world_.Add(PoolOf("first", {"20.0.10.0/24"}));
  world_.Add(ServiceOf("default/web"));
  PoolConfig colors = PoolOf("colors", {"20.0.20.0/24"});
  colors.service_selector = ColorIn({"yellow", "red", "blue"});
  world_.Add(colors);
  world_.Add(ServiceOf("default/red", {{"color", "red"}}));
  world_.Add(ServiceOf("default/green", {{"color", "green"}}));
  EXPECT_EQ(world_.AddressesOf("default/red"), "20.0.20.1");  // "colors" before "first"
  EXPECT_EQ(world_.AddressesOf("default/green"), "20.0.10.2");

  world_.RemovePool("first");
  EXPECT_EQ(world_.AddressesOf("default/red"), "20.0.20.1");
  EXPECT_EQ(world_.AddressesOf("default/green"), "");
  const StatusReport* green = world_.StatusOf("default/green");
  EXPECT_EQ(green->state, State::kPending);
  EXPECT_EQ(green->reason, "selector-mismatch");
  EXPECT_THAT(green->message, HasSubstr("color In [yellow, red, blue]"));
  ASSERT_EQ(green->findings.size(), 1u);
  EXPECT_EQ(green->findings[0].subject, "pool/colors");
  EXPECT_EQ(world_.ReasonOf("default/web"), "selector-mismatch");

  PoolConfig second = PoolOf("greens", {"20.0.30.0/24"});
  second.service_selector = ColorIn({"green"});
  world_.Add(second);
  EXPECT_EQ(world_.AddressesOf("default/green"), "20.0.30.1");
  EXPECT_EQ(world_.AddressesOf("default/red"), "20.0.20.1");
}

TEST_F(EngineTest, ARemovedPoolsServicesMoveToAnotherPoolThatServes) {
  world_.Add(PoolOf("a", {"10.0.0.0/24"}));
  world_.Add(ServiceOf("default/web"));
  world_.Add(PoolOf("b", {"10.0.1.0/24"}));
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.0.1");
  world_.RemovePool("a");
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.1.1");
  EXPECT_FALSE(disk_.rows.contains(Address("10.0.0.1")));
}

struct FamilyCase {
  const char* claim;
  FamilyPolicy policy;
  std::vector<net::Family> families;
  std::vector<std::string> blocks;
  std::string addresses;
  State state;
};

TEST(EngineFamilies, FollowPolicyAndOrder) {
  const std::string v4 = "172.18.255.200/29", v6 = "2001:db8:dead:beef::/64";
  const net::Family k4 = net::Family::kIpv4, k6 = net::Family::kIpv6;
  const std::string a4 = "172.18.255.201", a6 = "2001:db8:dead:beef::1";
  using enum FamilyPolicy;
  const FamilyCase cases[] = {
      {"single, default, is v4", kSingleStack, {}, {v4, v6}, a4, State::kReady},
      {"single, default, is v6 where no pool has v4", kSingleStack, {}, {v6}, a6, State::kReady},
      {"single takes the first of the list", kSingleStack, {k6, k4}, {v4, v6}, a6, State::kReady},
      {"single, listed, does not fall back", kSingleStack, {k6}, {v4}, "", State::kPending},
      {"prefer takes both", kPreferDualStack, {}, {v4, v6}, a4 + " " + a6, State::kReady},
      {"prefer keeps the order",
       kPreferDualStack,
       {k6, k4},
       {v4, v6},
       a6 + " " + a4,
       State::kReady},
      {"prefer is content with v4", kPreferDualStack, {}, {v4}, a4, State::kReady},
      {"prefer is content with its second", kPreferDualStack, {k4, k6}, {v6}, a6, State::kReady},
      {"prefer takes only what is listed", kPreferDualStack, {k6}, {v4, v6}, a6, State::kReady},
      {"require takes both", kRequireDualStack, {}, {v4, v6}, a4 + " " + a6, State::kReady},
      {"require leads with the first of the list",
       kRequireDualStack,
       {k6},
       {v4, v6},
       a6 + " " + a4,
       State::kReady},
      {"require is not satisfied with one", kRequireDualStack, {}, {v4}, a4, State::kDegraded},
  };
  for (const FamilyCase& c : cases) {
    Disk disk;
    World world(&disk);
    world.Start();
    world.Add(PoolOf("dual", c.blocks));
    ServiceRequest service = ServiceOf("default/web");
    service.family_policy = c.policy;
    service.families = c.families;
    world.Add(service);
    EXPECT_EQ(world.AddressesOf("default/web"), c.addresses) << c.claim;
    EXPECT_EQ(world.StatusOf("default/web")->state, c.state) << c.claim;
  }
}

TEST_F(EngineTest, TheMissingFamilyIsAddedWhenAPoolForItComes) {
  world_.Add(PoolOf("four", {"10.0.0.0/24"}));
  ServiceRequest service = ServiceOf("default/web");
  service.family_policy = FamilyPolicy::kRequireDualStack;
  world_.Add(service);
  EXPECT_EQ(world_.ReasonOf("default/web"), "family-missing");
  world_.Add(PoolOf("six", {"2001:db8::/64"}));
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.0.1 2001:db8::1");
  EXPECT_EQ(world_.StatusOf("default/web")->state, State::kReady);
}

struct EdgeCase {
  const char* claim;
  std::string block;
  bool allow;
  std::string first;
  std::string counts;
};

TEST(EngineEdges, AreLeftOutOnlyWhereACidrHasThemToSpare) {
  const EdgeCase cases[] = {
      {"a /29 has 8, its edges reserved", "10.0.0.8/29", false, "10.0.0.9", "ipv4 1/8 2 reserved"},
      {"a /29 with its edges has 8", "10.0.0.8/29", true, "10.0.0.8", "ipv4 1/8"},
      {"a /31 has both", "10.0.0.8/31", false, "10.0.0.8", "ipv4 1/2"},
      {"a /32 has one", "10.0.0.8/32", false, "10.0.0.8", "ipv4 1/1"},
      {"a range has all", "10.0.0.8-10.0.0.15", false, "10.0.0.8", "ipv4 1/8"},
      {"a /127 has both", "2001:db8::/127", false, "2001:db8::", "ipv6 1/2"},
      {"a /128 has one", "2001:db8::7/128", false, "2001:db8::7", "ipv6 1/1"},
      {"a /64 is exact", "2001:db8::/64", false, "2001:db8::1",
       "ipv6 1/18446744073709551616 2 reserved"},
      {"a /32 of IPv6 is exact", "2001:db8::/32", true,
       "2001:db8::", "ipv6 1/79228162514264337593543950336"},
      {"all of IPv6 is exact", "::/0", true,
       "::", "ipv6 1/340282366920938463463374607431768211456"},
      {"all of IPv4 is exact", "0.0.0.0/0", true, "0.0.0.0", "ipv4 1/4294967296"},
  };
  for (const EdgeCase& c : cases) {
    Disk disk;
    World world(&disk);
    world.Start();
    PoolConfig pool = PoolOf("p", {c.block});
    pool.allow_first_last = c.allow;
    world.Add(pool);
    world.Add(ServiceOf("default/web"));
    world.Advance(absl::Seconds(1));
    EXPECT_EQ(world.AddressesOf("default/web"), c.first) << c.claim;
    EXPECT_EQ(world.CountsOf("p"), c.counts) << c.claim;
  }
}

TEST_F(EngineTest, PriorityThenNameDecidesWhichPoolServes) {
  PoolConfig late = PoolOf("a-late", {"10.0.1.0/24"});
  late.priority = 20;
  PoolConfig early = PoolOf("z-early", {"10.0.2.0/24"});
  early.priority = 10;
  world_.Add(late);
  world_.Add(early);
  world_.Add(PoolOf("zero", {"10.0.3.0/31"}));
  for (int i = 0; i < 3; ++i) world_.Add(ServiceOf(absl::StrCat("default/", i)));
  EXPECT_EQ(world_.AddressesOf("default/0"), "10.0.3.0");
  EXPECT_EQ(world_.AddressesOf("default/1"), "10.0.3.1");
  EXPECT_EQ(world_.AddressesOf("default/2"), "10.0.2.1");
}

TEST_F(EngineTest, TheLowestAddressIsNextEvenAfterAPinnedOne) {
  world_.Add(PoolOf("p", {"10.0.0.0/24"}));
  ServiceRequest pinned = ServiceOf("default/pinned");
  pinned.requested_addresses = {"10.0.0.200"};
  world_.Add(pinned);
  world_.Add(ServiceOf("default/next"));
  EXPECT_EQ(world_.AddressesOf("default/pinned"), "10.0.0.200");
  EXPECT_EQ(world_.AddressesOf("default/next"), "10.0.0.1");
}

TEST_F(EngineTest, ADisabledPoolKeepsWhatItGaveAndGivesNoMore) {
  PoolConfig pool = PoolOf("p", {"10.0.0.0/24"});
  world_.Add(pool);
  world_.Add(ServiceOf("default/old"));
  pool.disabled = true;
  world_.Add(pool);
  world_.Add(ServiceOf("default/new"));
  EXPECT_EQ(world_.AddressesOf("default/old"), "10.0.0.1");
  EXPECT_EQ(world_.ReasonOf("default/new"), "pool-disabled");
  world_.Advance(absl::Seconds(1));
  EXPECT_EQ(world_.StateOf("p")->state, "disabled");
  pool.disabled = false;
  world_.Add(pool);
  EXPECT_EQ(world_.AddressesOf("default/new"), "10.0.0.2");
}

TEST_F(EngineTest, AutoAssignOffServesOnlyOnRequest) {
  PoolConfig pool = PoolOf("vip", {"10.0.0.0/24"});
  pool.auto_assign = false;
  world_.Add(pool);
  world_.Add(ServiceOf("default/any"));
  ServiceRequest by_pool = ServiceOf("default/by-pool");
  by_pool.requested_pool = "vip";
  world_.Add(by_pool);
  ServiceRequest by_address = ServiceOf("default/by-address");
  by_address.requested_addresses = {"10.0.0.9"};
  world_.Add(by_address);
  EXPECT_EQ(world_.ReasonOf("default/any"), "auto-assign-off");
  EXPECT_EQ(world_.AddressesOf("default/by-pool"), "10.0.0.1");
  EXPECT_EQ(world_.AddressesOf("default/by-address"), "10.0.0.9");
}

TEST_F(EngineTest, ARequestedPoolIsTheOnlyOneConsidered) {
  world_.Add(PoolOf("a", {"10.0.0.0/24"}));
  ServiceRequest service = ServiceOf("default/web");
  service.requested_pool = "b";
  world_.Add(service);
  EXPECT_EQ(world_.ReasonOf("default/web"), "no-such-pool");
  PoolConfig b = PoolOf("b", {"10.0.1.0/24"});
  b.namespaces = {"other"};
  world_.Add(b);
  EXPECT_EQ(world_.ReasonOf("default/web"), "namespace-mismatch");
  b.namespaces = {"default"};
  world_.Add(b);
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.1.1");
}

TEST_F(EngineTest, TheNamespaceOfASelectorCannotBeForged) {
  PoolConfig pool = PoolOf("p", {"10.0.0.0/24"});
  const std::string key(LabelSelector::kNamespaceKey);
  pool.service_selector = LabelSelector({{key, LabelSelector::Operator::kIn, {"tenant-a"}}});
  world_.Add(pool);
  world_.Add(ServiceOf("tenant-a/web"));
  world_.Add(ServiceOf("tenant-b/web", {{key, "tenant-a"}}));
  EXPECT_EQ(world_.AddressesOf("tenant-a/web"), "10.0.0.1");
  EXPECT_EQ(world_.ReasonOf("tenant-b/web"), "selector-mismatch");
}

// ---- stability ----

TEST_F(EngineTest, NobodyMovesWhenAPoolIsWidenedSplitOrRenamed) {
  world_.Add(PoolOf("p", {"10.0.0.0/30"}));
  world_.Add(ServiceOf("default/a"));
  world_.Add(ServiceOf("default/b"));
  const std::string a = world_.AddressesOf("default/a"), b = world_.AddressesOf("default/b");
  world_.Add(PoolOf("p", {"10.0.0.0/24"}));
  world_.Add(PoolOf("p", {"10.0.0.0-10.0.0.1", "10.0.0.2-10.0.0.9"}));
  world_.Add(PoolOf("q", {"10.0.0.0/24"}));  // overlaps: waits for its turn
  world_.RemovePool("p");
  EXPECT_EQ(world_.AddressesOf("default/a"), a);
  EXPECT_EQ(world_.AddressesOf("default/b"), b);
  EXPECT_EQ(world_.PoolsOf("default/a"), "q");
  EXPECT_EQ(disk_.rows.at(Address(a)).pool, "q");
}

TEST_F(EngineTest, OnlyAddressesOutsideAShrunkPoolAreLost) {
  world_.Add(PoolOf("p", {"10.0.0.0-10.0.0.3"}));
  for (int i = 0; i < 4; ++i) world_.Add(ServiceOf(absl::StrCat("default/", i)));
  world_.Add(PoolOf("p", {"10.0.0.0-10.0.0.1", "10.0.9.0-10.0.9.0"}));
  EXPECT_EQ(world_.AddressesOf("default/0"), "10.0.0.0");
  EXPECT_EQ(world_.AddressesOf("default/1"), "10.0.0.1");
  EXPECT_EQ(world_.AddressesOf("default/2"), "10.0.9.0");
  EXPECT_EQ(world_.ReasonOf("default/3"), "pool-exhausted");
}

TEST_F(EngineTest, ReservingTheEdgesDoesNotRevokeThem) {
  PoolConfig pool = PoolOf("p", {"10.0.0.0/29"});
  pool.allow_first_last = true;
  world_.Add(pool);
  world_.Add(ServiceOf("default/edge"));
  pool.allow_first_last = false;
  world_.Add(pool);
  EXPECT_EQ(world_.AddressesOf("default/edge"), "10.0.0.0");
  world_.RemoveService("default/edge");
  world_.Add(ServiceOf("default/next"));
  EXPECT_EQ(world_.AddressesOf("default/next"), "10.0.0.1");
}

TEST_F(EngineTest, AServiceThatIsNoLongerSelectedLosesItsAddress) {
  PoolConfig pool = PoolOf("p", {"10.0.0.0/24"});
  pool.service_selector = ColorIn({"red"});
  world_.Add(pool);
  world_.Add(ServiceOf("default/web", {{"color", "red"}}));
  world_.Add(ServiceOf("default/web", {{"color", "green"}}));
  EXPECT_EQ(world_.AddressesOf("default/web"), "");
  EXPECT_EQ(world_.ReasonOf("default/web"), "selector-mismatch");
  EXPECT_TRUE(disk_.rows.empty());
}

TEST_F(EngineTest, NewLabelsAndGenerationArePublishedWithTheSameAddress) {
  world_.Add(PoolOf("p", {"10.0.0.0/24"}));
  world_.Add(ServiceOf("default/web"));
  ServiceRequest next = ServiceOf("default/web", {{"tier", "gold"}});
  next.generation = 7;
  world_.Add(next);
  const Allocation& allocation = world_.allocations().at("default/web");
  EXPECT_EQ(allocation.generation, 7u);
  EXPECT_EQ(allocation.labels.Find("tier"), "gold");
  EXPECT_EQ(world_.AddressesOf("default/web"), "10.0.0.1");
  EXPECT_EQ(world_.StatusOf("default/web")->generation, 7u);
}

TEST_F(EngineTest, ARemovedServiceFreesItsAddressForTheOneThatWaitsLongest) {
  world_.Add(PoolOf("p", {"10.0.0.1/32"}));
  for (const char* key : {"default/first", "default/zz", "default/aa"}) world_.Add(ServiceOf(key));
  world_.Add(ServiceOf("default/zz", {{"touched", "while waiting"}}));
  world_.RemoveService("default/first");
  EXPECT_EQ(world_.AddressesOf("default/zz"), "10.0.0.1");
  EXPECT_EQ(world_.AddressesOf("default/aa"), "");
  EXPECT_EQ(world_.StatusOf("default/first"), nullptr);
}

// ---- overlapping pools ----

TEST_F(EngineTest, TheOlderOfTwoOverlappingPoolsWorksAndTheNewerNamesIt) {
  world_.Add(PoolOf("z-old", {"10.0.0.0/24"}));
  world_.Add(ServiceOf("default/web"));
  world_.Add(PoolOf("a-new", {"10.0.0.128/25", "10.1.0.0/24"}));
  world_.Add(ServiceOf("default/other"));
  EXPECT_EQ(world_.PoolsOf("default/other"), "z-old");
  world_.Advance(absl::Seconds(1));
  EXPECT_EQ(world_.StateOf("z-old")->state, "active");
  EXPECT_EQ(world_.StateOf("a-new")->state, "conflicting");
  EXPECT_THAT(world_.StateOf("a-new")->message,
              HasSubstr("the older pool \"z-old\" on 10.0.0.128-10.0.0.255"));
  EXPECT_EQ(world_.PoolStatusOf("a-new")->reason, "pool-conflict");

  world_.Add(PoolOf("a-new", {"10.1.0.0/24"}));
  world_.Advance(absl::Seconds(1));
  EXPECT_EQ(world_.StateOf("a-new")->state, "active");
  EXPECT_EQ(world_.PoolsOf("default/web"), "z-old");
}

TEST_F(EngineTest, APoolThatBecomesConflictingKeepsWhatItGave) {
  world_.Add(PoolOf("a", {"10.0.0.0/25"}));
  world_.Add(PoolOf("b", {"10.0.0.128/25"}));
  ServiceRequest in_b = ServiceOf("default/in-b");
  in_b.requested_pool = "b";
  world_.Add(in_b);
  world_.Add(PoolOf("a", {"10.0.0.0/24"}));
  EXPECT_EQ(world_.AddressesOf("default/in-b"), "10.0.0.129");
  ServiceRequest same = ServiceOf("default/same");
  same.requested_addresses = {"10.0.0.129"};
  world_.Add(same);
  EXPECT_EQ(world_.ReasonOf("default/same"), "address-held");
}

// ---- determinism ----

TEST(EngineDeterminism, ShuffledInputGivesTheSameResult) {
  std::vector<Event> events;
  PoolConfig colors = PoolOf("colors", {"10.1.0.0/28"});
  colors.service_selector = ColorIn({"red", "blue"});
  events.push_back(PoolChanged{colors});
  events.push_back(PoolChanged{PoolOf("small", {"10.2.0.0/29", "2001:db8::/126"})});
  events.push_back(PoolChanged{PoolOf("overlap", {"10.2.0.0/28"})});
  for (int i = 0; i < 40; ++i) {
    ServiceRequest service = ServiceOf(absl::StrCat("ns", i % 3, "/s", i));
    if (i % 2 == 0) service.labels = Labels{{"color", i % 4 == 0 ? "red" : "green"}};
    if (i % 5 == 0) service.family_policy = FamilyPolicy::kPreferDualStack;
    if (i % 11 == 0) service.requested_addresses = {absl::StrCat("10.1.0.", i / 11 + 3)};
    events.push_back(ServiceChanged{service});
  }
  std::map<std::string, Allocation> expected;
  std::sort(events.begin(), events.end(),
            [](const Event& a, const Event& b) { return a.index() < b.index(); });
  for (int round = 0; round < 20; ++round) {
    Disk disk;
    World world(&disk);
    for (const Event& event : events) world.Send(event);
    world.Start();
    if (round == 0) expected = world.allocations();
    EXPECT_EQ(world.allocations(), expected);
    EXPECT_GT(expected.size(), 10u);
    std::rotate(events.begin(), events.begin() + 17, events.end());
    std::swap(events[round], events[events.size() - 1 - round]);
  }
}

}  // namespace
}  // namespace portolan::ipam
