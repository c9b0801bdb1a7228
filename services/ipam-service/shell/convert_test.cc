#include "services/ipam-service/shell/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace portolan::ipam {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

net::IpAddress Address(const char* text) { return net::IpAddress::Parse(text).value(); }

config::v1alpha1::Pool PoolWith(const char* first, const char* last, uint32_t prefix_length) {
  config::v1alpha1::Pool pool;
  pool.set_name("p");
  config::v1alpha1::AddressBlock* block = pool.add_blocks();
  block->set_id("b");
  block->set_first(first);
  block->set_last(last);
  block->set_prefix_length(prefix_length);
  return pool;
}

TEST(Convert, APoolKeepsEveryField) {
  config::v1alpha1::Pool pool = PoolWith("10.0.0.0", "10.0.0.255", 24);
  pool.set_disabled(true);
  pool.set_auto_assign(true);
  pool.set_priority(7);
  pool.set_allow_first_last(true);
  pool.add_namespaces("tenant-a");
  pool.set_address_picker("stable-hash");
  (*pool.mutable_service_selector()->mutable_match_labels())["color"] = "red";
  PoolConfig config = FromProto(pool);
  EXPECT_EQ(config.name, "p");
  ASSERT_THAT(config.blocks, SizeIs(1));
  EXPECT_EQ(config.blocks[0].id, "b");
  EXPECT_EQ(config.blocks[0].range.ToString(), "10.0.0.0-10.0.0.255");
  EXPECT_EQ(config.blocks[0].prefix_length, 24);
  EXPECT_TRUE(config.disabled);
  EXPECT_TRUE(config.auto_assign);
  EXPECT_TRUE(config.allow_first_last);
  EXPECT_EQ(config.priority, 7u);
  EXPECT_THAT(config.namespaces, ElementsAre("tenant-a"));
  EXPECT_EQ(config.address_picker, "stable-hash");
  EXPECT_EQ(config.service_selector.ToString(), "color In [red]");
  config.blocks.clear();
  EXPECT_FALSE(FromProto(PoolWith("10.0.0.0", "10.0.0.1", 0)).auto_assign);
}

TEST(Convert, ABadBlockNamesTheFieldAndSparesTheOthers) {
  struct Case {
    const char* first;
    const char* last;
    uint32_t prefix_length;
    const char* message;
  };
  const Case cases[] = {
      {"10.0.0.9", "10.0.0.1", 0, "10.0.0.9"},
      {"10.0.0.1", "2001:db8::1", 0, ""},
      {"nonsense", "10.0.0.1", 0, "first: \"nonsense\""},
      {"10.0.0.1", "", 0, "last: "},
      {"10.0.0.0", "10.0.0.9", 24, "not the ends of a prefix"},
      {"10.0.0.0", "10.0.0.9", 77, "not the ends of a prefix"},
  };
  for (const Case& c : cases) {
    config::v1alpha1::Pool pool = PoolWith(c.first, c.last, c.prefix_length);
    *pool.add_blocks() = PoolWith("10.9.0.0", "10.9.0.7", 29).blocks(0);
    const PoolConfig config = FromProto(pool);
    EXPECT_THAT(config.blocks, SizeIs(1)) << c.first;
    ASSERT_THAT(config.bad_blocks, SizeIs(1)) << c.first;
    EXPECT_EQ(config.bad_blocks[0].id, "b");
    EXPECT_THAT(config.bad_blocks[0].message, HasSubstr(c.message));
  }
}

TEST(Convert, AnIntentKeepsEveryField) {
  intent::v1alpha1::ServiceIntent intent;
  intent.set_key("tenant/web");
  intent.set_generation(9);
  (*intent.mutable_labels())["color"] = "red";
  intent.add_families(intent::v1alpha1::IP_FAMILY_IPV6);
  intent.add_families(intent::v1alpha1::IP_FAMILY_IPV4);
  intent.add_families(intent::v1alpha1::IP_FAMILY_UNSPECIFIED);
  intent.set_family_policy(intent::v1alpha1::FAMILY_POLICY_REQUIRE_DUAL_STACK);
  intent.add_requested_addresses("10.0.0.1");
  intent.add_requested_addresses("not an address");
  intent.set_requested_pool("gold");
  intent.set_addresses_per_family(2);
  intent.add_addresses_in_use("10.0.0.9");
  intent.mutable_sharing()->set_key("dns");
  intent.mutable_sharing()->add_namespaces("*");
  intent.mutable_sharing()->set_traffic_policy(intent::v1alpha1::TRAFFIC_POLICY_LOCAL);
  intent.mutable_sharing()->set_backend_selector("app=dns");
  intent.mutable_sharing()->set_different_backends(true);
  intent.add_ports()->set_port(53);
  intent.mutable_ports(0)->set_protocol(intent::v1alpha1::PROTOCOL_UDP);
  intent.add_ports()->set_port(53);
  intent.mutable_ports(1)->set_protocol(intent::v1alpha1::PROTOCOL_TCP);
  const ServiceRequest request = FromProto(intent);
  EXPECT_EQ(request.key, "tenant/web");
  EXPECT_EQ(request.generation, 9u);
  EXPECT_EQ(request.labels, LabelSet(Labels{{"color", "red"}}));
  EXPECT_THAT(request.families, ElementsAre(net::Family::kIpv6, net::Family::kIpv4));
  EXPECT_EQ(request.family_policy, FamilyPolicy::kRequireDualStack);
  EXPECT_THAT(request.requested_addresses, ElementsAre("10.0.0.1", "not an address"));
  EXPECT_EQ(request.requested_pool, "gold");
  EXPECT_EQ(request.addresses_per_family, 2);
  EXPECT_THAT(*request.addresses_in_use, ElementsAre("10.0.0.9"));
  EXPECT_EQ(*request.sharing, (SharingTerms{.key = "dns",
                                            .namespaces = {"*"},
                                            .ports = {{6, 53}, {17, 53}},
                                            .traffic_policy = TrafficPolicy::kLocal,
                                            .backend_selector = "app=dns",
                                            .different_backends = true}));
  intent.set_addresses_per_family(1'000'000);
  EXPECT_EQ(FromProto(intent).addresses_per_family, 32);
  intent.set_addresses_per_family(0);
  EXPECT_EQ(FromProto(intent).addresses_per_family, 1);
  intent.clear_sharing();
  EXPECT_FALSE(FromProto(intent).sharing.has_value());
  intent.set_family_policy(intent::v1alpha1::FAMILY_POLICY_PREFER_DUAL_STACK);
  EXPECT_EQ(FromProto(intent).family_policy, FamilyPolicy::kPreferDualStack);
  intent.clear_family_policy();
  EXPECT_EQ(FromProto(intent).family_policy, FamilyPolicy::kSingleStack);
}

TEST(Convert, WhatIsPublishedKeepsEveryField) {
  const auto allocation =
      ToProto(Allocation{.key = "a/b",
                         .generation = 3,
                         .grants = {{Address("2001:DB8::0:1"), "p", 1234, 99, true}},
                         .labels = Labels{{"k", "v"}}});
  EXPECT_EQ(allocation.key(), "a/b");
  EXPECT_EQ(allocation.generation(), 3u);
  EXPECT_EQ(allocation.grants(0).address(), "2001:db8::1");
  EXPECT_EQ(allocation.grants(0).pool(), "p");
  EXPECT_EQ(allocation.grants(0).since_unix_ms(), 1234);
  EXPECT_EQ(allocation.grants(0).draining_until_unix_ms(), 99);
  EXPECT_TRUE(allocation.grants(0).adopted());
  EXPECT_EQ(allocation.labels().at("k"), "v");

  const auto state = ToProto(PoolState{.name = "p",
                                       .state = "active",
                                       .message = "m",
                                       .conflicts_with = "older",
                                       .counts = {{net::Family::kIpv6, "18446744073709551616", "1",
                                                   "18446744073709551613", "2", 60}}});
  EXPECT_EQ(state.counts(0).family(), "ipv6");
  EXPECT_EQ(state.counts(0).total(), "18446744073709551616");
  EXPECT_EQ(state.counts(0).used(), "1");
  EXPECT_EQ(state.counts(0).available(), "18446744073709551613");
  EXPECT_EQ(state.counts(0).reserved(), "2");
  EXPECT_EQ(state.counts(0).exhausted_in_s(), 60);
  EXPECT_EQ(state.conflicts_with(), "older");

  const auto status = ToProto(StatusReport{.kind = ObjectKind::kPool,
                                           .key = "p",
                                           .generation = 2,
                                           .state = State::kRejected,
                                           .reason = "pool-conflict",
                                           .message = "m",
                                           .remedy = "r",
                                           .findings = {{"s", "fr", "fm"}},
                                           .addresses = {Address("10.0.0.1")}});
  EXPECT_EQ(status.component(), "ipam");
  EXPECT_EQ(status.node(), "");
  EXPECT_EQ(status.kind(), "pool");
  EXPECT_EQ(status.state(), status::v1alpha1::STATE_REJECTED);
  EXPECT_EQ(status.reason(), "pool-conflict");
  EXPECT_EQ(status.remedy(), "r");
  EXPECT_EQ(status.findings(0).subject(), "s");
  EXPECT_EQ(status.addresses(0), "10.0.0.1");
  EXPECT_EQ(StatusKey(ObjectKind::kService, "a/b"), "ipam//service/a/b");
}

TEST(Convert, JournalRowsRoundTripInAddressOrder) {
  const std::vector<JournalRow> rows = {
      {Address("0.0.0.0"), "a/b", 1, "p", -1},
      {Address("10.0.0.1"), "a/b", std::numeric_limits<uint64_t>::max(), "p", 1700},
      {Address("255.255.255.255"), "a/c", 0, "", 0},
      {Address("::"), "a/d", 2, "q", 5},
      {Address("2001:db8::1"), "a/d", 2, "q", 5},
      {Address("2001:db8::2"), "a/d", 2, "", 5, 77, true, {{"a/e", 3, 6, 78, true}, {"b/f", 4}}},
  };
  const std::vector<PoolRow> pools = {{"p", -5}, {"q/1", 1700}};
  std::vector<store::Row> stored;
  for (const JournalRow& row : rows) {
    stored.push_back(ToRow(row));
    EXPECT_EQ(stored.back().key, JournalKey(row.address));
    if (stored.size() < 2) continue;
    EXPECT_LT(stored[stored.size() - 2].key, stored.back().key);
  }
  std::vector<store::Row> stored_pools;
  for (const PoolRow& row : pools) stored_pools.push_back(ToRow(row));
  const std::vector<ReleaseRow> releases = {{Address("10.0.0.1"), "a/b", 1700},
                                            {Address("2001:db8::1"), "a/d", -1}};
  std::vector<store::Row> stored_releases;
  for (const ReleaseRow& row : releases) {
    stored_releases.push_back(ToRow(row));
    EXPECT_EQ(stored_releases.back().key, ReleaseKey(row.address));
  }
  const auto loaded = FromRows(stored, stored_pools, stored_releases);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->rows, rows);
  EXPECT_EQ(loaded->pools, pools);
  EXPECT_EQ(loaded->releases, releases);
  EXPECT_THAT(loaded->unreadable, SizeIs(0));
}

TEST(Convert, AnUnreadableRowBlocksItsAddressAndAStrangeKeyIsDataLoss) {
  const auto loaded = FromRows(
      {{JournalKey(Address("10.0.0.1")), "\xff\xff"}, {JournalKey(Address("10.0.0.2")), ""}}, {},
      {});
  ASSERT_TRUE(loaded.ok());
  EXPECT_THAT(loaded->unreadable, ElementsAre(Address("10.0.0.1"), Address("10.0.0.2")));
  EXPECT_EQ(FromRows({{"a?", ""}}, {}, {}).status().code(), absl::StatusCode::kDataLoss);
}

TEST(Convert, AReleaseThatCannotBeReadIsLeftOut) {
  const auto loaded = FromRows({}, {},
                               {{"r?", ""},
                                {ReleaseKey(Address("10.0.0.1")), "\xff\xff"},
                                {ReleaseKey(Address("10.0.0.2")), ""},
                                ToRow(ReleaseRow{Address("10.0.0.3"), "a/b", 5})});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->releases, (std::vector<ReleaseRow>{{Address("10.0.0.3"), "a/b", 5}}));
}

TEST(Convert, AnErasureAndItsReleaseAreOneBatch) {
  const ReleaseRow release{Address("10.0.0.1"), "a/b", 5};
  const store::Batch batch = ToBatch({.batch = 1,
                                      .erase = {Address("10.0.0.1")},
                                      .put_releases = {release},
                                      .erase_releases = {Address("10.0.0.9")}});
  EXPECT_THAT(batch.erase,
              ElementsAre(JournalKey(Address("10.0.0.1")), ReleaseKey(Address("10.0.0.9"))));
  EXPECT_THAT(batch.put, ElementsAre(ToRow(release)));
}

}  // namespace
}  // namespace portolan::ipam
