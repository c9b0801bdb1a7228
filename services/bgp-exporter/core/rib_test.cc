#include "services/bgp-exporter/core/rib.h"

#include <gtest/gtest.h>

#include "services/bgp-exporter/core/message.h"

namespace portolan::bgp {
namespace {

using net::Family;
using net::IpAddress;
using net::Prefix;

IpAddress Address(absl::string_view text) { return *IpAddress::Parse(text); }
Prefix Host(absl::string_view text) { return Prefix::Host(Address(text)); }

const AdjRibOut::NextHops kBothHops = {{Family::kIpv4, Address("10.0.0.1")},
                                       {Family::kIpv6, Address("2001:db8::1")}};

AllocationInput Red() {
  return {.key = "default/red",
          .generation = 1,
          .grants = {{Address("20.0.10.1"), "main"}},
          .labels = {{"color", "red"}}};
}

PeerConfig Tor() {
  PeerConfig peer;
  peer.instance = "lab";
  peer.name = "tor";
  return peer;
}

AdvertisementConfig Everything(absl::string_view name) {
  AdvertisementConfig advertisement;
  advertisement.instance = "lab";
  advertisement.name = std::string(name);
  return advertisement;
}

LabelSelector ColorIn(std::vector<std::string> values) {
  return LabelSelector({{"color", LabelSelector::Operator::kIn, std::move(values)}});
}

TEST(Select, AppliesEveryConditionAndNamesTheOneThatFailed) {
  AdvertisementConfig other_instance = Everything("a");
  other_instance.instance = "other";
  AdvertisementConfig selector = Everything("a");
  selector.service_selector = ColorIn({"blue"});
  AdvertisementConfig good_selector = Everything("a");
  good_selector.service_selector = ColorIn({"red", "blue"});
  AdvertisementConfig name_selector = Everything("a");
  name_selector.service_selector = LabelSelector(
      {{std::string(LabelSelector::kNameKey), LabelSelector::Operator::kIn, {"red"}}});
  AdvertisementConfig pool = Everything("a");
  pool.pools = {"spare"};
  AdvertisementConfig good_pool = Everything("a");
  good_pool.pools = {"spare", "main"};
  AdvertisementConfig peer = Everything("a");
  peer.peers = {"spine"};
  AdvertisementConfig good_peer = Everything("a");
  good_peer.peers = {"tor"};
  AdvertisementConfig broken = Everything("a");
  broken.problem = "community \"x\" is no community";
  const struct {
    AdvertisementConfig advertisement;
    absl::string_view reason;  // empty: selected; "none": not considered
  } kCases[] = {
      {Everything("a"), ""}, {other_instance, "none"}, {selector, "selector-mismatch"},
      {good_selector, ""},   {name_selector, ""},      {pool, "pool-mismatch"},
      {good_pool, ""},       {peer, "peer-mismatch"},  {good_peer, ""},
      {broken, "rejected"},
  };
  for (const auto& test : kCases) {
    Advertisements advertisements;
    advertisements.Set(test.advertisement);
    std::vector<Mismatch> mismatches;
    const auto wanted = advertisements.Select(Red(), Red().grants[0], Tor(), &mismatches);
    EXPECT_EQ(wanted.has_value(), test.reason.empty());
    const std::string reason = mismatches.empty() ? (wanted ? "" : "none") : mismatches[0].reason;
    EXPECT_EQ(reason, test.reason);
  }
  Advertisements advertisements;
  advertisements.Set(selector);
  std::vector<Mismatch> mismatches;
  advertisements.Select(Red(), Red().grants[0], Tor(), &mismatches);
  EXPECT_EQ(mismatches[0].message,
            "advertisement a: service-selector \"color In [blue]\" does not hold for service "
            "default/red");
}

TEST(Select, JoinsCommunitiesAndTakesTheHighestPreference) {
  Advertisements advertisements;
  AdvertisementConfig a = Everything("a");
  a.communities = {9, 3};
  a.local_preference = 50;
  AdvertisementConfig b = Everything("b");
  b.communities = {3, 1};
  b.local_preference = 150;
  advertisements.Set(a);
  advertisements.Set(b);
  const auto wanted = advertisements.Select(Red(), Red().grants[0], Tor());
  ASSERT_TRUE(wanted.has_value());
  EXPECT_EQ(wanted->communities, (std::vector<uint32_t>{1, 3, 9}));
  EXPECT_EQ(wanted->local_preference, 150u);
}

TEST(AdjRibOut, SendsDifferencesOnly) {
  AdjRibOut rib;
  rib.SetService("default/red", {{Host("20.0.10.1"), {}}, {Host("2001:db8::9"), {}}});
  PathDiff diff = rib.Diff(kBothHops);
  EXPECT_EQ(diff.announce.size(), 2u);
  EXPECT_EQ(diff.announce[Host("2001:db8::9")].attributes.next_hop, Address("2001:db8::1"));
  EXPECT_TRUE(rib.Diff(kBothHops).empty()) << "nothing has changed";

  rib.SetService("default/red", {{Host("20.0.10.1"), {}}});
  diff = rib.Diff(kBothHops);
  EXPECT_TRUE(diff.announce.empty());
  EXPECT_EQ(diff.withdraw, std::vector<Prefix>{Host("2001:db8::9")});
  EXPECT_EQ(rib.sent().size(), 1u);
}

TEST(AdjRibOut, AChangeThatIsTakenBackSendsNothing) {
  AdjRibOut rib;
  rib.SetService("default/red", {{Host("20.0.10.1"), {}}});
  rib.Diff(kBothHops);
  rib.SetService("default/red", {});
  rib.SetService("default/red", {{Host("20.0.10.1"), {}}});
  EXPECT_TRUE(rib.Diff(kBothHops).empty());
}

TEST(AdjRibOut, AFamilyWithoutNextHopIsNotSentAndTheOtherGoesOn) {
  AdjRibOut rib;
  rib.SetService("default/red", {{Host("20.0.10.1"), {}}, {Host("2001:db8::9"), {}}});
  const PathDiff diff = rib.Diff({{Family::kIpv4, Address("10.0.0.1")}});
  ASSERT_EQ(diff.announce.size(), 1u);
  EXPECT_EQ(diff.announce.begin()->first, Host("20.0.10.1"));
  rib.MarkAllDirty();
  EXPECT_EQ(rib.Diff(kBothHops).announce.size(), 1u) << "the other one, once it has a next hop";
}

TEST(AdjRibOut, ANewNextHopSendsEverythingAnew) {
  AdjRibOut rib;
  rib.SetService("default/red", {{Host("20.0.10.1"), {}}});
  rib.Diff(kBothHops);
  rib.MarkAllDirty();
  const PathDiff diff = rib.Diff({{Family::kIpv4, Address("10.0.0.7")}});
  EXPECT_EQ(diff.announce.size(), 1u);
  EXPECT_TRUE(diff.withdraw.empty()) << "an announcement replaces the old one";
}

TEST(AdjRibOut, OfTwoServicesThatWantOneAddressTheFirstByNameHasIt) {
  AdjRibOut rib;
  rib.SetService("default/b", {{Host("20.0.10.1"), {}}});
  rib.Diff(kBothHops);
  rib.SetService("default/a", {{Host("20.0.10.1"), {}}});
  EXPECT_EQ(rib.Diff(kBothHops).announce.begin()->second.service, "default/a");
  rib.SetService("default/a", {});
  EXPECT_EQ(rib.Diff(kBothHops).announce.begin()->second.service, "default/b");
}

TEST(EncodeDiff, WithdrawsFirstAndPutsEqualAttributesTogether) {
  PathDiff diff;
  diff.withdraw = {Host("20.0.10.9"), Host("2001:db8::7")};
  const RouteAttributes plain{.next_hop = Address("10.0.0.1")};
  const RouteAttributes tagged{.next_hop = Address("10.0.0.1"), .communities = {1}};
  diff.announce[Host("20.0.10.1")] = {"default/red", plain};
  diff.announce[Host("20.0.10.2")] = {"default/blue", tagged};
  diff.announce[Host("20.0.10.3")] = {"default/green", plain};
  const std::string octets =
      EncodeDiff({.internal = false, .local_as = 65001, .four_octet_as = true}, diff);
  std::vector<std::pair<size_t, size_t>> counts;  // withdrawn, announced
  Octets rest = AsOctets(octets);
  while (!rest.empty()) {
    const Frame frame = std::get<Frame>(*NextFrame(rest));
    const Update update = std::get<Update>(DecodeUpdate(frame.body, true));
    counts.push_back({update.withdrawn, update.announced});
    rest.remove_prefix(frame.size);
  }
  EXPECT_EQ(counts, (std::vector<std::pair<size_t, size_t>>{{1, 0}, {1, 0}, {0, 2}, {0, 1}}));
}

}  // namespace
}  // namespace portolan::bgp
