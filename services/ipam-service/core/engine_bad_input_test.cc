// Requests that cannot be met: each address has its own outcome, and nothing else suffers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/core/testing_world.h"

namespace portolan::ipam {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Case {
  const char* claim;
  ServiceRequest request;
  std::string addresses;
  State state;
  std::string reason;
  std::string message;  // a part
};

ServiceRequest Wanting(std::vector<std::string> addresses) {
  ServiceRequest request = ServiceOf("default/web");
  request.requested_addresses = std::move(addresses);
  return request;
}

ServiceRequest With(ServiceRequest request, auto change) {
  change(request);
  return request;
}

TEST(EngineBadInput, EachAddressHasItsOwnOutcome) {
  const Case cases[] = {
      {"all granted", Wanting({"10.0.0.7", "10.0.0.5"}), "10.0.0.7 10.0.0.5", State::kReady,
       "assigned", "has 10.0.0.7, 10.0.0.5"},
      {"the same twice is once", Wanting({"10.0.0.7", "10.0.0.7"}), "10.0.0.7", State::kReady,
       "assigned", ""},
      {"both families", Wanting({"2001:db8::7", "10.0.0.7"}), "2001:db8::7 10.0.0.7", State::kReady,
       "assigned", ""},
      {"one held", Wanting({"10.0.0.7", "10.0.0.1"}), "10.0.0.7", State::kDegraded, "address-held",
       "10.0.0.1: it is held by Service default/holder"},
      {"only a held one", Wanting({"10.0.0.1"}), "", State::kPending, "address-held",
       "held by Service default/holder"},
      {"one held by another tenant, who is named", Wanting({"10.0.0.2"}), "", State::kPending,
       "address-held", "10.0.0.2: it is held by Service tenant/other"},
      {"in no pool", Wanting({"192.0.2.1", "10.0.0.7"}), "10.0.0.7", State::kDegraded,
       "not-in-pool", "no pool covers 192.0.2.1"},
      {"the pool does not select", Wanting({"10.9.0.1"}), "", State::kPending, "selector-mismatch",
       "tier Exists"},
      {"first of a CIDR", Wanting({"10.0.0.0"}), "", State::kPending, "address-reserved",
       "10.0.0.0 is reserved in pool \"p\": the first or last address of a block"},
      {"unparsable is never replaced by another", Wanting({"10.0.0.300"}), "", State::kRejected,
       "unparsable-address", "requested-address \"10.0.0.300\" is not an IP address"},
      {"unparsable beside a good one", Wanting({"10.0.0.7", "x"}), "10.0.0.7", State::kDegraded,
       "unparsable-address", "requested-address \"x\""},
      {"wrong family",
       With(Wanting({"2001:db8::7"}), [](auto& r) { r.families = {net::Family::kIpv4}; }), "",
       State::kRejected, "family-mismatch", "is an ipv6 address"},
      {"both families required, one requested",
       With(Wanting({"10.0.0.7"}),
            [](auto& r) { r.family_policy = FamilyPolicy::kRequireDualStack; }),
       "10.0.0.7", State::kDegraded, "family-missing", "no ipv6 address is requested"},
      {"outside the requested pool",
       With(Wanting({"10.0.0.7"}), [](auto& r) { r.requested_pool = "gold"; }), "", State::kPending,
       "not-in-requested-pool", "requested-pool is \"gold\""},
      {"10,000 addresses", Wanting(std::vector<std::string>(10'000, "10.0.0.7")), "",
       State::kRejected, "too-many-addresses", "10000 addresses are requested; at most 64"},
      {"a pool whose name is a megabyte",
       With(ServiceOf("default/web"), [](auto& r) { r.requested_pool.assign(1 << 20, 'p'); }), "",
       State::kPending, "no-such-pool", "does not exist"},
      {"a megabyte", Wanting({std::string(1 << 20, '\x01')}), "", State::kRejected,
       "unparsable-address", "\\x01...\" is not an IP address"},
  };
  for (const Case& c : cases) {
    Disk disk;
    World world(&disk);
    world.Start();
    world.Add(PoolOf("p", {"10.0.0.0/24", "2001:db8::/64"}));
    PoolConfig gold = PoolOf("gold", {"10.9.0.0/24"});
    gold.service_selector = LabelSelector({{"tier", LabelSelector::Operator::kExists, {}}});
    world.Add(gold);
    world.Add(ServiceOf("default/holder"));
    world.Add(ServiceOf("tenant/other"));
    world.Add(c.request);
    EXPECT_EQ(world.AddressesOf("default/web"), c.addresses) << c.claim;
    const StatusReport* status = world.StatusOf("default/web");
    ASSERT_NE(status, nullptr) << c.claim;
    EXPECT_EQ(status->state, c.state) << c.claim;
    EXPECT_EQ(status->reason, c.reason) << c.claim;
    EXPECT_THAT(status->message, HasSubstr(c.message)) << c.claim;
    EXPECT_LT(status->message.size(), 1000u) << c.claim;
    EXPECT_EQ(world.AddressesOf("default/holder"), "10.0.0.1") << c.claim;
    EXPECT_EQ(world.AddressesOf("tenant/other"), "10.0.0.2") << c.claim;
    EXPECT_THAT(world.problems, IsEmpty());
  }
}

TEST(EngineBadInput, FindingsNameGrantedAndRefusedAddresses) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.0/24"}));
  world.Add(Wanting({"10.0.0.7", "192.0.2.1", "nonsense"}));
  std::vector<std::string> found;
  for (const Finding& finding : world.StatusOf("default/web")->findings) {
    found.push_back(absl::StrCat(finding.subject, " ", finding.reason));
  }
  EXPECT_THAT(found, testing::UnorderedElementsAre("address/nonsense unparsable-address",
                                                   "address/10.0.0.7 granted",
                                                   "address/192.0.2.1 not-in-pool"));
}

TEST(EngineBadInput, ABadEditDoesNotTakeTheAddressAway) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.0/24"}));
  world.Add(ServiceOf("default/web"));
  world.Add(Wanting({"10.0.0."}));
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.1");
  EXPECT_EQ(world.StatusOf("default/web")->state, State::kDegraded);
  world.Add(Wanting({"10.0.0.9"}));
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.9");
  EXPECT_FALSE(disk.rows.contains(Address("10.0.0.1")));
}

TEST(EngineBadInput, APoolWithABadBlockServesFromItsOthers) {
  Disk disk;
  World world(&disk);
  world.Start();
  PoolConfig pool = PoolOf("p", {"10.0.0.0/24"});
  pool.bad_blocks = {{"b2", "first 10.0.0.9 is above last 10.0.0.1"}};
  world.Add(pool);
  world.Add(ServiceOf("default/web"));
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.1");
  EXPECT_EQ(world.PoolStatusOf("p")->state, State::kDegraded);
  EXPECT_THAT(world.PoolStatusOf("p")->message, HasSubstr("block \"b2\": first 10.0.0.9 is above"));
}

TEST(EngineBadInput, ARequestedAddressIsGivenWhenItsHolderGoes) {
  Disk disk;
  World world(&disk);
  world.Start();
  world.Add(PoolOf("p", {"10.0.0.0/24"}));
  world.Add(ServiceOf("default/holder"));
  world.Add(Wanting({"10.0.0.1"}));
  world.RemoveService("default/holder");
  EXPECT_EQ(world.AddressesOf("default/web"), "10.0.0.1");
  EXPECT_THAT(world.problems, IsEmpty());
}

}  // namespace
}  // namespace portolan::ipam
