// Who may be on one address together: each rule refuses in its own words, and both see it alike.
#include "services/ipam-service/core/sharing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint8_t kTcp = 6, kUdp = 17;

ServiceRequest Sharing(const std::string& key, std::vector<Port> ports) {
  ServiceRequest service = ServiceOf(key);
  service.sharing = SharingTerms{.key = "k", .ports = std::move(ports)};
  return service;
}

using Edit = std::function<void(SharingTerms& mine, SharingTerms& theirs)>;

struct Case {
  const char* claim;
  std::string their_key;
  Edit edit;
  std::string reason;  // empty: together
  std::string message;
};

std::vector<Case> Cases() {
  const std::string beside = "a/dns", elsewhere = "b/dns";
  const auto nothing = [](SharingTerms&, SharingTerms&) {};
  const auto local = [](SharingTerms& mine, SharingTerms& theirs) {
    mine.traffic_policy = theirs.traffic_policy = TrafficPolicy::kLocal;
  };
  return {
      {"other ports of one namespace", beside, nothing, "", ""},
      {"one number of two protocols", beside,
       [](SharingTerms&, SharingTerms& theirs) {
         theirs.ports = {{kUdp, 80}};
       },
       "", ""},
      {"one port twice", beside,
       [](SharingTerms&, SharingTerms& theirs) {
         theirs.ports = {{kTcp, 53}, {kTcp, 80}};
       },
       "sharing-port-clash", "it is held by Service a/dns, which also has TCP port 80"},
      {"another key", beside, [](SharingTerms&, SharingTerms& theirs) { theirs.key = "other"; },
       "address-held", "it is held by Service a/dns, whose sharing key is not \"k\""},
      {"another traffic policy", beside,
       [](SharingTerms&, SharingTerms& theirs) { theirs.traffic_policy = TrafficPolicy::kLocal; },
       "sharing-traffic-policy", "whose traffic policy is Local, not Cluster"},
      {"Local with one selector of backends", beside,
       [local](SharingTerms& mine, SharingTerms& theirs) {
         local(mine, theirs);
         mine.backend_selector = theirs.backend_selector = "app=dns";
       },
       "", ""},
      {"Local with different backends", beside,
       [local](SharingTerms& mine, SharingTerms& theirs) {
         local(mine, theirs);
         mine.backend_selector = "app=dns";
         theirs.backend_selector = "app=web";
       },
       "sharing-backends", "under traffic policy Local has other backends"},
      {"Local without selectors, which say nothing", beside, local, "sharing-backends",
       "under traffic policy Local has other backends"},
      {"Local with different backends that one of them allows", beside,
       [local](SharingTerms& mine, SharingTerms& theirs) {
         local(mine, theirs);
         mine.different_backends = true;
       },
       "sharing-backends", "has other backends"},
      {"Local with different backends that both allow", beside,
       [local](SharingTerms& mine, SharingTerms& theirs) {
         local(mine, theirs);
         mine.different_backends = theirs.different_backends = true;
       },
       "", ""},
      {"two namespaces without consent", elsewhere, nothing, "sharing-namespace",
       "which does not share with namespace \"a\""},
      {"two namespaces with the consent of the newcomer", elsewhere,
       [](SharingTerms& mine, SharingTerms&) { mine.namespaces = {"b"}; }, "sharing-namespace",
       "which does not share with namespace \"a\""},
      {"two namespaces with the consent of the holder", elsewhere,
       [](SharingTerms&, SharingTerms& theirs) { theirs.namespaces = {"a"}; }, "sharing-namespace",
       "of namespace \"b\", which is not among the sharing namespaces of this Service"},
      {"two namespaces with consent of both", elsewhere,
       [](SharingTerms& mine, SharingTerms& theirs) {
         mine.namespaces = {"x", "b"};
         theirs.namespaces = {"*"};
       },
       "", ""},
  };
}

TEST(Sharing, EachRuleRefusesInItsOwnWords) {
  for (const Case& c : Cases()) {
    ServiceRequest mine = Sharing("a/web", {{kTcp, 80}});
    ServiceRequest theirs = Sharing(c.their_key, {{kTcp, 53}});
    SharingTerms my_terms = *mine.sharing, their_terms = *theirs.sharing;
    c.edit(my_terms, their_terms);
    mine.sharing = my_terms;
    theirs.sharing = their_terms;
    const auto disagreement = WhyNotTogether(mine, theirs);
    ASSERT_EQ(disagreement.has_value(), !c.reason.empty()) << c.claim;
    EXPECT_EQ(WhyNotTogether(theirs, mine).has_value(), disagreement.has_value()) << c.claim;
    if (disagreement.has_value()) {
      EXPECT_EQ(disagreement->reason, c.reason) << c.claim;
      EXPECT_THAT(disagreement->message, HasSubstr(c.message)) << c.claim;
    }
    // The engine does as it says: who requests the address of the other gets it, or the reason.
    Disk disk;
    World world(&disk);
    world.Start();
    world.Add(PoolOf("p", {"10.0.0.1-10.0.0.1"}));
    world.Add(theirs);
    mine.requested_addresses = {"10.0.0.1"};
    world.Add(mine);
    EXPECT_EQ(world.AddressesOf("a/web"), c.reason.empty() ? "10.0.0.1" : "") << c.claim;
    EXPECT_EQ(world.ReasonOf("a/web"), c.reason.empty() ? "assigned" : c.reason) << c.claim;
    EXPECT_EQ(world.AddressesOf(c.their_key), "10.0.0.1") << c.claim;
    EXPECT_THAT(world.problems, IsEmpty()) << c.claim;
  }
}

TEST(Sharing, WithoutARequestedAddressTheyComeTogetherWhereTheirPortsAreFree) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.1-10.0.0.9"}));
  world.Add(Sharing("a/first", {{kTcp, 80}}));
  world.Add(Sharing("a/clash", {{kTcp, 80}}));
  world.Add(Sharing("a/second", {{kTcp, 443}}));
  world.Add(ServiceOf("a/alone"));
  EXPECT_EQ(world.AddressesOf("a/first"), "10.0.0.1");
  EXPECT_EQ(world.AddressesOf("a/clash"), "10.0.0.2");
  EXPECT_EQ(world.AddressesOf("a/second"), "10.0.0.1");
  EXPECT_EQ(world.AddressesOf("a/alone"), "10.0.0.3");
  world.RemoveService("a/first");
  EXPECT_TRUE(disk.rows.contains(Address("10.0.0.1")));  // the second is on it still
  world.RemoveService("a/second");
  EXPECT_FALSE(disk.rows.contains(Address("10.0.0.1")));
}

// An edit of the one that came later takes the address from that one, not from the first.
TEST(Sharing, WhoseEditBreaksTheTermsLeaves) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.1-10.0.0.9"}));
  world.Add(Sharing("a/first", {{kTcp, 80}}));
  world.Add(Sharing("a/second", {{kTcp, 443}}));
  world.Add(Sharing("a/second", {{kTcp, 80}}));
  EXPECT_EQ(world.AddressesOf("a/first"), "10.0.0.1");
  EXPECT_EQ(world.AddressesOf("a/second"), "10.0.0.2");
  EXPECT_THAT(world.problems, IsEmpty());
}

TEST(Sharing, AKeyOfAMegabyteIsAnErrorOfThatServiceWhichStillGetsAnAddress) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.1-10.0.0.9"}));
  ServiceRequest service = ServiceOf("a/web");
  service.sharing = SharingTerms{.key = std::string(1 << 20, 'k'), .ports = {{kTcp, 80}}};
  world.Add(service);
  ServiceRequest other = service;
  other.key = "a/other";
  other.sharing = SharingTerms{.key = std::string(1 << 20, 'k'), .ports = {{kTcp, 443}}};
  world.Add(other);
  EXPECT_EQ(world.AddressesOf("a/web"), "10.0.0.1");
  EXPECT_EQ(world.AddressesOf("a/other"), "10.0.0.2") << "it shares with nobody";
  const StatusReport* status = world.StatusOf("a/web");
  EXPECT_EQ(status->state, State::kDegraded);
  EXPECT_EQ(status->reason, "sharing-key-too-long");
  EXPECT_THAT(status->message, HasSubstr("has 1048576 octets; at most 253 are possible"));
  EXPECT_LT(status->message.size(), 1000u);
  EXPECT_EQ(status->remedy, "choose a shorter sharing key");
}

}  // namespace
}  // namespace portolan::ipam
