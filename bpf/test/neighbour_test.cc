// Who-has questions of both families, question in, answer out, through both programs; what is not
// to be answered comes out untouched.
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "bpf/test/harness.h"
#include "bpf/test/network.h"
#include "services/base/rng/rng.h"

namespace portolan::bpf {
namespace {

constexpr uint16_t kVlan = 10;
const Bytes kOurs = {0x02, 0, 0, 0, 0, 1};
const Bytes kTheirs = {0x02, 0, 0, 0, 0, 2};
const Bytes kAllNodes = {0x33, 0x33, 0, 0, 0, 1};
const Bytes kSourceLink = {1, 1, 0x02, 0, 0, 0, 0, 2};
const Bytes kTargetLink = {2, 1, 0x02, 0, 0, 0, 0, 1};
const Bytes kNonce = {14, 1, 1, 2, 3, 4, 5, 6};
constexpr uint32_t kSolicited = 0x40000000;
constexpr uint32_t kOverride = 0x20000000;

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

class NeighbourTest : public testing::TestWithParam<Program> {
 protected:
  static void SetUpTestSuite() {
    if (geteuid() != 0) return;
    network_ = EnterTestNetwork();
    auto loaded = Harness::Load({});
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    harness_ = *std::move(loaded);
    harness_->set_ifindex(if_nametoindex("t0"));
  }
  static void TearDownTestSuite() { harness_.reset(); }

  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to load BPF programs";
    ASSERT_TRUE(network_) << "cannot make a network namespace";
    Forget();
    Own({});
  }

  void Forget() {
    harness_->Reset();
    harness_->SetInterface(ifindex(), kOurs.data(), PORTOLAN_INTERFACE_TARGET);
  }

  // Entries of both families that differ from the usual ones as `entry` says.
  void Own(Harness::NeighbourEntry entry) {
    if (entry.ifindex == 1) entry.ifindex = ifindex();
    entry.address = "20.0.10.1";
    harness_->SetNeighbour(entry);
    entry.ipv6 = true;
    entry.address = "2001:db8:20::1";
    harness_->SetNeighbour(entry);
  }

  bool xdp() const { return GetParam() == Program::kXdp; }
  static uint32_t ifindex() { return if_nametoindex("t0"); }
  static NeighbourSpec Arp() { return {}; }
  static NeighbourSpec Solicitation() {
    return {.ipv6 = true,
            .sender = "2001:db8:20::7",
            .target = "2001:db8:20::1",
            .options = kSourceLink,
            .destination_mac = {0x33, 0x33, 0xff, 0, 0, 1}};
  }
  static NeighbourSpec Probe() {
    NeighbourSpec probe = Solicitation();
    probe.sender = "::";
    probe.options = kNonce;
    return probe;
  }
  static NeighbourSpec ReplyTo(const NeighbourSpec& arp) {
    NeighbourSpec reply = arp;
    reply.operation = 2;
    reply.sender = arp.target;
    reply.target = arp.sender;
    reply.target_mac = reply.destination_mac = arp.sender_mac;
    reply.sender_mac = reply.source_mac = kOurs;
    return reply;
  }
  static NeighbourSpec AdvertisementFor(const NeighbourSpec& solicitation) {
    const bool probe = solicitation.sender == "::";
    NeighbourSpec answer = solicitation;
    answer.operation = 2;
    answer.sender = solicitation.target;
    answer.destination = probe ? "ff02::1" : solicitation.sender;
    answer.flags = probe ? kOverride : kOverride | kSolicited;
    answer.options = kTargetLink;
    answer.hop_limit = 255;
    answer.destination_mac = probe ? kAllNodes : kTheirs;
    answer.source_mac = kOurs;
    return answer;
  }

  portolan_counter Answers(portolan_answer kind) { return harness_->Counter("answers", kind); }

  void ExpectAnswer(const Bytes& question, const Bytes& answer) {
    const Outcome outcome = harness_->Run(GetParam(), question);
    EXPECT_EQ(outcome.verdict, xdp() ? XDP_REDIRECT : 7);
    EXPECT_EQ(outcome.packet, answer);
  }
  void ExpectAnswer(const NeighbourSpec& question, const NeighbourSpec& answer) {
    ExpectAnswer(BuildNeighbour(question), BuildNeighbour(answer));
  }
  void ExpectArpAnswered(const NeighbourSpec& arp) { ExpectAnswer(arp, ReplyTo(arp)); }
  void ExpectNdAnswered(const NeighbourSpec& nd) { ExpectAnswer(nd, AdvertisementFor(nd)); }
  void ExpectUntouched(const Bytes& question) {
    const Outcome outcome = harness_->Run(GetParam(), question);
    EXPECT_EQ(outcome.verdict, xdp() ? XDP_PASS : -1);
    EXPECT_EQ(outcome.packet, question);
  }
  void ExpectUntouched(const NeighbourSpec& spec) { ExpectUntouched(BuildNeighbour(spec)); }
  // Only tc can change the length.
  void ExpectNdAnsweredByTc(const NeighbourSpec& nd) {
    xdp() ? ExpectUntouched(nd) : ExpectNdAnswered(nd);
  }
  void ExpectSilence() {
    ExpectUntouched(Arp());
    ExpectUntouched(Solicitation());
    ExpectUntouched(Probe());
  }

  inline static std::unique_ptr<Harness> harness_;
  inline static bool network_ = false;
};

INSTANTIATE_TEST_SUITE_P(Both, NeighbourTest, testing::Values(Program::kXdp, Program::kTc),
                         [](const auto& info) {
                           return info.param == Program::kXdp ? "Xdp" : "Tc";
                         });

TEST_P(NeighbourTest, AnArpRequestIsAnsweredToItsSender) {
  ExpectArpAnswered(Arp());
  NeighbourSpec unicast = Arp();
  unicast.destination_mac = kOurs;
  ExpectArpAnswered(unicast);
  EXPECT_EQ(Answers(PORTOLAN_ANSWER_ARP).packets, 2u);
  EXPECT_EQ(Answers(PORTOLAN_ANSWER_ARP).bytes, 84u);
  EXPECT_EQ(Answers(PORTOLAN_ANSWER_ND).packets, 0u);
}

TEST_P(NeighbourTest, AnArpProbeIsAnswered) {
  NeighbourSpec probe = Arp();
  probe.sender = "0.0.0.0";
  ExpectArpAnswered(probe);
}

TEST_P(NeighbourTest, PaddingBehindAnArpRequestStays) {
  const Bytes padding(18, 0x5a);
  ExpectAnswer(BuildNeighbour(Arp()) + padding, BuildNeighbour(ReplyTo(Arp())) + padding);
}

TEST_P(NeighbourTest, WhatIsNoPlainArpRequestPasses) {
  NeighbourSpec reply = Arp();
  reply.operation = 2;
  ExpectUntouched(reply);
  NeighbourSpec gratuitous = Arp();
  gratuitous.sender = gratuitous.target;
  ExpectUntouched(gratuitous);
  NeighbourSpec group = Arp();
  group.destination_mac = {0x01, 0, 0x5e, 0, 0, 1};
  ExpectUntouched(group);
  // The fields before the addresses: hardware, protocol, lengths, operation.
  for (size_t at = 14; at < 22; at++) {
    Bytes bent = BuildNeighbour(Arp());
    bent[at] ^= 0x40;
    ExpectUntouched(bent);
  }
}

TEST_P(NeighbourTest, SendersThatAreGroupsOrOurselvesGetNoAnswer) {
  const Bytes group = {0x03, 0, 0, 0, 0, 2};
  NeighbourSpec arp = Arp();
  arp.sender_mac = group;
  ExpectUntouched(arp);
  for (const Bytes& mac : {group, kOurs}) {
    for (NeighbourSpec spec : {Arp(), Solicitation(), Probe()}) {
      spec.source_mac = mac;
      ExpectUntouched(spec);
    }
  }
  NeighbourSpec nd = Solicitation();
  nd.options = {1, 1, 0x03, 0, 0, 0, 0, 2};
  ExpectUntouched(nd);
  nd = Solicitation();
  nd.sender = "ff02::2";
  ExpectUntouched(nd);
}

TEST_P(NeighbourTest, FramesForOtherStationsAndQuestionsForOtherAddressesPass) {
  for (NeighbourSpec spec : {Arp(), Solicitation(), Probe()}) {
    const Bytes to = spec.destination_mac;
    spec.destination_mac = {0x02, 0, 0, 0, 0, 9};
    ExpectUntouched(spec);
    spec.destination_mac = to;
    spec.target = spec.ipv6 ? "2001:db8:20::2" : "20.0.10.2";
    ExpectUntouched(spec);
  }
}

TEST_P(NeighbourTest, ASolicitationToTheGroupIsAnsweredToItsSender) {
  ExpectNdAnswered(Solicitation());
  EXPECT_EQ(Answers(PORTOLAN_ANSWER_ND).packets, 1u);
  EXPECT_EQ(Answers(PORTOLAN_ANSWER_ND).bytes, 86u);
}

TEST_P(NeighbourTest, ASolicitationToTheAddressItselfIsAnswered) {
  NeighbourSpec unicast = Solicitation();
  unicast.destination = unicast.target;
  unicast.destination_mac = kOurs;
  ExpectNdAnswered(unicast);
  unicast.options.clear();
  ExpectNdAnsweredByTc(unicast);
}

TEST_P(NeighbourTest, AProbeForDuplicatesIsAnsweredToAllNodes) {
  ExpectNdAnswered(Probe());
  NeighbourSpec plain = Probe();
  plain.options.clear();
  ExpectNdAnsweredByTc(plain);
}

TEST_P(NeighbourTest, TheAnswerGoesWhereTheSourceLinkOptionSays) {
  NeighbourSpec nd = Solicitation();
  nd.options = {1, 1, 0x02, 0, 0, 0, 0, 7};
  NeighbourSpec answer = AdvertisementFor(nd);
  answer.destination_mac = {0x02, 0, 0, 0, 0, 7};
  ExpectAnswer(nd, answer);
}

TEST_P(NeighbourTest, MoreOptionsAreReadAndDoNotComeBack) {
  NeighbourSpec nd = Solicitation();
  const Bytes longer = {200, 2, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
  nd.options = kNonce + kSourceLink;
  ExpectNdAnsweredByTc(nd);
  nd.options = longer + kSourceLink + kNonce + kNonce;
  ExpectNdAnsweredByTc(nd);
  nd.options = nd.options + kNonce;  // more than is looked at
  ExpectUntouched(nd);
}

TEST_P(NeighbourTest, MalformedSolicitationsPass) {
  NeighbourSpec nd = Solicitation();
  nd.hop_limit = 254;
  ExpectUntouched(nd);
  nd = Solicitation();
  nd.options = {1, 0, 0x02, 0, 0, 0, 0, 2};  // RFC 4861: an option of length 0
  ExpectUntouched(nd);
  nd.options = {1, 2, 0x02, 0, 0, 0, 0, 2};  // longer than the message
  ExpectUntouched(nd);
  nd.options = kSourceLink + Bytes{14, 0, 0, 0, 0, 0, 0, 0};
  ExpectUntouched(nd);
  nd = Probe();
  nd.options = kSourceLink;  // who has no address has nothing to say of it
  ExpectUntouched(nd);
  nd = Probe();
  nd.destination = nd.target;
  ExpectUntouched(nd);
  nd = Solicitation();
  nd.destination = "ff02::1";
  ExpectUntouched(nd);
}

TEST_P(NeighbourTest, ASolicitationWithACodePasses) {
  Bytes nd = BuildNeighbour(Solicitation());
  nd[55] = 1;
  const int check = (nd[56] << 8 | nd[57]) - 1;  // RFC 1624, for a sum without a carry here
  nd[56] = check >> 8;
  nd[57] = check;
  ExpectUntouched(nd);
  nd[55] = 0;
  nd[57]++;
  ExpectAnswer(nd, BuildNeighbour(AdvertisementFor(Solicitation())));
}

TEST_P(NeighbourTest, EveryBitOfASolicitationIsCoveredByItsChecksum) {
  const Bytes whole = BuildNeighbour(Solicitation());
  for (size_t at = 22; at < whole.size(); at++) {
    if (at >= 38 && at < 54) continue;  // another destination is no solicitation for us
    for (int bit = 0; bit < 8; bit++) {
      Bytes bent = whole;
      bent[at] ^= 1 << bit;
      ExpectUntouched(bent);
    }
  }
}

TEST_P(NeighbourTest, AnEntryThatWasNotRenewedIsSilent) {
  Own({.lease_ns = -50'000'000});  // the programs' clock is late by a tick
  ExpectSilence();
  Own({.lease_ns = 60'000'000'000});
  ExpectArpAnswered(Arp());
  ExpectNdAnswered(Solicitation());
}

TEST_P(NeighbourTest, AnEntryOfAnotherInterfaceIsSilent) {
  Forget();
  Own({.ifindex = if_nametoindex("t1")});
  ExpectSilence();
}

TEST_P(NeighbourTest, AnEntryIsFoundInEveryPlaceOfItsBucket) {
  for (int place = 0; place < PORTOLAN_NEIGHBOUR_PLACES; place++) {
    Forget();
    Own({.place = place});
    ExpectArpAnswered(Arp());
    ExpectNdAnswered(Solicitation());
  }
}

TEST_P(NeighbourTest, WhereTheDriverTakesNoFramesOfXdpTcAnswers) {
  harness_->SetInterface(ifindex(), kOurs.data(), PORTOLAN_INTERFACE_ATTACHED);
  if (xdp()) {
    ExpectSilence();
  } else {
    ExpectArpAnswered(Arp());
    ExpectNdAnswered(Solicitation());
  }
}

// Tags in the frame are what XDP sees. Those that the kernel took out: see neighbour_link_test.
TEST_P(NeighbourTest, TaggedFramesAreAnsweredWithTheirTagWhereAnEntryHasTheVlan) {
  if (!xdp()) GTEST_SKIP() << "the kernel has taken the tag out before tc";
  for (NeighbourSpec spec : {Arp(), Solicitation(), Probe()}) {
    spec.vlans = {0x6000 | kVlan};  // with a priority
    Forget();
    Own({});
    ExpectUntouched(spec);
    Own({.vlan = kVlan});
    ExpectAnswer(spec, spec.ipv6 ? AdvertisementFor(spec) : ReplyTo(spec));
    spec.vlans = {kVlan + 1};
    ExpectUntouched(spec);
    spec.vlans = {kVlan, kVlan};  // nothing is said about VLANs within VLANs
    ExpectUntouched(spec);
    spec.vlans = {kVlan};
    spec.tag_type = 0x88a8;  // a service provider's VLAN of the same number is another one
    ExpectUntouched(spec);
  }
}

TEST_P(NeighbourTest, APriorityTagIsNoVlan) {
  if (!xdp()) GTEST_SKIP() << "the kernel has taken the tag out before tc";
  NeighbourSpec arp = Arp();
  arp.vlans = {0xe000};
  ExpectArpAnswered(arp);
}

TEST_P(NeighbourTest, AnEntryOfAVlanIsSilentOutsideOfIt) {
  Forget();
  Own({.vlan = kVlan});
  ExpectSilence();
}

TEST_P(NeighbourTest, EveryTruncationPasses) {
  for (NeighbourSpec spec : {Arp(), Solicitation(), Probe()}) {
    for (const bool tagged : {false, true}) {
      if (tagged) spec.vlans = {kVlan};
      const Bytes whole = BuildNeighbour(spec);
      for (size_t size = 14; size < whole.size(); size++) {
        const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        if (harness_->Run(GetParam(), cut).verdict == -100) continue;  // too short for the kernel
        ExpectUntouched(cut);
      }
    }
  }
}

TEST_P(NeighbourTest, RandomFramesNeverAbortNorGrow) {
  Own({.vlan = kVlan});
  Rng rng(0x6e656967);
  const Bytes types[] = {{0x08, 0x06}, {0x86, 0xdd}, {0x81, 0x00}, {0x88, 0xa8}};
  for (int i = 0; i < 20000; i++) {
    Bytes packet(14 + rng.Below(120));
    for (uint8_t& byte : packet) byte = static_cast<uint8_t>(rng.Next());
    const Bytes& type = types[rng.Below(4)];
    std::copy(type.begin(), type.end(), packet.begin() + 12);
    const Outcome outcome = harness_->Run(GetParam(), packet);
    if (outcome.verdict == -100) continue;
    ASSERT_EQ(outcome.verdict, xdp() ? XDP_PASS : -1);
    ASSERT_EQ(outcome.packet, packet);
  }
}

// Some are still questions, and are answered; what stands behind an IPv6 packet may be cut off.
TEST_P(NeighbourTest, BentQuestionsNeverAbortNorGrow) {
  Rng rng(0x62656e74);
  int answered = 0;
  for (int i = 0; i < 20000; i++) {
    NeighbourSpec spec = rng.Below(2) == 0 ? Arp() : rng.Below(2) == 0 ? Solicitation() : Probe();
    Bytes packet = BuildNeighbour(spec);
    for (uint64_t bends = rng.Below(3); bends > 0; bends--) {
      packet[rng.Below(packet.size())] = static_cast<uint8_t>(rng.Next());
    }
    if (rng.Below(4) == 0) packet.resize(14 + rng.Below(packet.size()));
    const Outcome outcome = harness_->Run(GetParam(), packet);
    if (outcome.verdict == -100) continue;
    ASSERT_LE(outcome.packet.size(), packet.size());
    if (outcome.verdict == (xdp() ? XDP_REDIRECT : 7)) {
      answered++;
    } else {
      ASSERT_EQ(outcome.verdict, xdp() ? XDP_PASS : -1);
      ASSERT_EQ(outcome.packet, packet);
    }
  }
  EXPECT_GT(answered, 5000);
}

}  // namespace
}  // namespace portolan::bpf
