#include "services/datapath-loader/core/frontend_owners.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace portolan::datapath {
namespace {

using Names = std::set<std::string>;

FrontendKey Port(uint16_t port) { return {*net::IpAddress::Parse("20.0.10.1"), port, kTcp}; }
Claim Since(int64_t unix_ms) { return {.since_unix_ms = unix_ms}; }
constexpr Claim kLingering = {.lingering = true};

TEST(FrontendOwnersTest, DifferentPortsOfOneAddressHaveTheirOwnOwners) {
  FrontendOwners owners;
  owners.Begin();
  owners.SetClaims("ns/a", {{Port(80), Since(1)}});
  EXPECT_EQ(owners.SetClaims("ns/b", {{Port(443), Since(2)}}), Names{"ns/b"});
  EXPECT_EQ(*owners.OwnerOf(Port(80)), "ns/a");
  EXPECT_EQ(*owners.OwnerOf(Port(443)), "ns/b");
  EXPECT_EQ(owners.SetClaims("ns/a", {}), Names{"ns/a"}) << "no concern of the other's";
  EXPECT_EQ(owners.OwnerOf(Port(80)), nullptr);
  EXPECT_EQ(*owners.OwnerOf(Port(443)), "ns/b");
}

TEST(FrontendOwnersTest, TcpAndUdpOfOnePortAreTwoFrontends) {
  FrontendOwners owners;
  owners.Begin();
  FrontendKey udp = Port(53);
  udp.protocol = kUdp;
  owners.SetClaims("ns/a", {{Port(53), Since(1)}});
  owners.SetClaims("ns/b", {{udp, Since(2)}});
  EXPECT_EQ(*owners.OwnerOf(Port(53)), "ns/a");
  EXPECT_EQ(*owners.OwnerOf(udp), "ns/b");
}

// Two claim port 80; what each says, in the order of their coming, before and after the start.
TEST(FrontendOwnersTest, OfTwoThatClaimOneFrontendOneHasIt) {
  using Said = std::vector<std::pair<std::string, Claim>>;
  const struct {
    const char* name;
    Said before;
    Said after;
    const char* owner;
  } kCases[] = {
      {"the older at the start", {{"ns/a", Since(2)}, {"ns/b", Since(1)}}, {}, "ns/b"},
      {"whoever says so first", {{"ns/b", Since(1)}, {"ns/a", Since(2)}}, {}, "ns/b"},
      {"a tie goes by name", {{"ns/b", Since(1)}, {"ns/a", Since(1)}}, {}, "ns/a"},
      {"who has it keeps it", {}, {{"ns/a", Since(2)}, {"ns/b", Since(1)}}, "ns/a"},
      {"one that lingers yields",
       {{"ns/a", Since(1)}},
       {{"ns/a", kLingering}, {"ns/b", Since(2)}},
       "ns/b"},
      {"but not to one that lingers too",
       {{"ns/b", Since(1)}},
       {{"ns/b", kLingering}, {"ns/a", kLingering}},
       "ns/b"},
      {"and has it again when it stays after all",
       {{"ns/a", Since(1)}},
       {{"ns/a", kLingering}, {"ns/a", Since(3)}, {"ns/b", Since(2)}},
       "ns/a"},
  };
  for (const auto& test : kCases) {
    FrontendOwners owners;
    for (const auto& [service, claim] : test.before) {
      EXPECT_TRUE(owners.SetClaims(service, {{Port(80), claim}}).empty()) << test.name;
      EXPECT_EQ(owners.OwnerOf(Port(80)), nullptr) << test.name;
    }
    owners.Begin();
    for (const auto& [service, claim] : test.after) {
      owners.SetClaims(service, {{Port(80), claim}});
    }
    ASSERT_NE(owners.OwnerOf(Port(80)), nullptr) << test.name;
    EXPECT_EQ(*owners.OwnerOf(Port(80)), test.owner) << test.name;
  }
}

TEST(FrontendOwnersTest, TheNextOneInheritsAndAllWhoClaimHearOfIt) {
  FrontendOwners owners;
  owners.Begin();
  owners.SetClaims("ns/a", {{Port(80), Since(1)}});
  owners.SetClaims("ns/c", {{Port(80), Since(3)}});
  EXPECT_TRUE(owners.SetClaims("ns/b", {{Port(80), Since(2)}}).empty());
  EXPECT_EQ(owners.SetClaims("ns/a", {}), (Names{"ns/a", "ns/b", "ns/c"}));
  EXPECT_EQ(*owners.OwnerOf(Port(80)), "ns/b");
}

TEST(FrontendOwnersTest, KnowsTheAddressesThatAServiceClaims) {
  FrontendOwners owners;
  owners.SetClaims("ns/a", {{Port(80), Since(1)}});
  EXPECT_TRUE(owners.ClaimsOn("ns/a", *net::IpAddress::Parse("20.0.10.1")));
  EXPECT_FALSE(owners.ClaimsOn("ns/a", *net::IpAddress::Parse("20.0.10.0")));
  EXPECT_FALSE(owners.ClaimsOn("ns/a", *net::IpAddress::Parse("20.0.10.2")));
  EXPECT_FALSE(owners.ClaimsOn("ns/b", *net::IpAddress::Parse("20.0.10.1")));
}

}  // namespace
}  // namespace portolan::datapath
