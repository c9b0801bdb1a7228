#include "services/bgp-exporter/core/update.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "services/bgp-exporter/core/message.h"

namespace portolan::bgp {
namespace {

using net::Family;
using net::IpAddress;
using net::Prefix;

constexpr size_t kUpdateHeader = kHeaderSize;

IpAddress Address(absl::string_view text) { return *IpAddress::Parse(text); }
Prefix Host(absl::string_view text) { return Prefix::Host(Address(text)); }

std::vector<Prefix> Hosts(absl::string_view first, int count) {
  std::vector<Prefix> prefixes;
  IpAddress address = Address(first);
  for (int i = 0; i < count; ++i, address = *address.Next()) {
    prefixes.push_back(Prefix::Host(address));
  }
  return prefixes;
}

std::string BodyHex(const std::string& message) {
  return absl::BytesToHexString(message.substr(kUpdateHeader));
}

struct Sum {
  size_t messages = 0;
  size_t announced = 0;
  size_t withdrawn = 0;
  size_t largest = 0;
};

// What a strict receiver makes of it.
Sum Receive(const std::string& octets, bool four_octet_as) {
  Sum sum;
  Octets rest = AsOctets(octets);
  while (!rest.empty()) {
    const auto frame = NextFrame(rest);
    if (!frame.has_value() || !std::holds_alternative<Frame>(*frame)) {
      ADD_FAILURE() << "no frame";
      return sum;
    }
    const Frame& whole = std::get<Frame>(*frame);
    const auto update = DecodeUpdate(whole.body, four_octet_as);
    if (!std::holds_alternative<Update>(update)) {
      ADD_FAILURE() << std::get<ProtocolError>(update).text;
      return sum;
    }
    EXPECT_EQ(std::get<Update>(update).treat_as_withdraw, "");
    sum.announced += std::get<Update>(update).announced;
    sum.withdrawn += std::get<Update>(update).withdrawn;
    sum.largest = std::max(sum.largest, whole.size);
    ++sum.messages;
    rest.remove_prefix(whole.size);
  }
  return sum;
}

constexpr SessionEncoding kExternal{.internal = false, .local_as = 65001, .four_octet_as = true};
constexpr SessionEncoding kInternal{.internal = true, .local_as = 65001, .four_octet_as = true};

TEST(Announcement, OfOneIpv4AddressHasExactlyTheseOctets) {
  std::string out;
  const std::vector<Prefix> prefixes = {Host("20.0.10.1")};
  AppendAnnouncement(kExternal, {.next_hop = Address("10.0.0.1")}, prefixes, out);
  EXPECT_EQ(BodyHex(out),
            "0000"
            "0014"
            "40010100"
            "40020602010000fde9"
            "4003040a000001"
            "2014000a01");
}

TEST(Announcement, OfOneIpv6AddressPutsMpReachFirst) {
  std::string out;
  const std::vector<Prefix> prefixes = {Host("2001:db8::5")};
  AppendAnnouncement(kExternal, {.next_hop = Address("2001:db8:1::1")}, prefixes, out);
  EXPECT_EQ(BodyHex(out),
            "0000"
            "0037"
            "900e0026"
            "0002011020010db8000100000000000000000001"
            "00"
            "8020010db8000000000000000000000005"
            "40010100"
            "40020602010000fde9");
}

TEST(Announcement, ToInternalPeersHasLocalPreferenceAndAnEmptyPath) {
  std::string out;
  const std::vector<Prefix> prefixes = {Host("20.0.10.1")};
  AppendAnnouncement(kInternal, {.next_hop = Address("10.0.0.1"), .local_preference = 200},
                     prefixes, out);
  EXPECT_EQ(BodyHex(out),
            "0000"
            "0015"
            "40010100"
            "400200"
            "4003040a000001"
            "400504000000c8"
            "2014000a01");
}

TEST(Announcement, CommunitiesFollowInTheirOrder) {
  std::string out;
  const std::vector<Prefix> prefixes = {Host("20.0.10.1")};
  AppendAnnouncement(kInternal,
                     {.next_hop = Address("10.0.0.1"), .communities = {0x00010002, 0xffffff01}},
                     prefixes, out);
  EXPECT_NE(BodyHex(out).find("c0080800010002ffffff01"), std::string::npos) << BodyHex(out);
}

TEST(Announcement, ToAnOldSpeakerSaysAsTransAndTheTruthInAs4Path) {
  std::string out;
  const std::vector<Prefix> prefixes = {Host("20.0.10.1")};
  AppendAnnouncement({.internal = false, .local_as = 4'200'000'001, .four_octet_as = false},
                     {.next_hop = Address("10.0.0.1")}, prefixes, out);
  EXPECT_NE(BodyHex(out).find("4002040201"
                              "5ba0"),
            std::string::npos)
      << BodyHex(out);
  EXPECT_NE(BodyHex(out).find("c011060201"
                              "fa56ea01"),
            std::string::npos)
      << BodyHex(out);
  EXPECT_EQ(Receive(out, false).announced, 1u);
}

TEST(Announcement, OfIpv4OverAnIpv6NextHopUsesMpReach) {
  std::string out;
  const std::vector<Prefix> prefixes = Hosts("20.0.10.0", 3);
  AppendAnnouncement(kExternal, {.next_hop = Address("2001:db8::1")}, prefixes, out);
  EXPECT_EQ(Receive(out, true).announced, 3u);
  EXPECT_NE(BodyHex(out).find("900e00240001"
                              "0110"),
            std::string::npos)
      << BodyHex(out);
}

TEST(Packing, FillsMessagesButNeverBeyond4096Octets) {
  const std::vector<uint32_t> many(kMaxCommunities, 7);
  const struct {
    absl::string_view first, next_hop;
    std::vector<uint32_t> communities;
    size_t messages;
  } kCases[] = {
      {"20.0.0.0", "10.0.0.1", {}, 13},  // 810 a message
      {"20.0.0.0", "10.0.0.1", many, 17},
      {"2001:db8::", "2001:db8::1", {}, 43},  // 236 a message
      {"2001:db8::", "2001:db8::1", many, 57},
      {"20.0.0.0", "2001:db8::1", {}, 13},
  };
  for (const auto& test : kCases) {
    std::string out;
    AppendAnnouncement(kExternal,
                       {.next_hop = Address(test.next_hop), .communities = test.communities},
                       Hosts(test.first, 10'000), out);
    const Sum sum = Receive(out, true);
    EXPECT_EQ(sum.announced, 10'000u) << test.first;
    EXPECT_EQ(sum.messages, test.messages) << test.first << " " << test.communities.size();
    EXPECT_LE(sum.largest, kMaxMessageSize);
    EXPECT_GT(sum.largest, kMaxMessageSize - 17);
  }
}

TEST(Withdrawal, IsPackedForBothFamilies) {
  const struct {
    absl::string_view first;
    size_t messages;
  } kCases[] = {{"20.0.0.0", 3}, {"2001:db8::", 9}};
  for (const auto& test : kCases) {
    std::string out;
    AppendWithdrawal(Hosts(test.first, 2'000), out);
    const Sum sum = Receive(out, true);
    EXPECT_EQ(sum.withdrawn, 2'000u);
    EXPECT_EQ(sum.messages, test.messages);
    EXPECT_LE(sum.largest, kMaxMessageSize);
  }
}

TEST(EndOfRib, IsTheEmptyUpdateOfItsFamily) {
  std::string ipv4, ipv6;
  AppendEndOfRib(Family::kIpv4, ipv4);
  AppendEndOfRib(Family::kIpv6, ipv6);
  EXPECT_EQ(BodyHex(ipv4), "00000000");
  EXPECT_EQ(BodyHex(ipv6), "00000006800f03000201");
}

}  // namespace
}  // namespace portolan::bgp
