#include "services/l2-announcer/core/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_replace.h"

namespace portolan::l2 {
namespace {

using ::testing::HasSubstr;

net::IpAddress Ip(absl::string_view text) { return *net::IpAddress::Parse(text); }
net::MacAddress Mac(absl::string_view text) { return *net::MacAddress::Parse(text); }

std::vector<uint8_t> Hex(absl::string_view text) {
  const std::string bytes = absl::HexStringToBytes(absl::StrReplaceAll(text, {{" ", ""}}));
  return {bytes.begin(), bytes.end()};
}

ArpFrame Request() {
  return {.destination = net::MacAddress::Broadcast(),
          .source = Mac("02:00:00:00:00:01"),
          .operation = ArpFrame::Operation::kRequest,
          .sender_mac = Mac("02:00:00:00:00:01"),
          .sender_ip = Ip("172.18.255.1"),
          .target_mac = {},
          .target_ip = Ip("172.18.255.200")};
}

NeighborSolicitation Solicitation() {
  const net::IpAddress target = Ip("2001:db8:dead:beef::1:2");
  return {.destination = MulticastMac(SolicitedNodeGroup(target)),
          .source = Mac("02:00:00:00:00:01"),
          .source_ip = Ip("fe80::1"),
          .destination_ip = SolicitedNodeGroup(target),
          .target = target,
          .source_link = Mac("02:00:00:00:00:01")};
}

NeighborAdvertisement Advertisement() {
  return {.destination = Mac("33:33:00:00:00:01"),
          .source = Mac("02:00:00:00:00:02"),
          .source_ip = Ip("fe80::2"),
          .destination_ip = AllNodesGroup(),
          .target = Ip("2001:db8:dead:beef::1"),
          .overrides = true,
          .target_link = Mac("02:00:00:00:00:02")};
}

Heartbeat Beat() {
  return {.source = Mac("02:00:00:00:00:02"),
          .node = "node-a.example",
          .life = 0x0123456789abcdefu,
          .interval_ms = 1000,
          .dead_interval_ms = 3000,
          .standing = {.ready = true, .fit = false},
          .heard = {{42, {.ready = true, .fit = true}}, {UINT64_MAX, {}}}};
}

std::vector<Frame> Examples() {
  ArpFrame reply = Request();
  reply.operation = ArpFrame::Operation::kReply;
  reply.destination = reply.target_mac = Mac("02:00:00:00:00:09");
  NeighborSolicitation probe = Solicitation();
  probe.source_ip = Ip("::");
  probe.source_link.reset();
  NeighborAdvertisement solicited = Advertisement();
  solicited.destination_ip = Ip("fe80::1");
  solicited.solicited = solicited.router = true;
  solicited.target_link.reset();
  Heartbeat leaving = Beat();
  leaving.leaving = true;
  leaving.heard.clear();
  Heartbeat longest = Beat();
  longest.node = std::string(kMaxNodeName, 'n');
  for (size_t i = longest.heard.size(); i < kMaxHeard; ++i) longest.heard.push_back({i, {}});
  return {Request(), reply,  Solicitation(), probe,  Advertisement(),
          solicited, Beat(), leaving,        longest};
}

TEST(Frame, EveryFrameSurvivesTheWire) {
  for (const Frame& frame : Examples()) {
    const std::vector<uint8_t> octets = Encode(frame);
    EXPECT_GE(octets.size(), 60u);
    EXPECT_LE(octets.size(), 1514u);
    absl::StatusOr<Frame> decoded = Decode(octets);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_TRUE(*decoded == frame) << frame.index();
  }
}

// What the octets before the padding mean must not depend on octets that are missing.
TEST(Frame, EveryTruncationIsRefused) {
  const size_t sizes[] = {42, 42, 86, 78, 86, 78, 70, 52, 1443};
  const std::vector<Frame> frames = Examples();
  for (size_t i = 0; i < frames.size(); ++i) {
    const std::vector<uint8_t> octets = Encode(frames[i]);
    for (size_t size = 0; size < sizes[i]; ++size) {
      EXPECT_FALSE(Decode(absl::MakeConstSpan(octets.data(), size)).ok()) << i << " " << size;
    }
    EXPECT_TRUE(Decode(absl::MakeConstSpan(octets.data(), sizes[i])).ok()) << i;
  }
}

TEST(Frame, PaddingIsIgnored) {
  for (const Frame& frame : Examples()) {
    std::vector<uint8_t> octets = Encode(frame);
    octets.resize(octets.size() + 13, 0xa5);
    absl::StatusOr<Frame> decoded = Decode(octets);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_TRUE(*decoded == frame) << frame.index();
  }
}

// Written out by hand from RFC 826, so that encoder and decoder
// cannot be wrong together.
TEST(Frame, ArpRequestWrittenOutByHandIsUnderstood) {
  absl::StatusOr<Frame> frame =
      Decode(Hex("ffffffffffff 020000000001 0806 0001 0800 06 04 0001"
                 "020000000001 ac12ff01 000000000000 ac12ffc8"));
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_TRUE(*frame == Frame(Request()));
}

TEST(Frame, HeartbeatLayoutIsFixed) {
  Heartbeat beat = Beat();
  beat.node = "a";
  beat.heard.resize(1);
  EXPECT_EQ(
      absl::BytesToHexString(std::string(reinterpret_cast<const char*>(Encode(beat).data()), 48)),
      "ffffffffffff02000000000288b5"
      "50544c4e01010101"
      "0123456789abcdef"
      "000003e800000bb8"
      "61"
      "000000000000002a03");
}

struct Damage {
  const char* name;
  size_t example;
  size_t at;
  uint8_t value;
  const char* error;
};

TEST(Frame, DamagedFramesAreRefusedByTheFieldThatIsWrong) {
  const Damage table[] = {
      {"source is a group", 0, 6, 0x03, "source address is a group"},
      {"ethertype", 0, 13, 0x07, "type 0x0807"},
      {"ARP hardware type", 0, 15, 6, "hardware type"},
      {"ARP protocol", 0, 16, 0x86, "protocol type"},
      {"ARP length", 0, 18, 8, "address lengths"},
      {"ARP operation", 0, 21, 3, "operation"},
      {"ARP sender is a group", 0, 22, 0xff, "sender hardware address"},
      {"IPv6 version", 2, 14, 0x40, "wrong version"},
      {"next header", 2, 20, 6, "not ICMPv6"},
      {"hop limit", 2, 21, 254, "hop limit"},
      {"payload length", 2, 19, 40, "truncated payload"},
      {"checksum", 2, 57, 0, "checksum"},
      {"target octet without its checksum", 2, 77, 0x7f, "checksum"},
      {"heartbeat magic", 6, 14, 'X', "not ours"},
      {"heartbeat version", 6, 18, 2, "unknown version"},
      {"heartbeat name length", 6, 20, 0, "node name"},
      {"heartbeat name length", 6, 20, 254, "node name"},
      {"heartbeat heard length", 6, 21, 129, "heard list"},
      {"heartbeat heard length", 6, 21, 3, "truncated"},
  };
  const std::vector<Frame> frames = Examples();
  for (const Damage& damage : table) {
    std::vector<uint8_t> octets = Encode(frames[damage.example]);
    octets[damage.at] = damage.value;
    absl::StatusOr<Frame> decoded = Decode(octets);
    ASSERT_FALSE(decoded.ok()) << damage.name;
    EXPECT_THAT(std::string(decoded.status().message()), HasSubstr(damage.error)) << damage.name;
  }
}

TEST(Frame, SolicitationsThatBreakTheRulesOfNeighborDiscoveryAreRefused) {
  NeighborSolicitation with_link = Solicitation();
  with_link.source_ip = Ip("::");
  EXPECT_FALSE(Decode(Encode(with_link)).ok());
  NeighborSolicitation unicast_probe = Solicitation();
  unicast_probe.source_ip = Ip("::");
  unicast_probe.source_link.reset();
  unicast_probe.destination_ip = unicast_probe.target;
  EXPECT_FALSE(Decode(Encode(unicast_probe)).ok());
  NeighborSolicitation group = Solicitation();
  group.target = Ip("ff02::5");
  EXPECT_FALSE(Decode(Encode(group)).ok());
  NeighborAdvertisement to_all = Advertisement();
  to_all.solicited = true;
  EXPECT_FALSE(Decode(Encode(to_all)).ok());
}

TEST(Frame, GroupsOfAnAddressAreThoseOfTheStandards) {
  const net::IpAddress address = Ip("2001:db8::aa12:3456");
  EXPECT_EQ(SolicitedNodeGroup(address).ToString(), "ff02::1:ff12:3456");
  EXPECT_EQ(MulticastMac(SolicitedNodeGroup(address)).ToString(), "33:33:ff:12:34:56");
  EXPECT_EQ(AllNodesGroup().ToString(), "ff02::1");
}

}  // namespace
}  // namespace portolan::l2
