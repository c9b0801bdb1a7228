#include "services/l2-announcer/core/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/l2-announcer/core/testing_world.h"

namespace portolan::l2 {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kService[] = "shop/web";
constexpr char kV4[] = "172.18.255.200";
constexpr char kV6[] = "2001:db8:dead:beef::1";
constexpr absl::Duration kSettled = absl::Seconds(5);  // listening, agreement, probes

// ---- one node ----

class OneNode : public ::testing::Test {
 protected:
  OneNode() {
    world.Start("a");
    world.Configure("a", {"a"});
    world.Allocate(kService, {kV4, kV6});
  }
  World world;
};

TEST_F(OneNode, AnnouncesAfterTwoProbesAndNoListening) {
  world.RunFor(absl::Milliseconds(199));
  EXPECT_THAT(world.Ask(kV4), IsEmpty());
  world.RunFor(absl::Milliseconds(1));
  EXPECT_THAT(world.Ask(kV4), ElementsAre("a"));
  EXPECT_THAT(world.Ask(kV6), ElementsAre("a"));
  const Status& status = world.StatusOf("a", kService);
  EXPECT_EQ(status.state, State::kReady);
  EXPECT_EQ(status.reason, "announced");
  EXPECT_THAT(status.addresses, ElementsAre(Ip(kV4), Ip(kV6)));
  EXPECT_TRUE(world["a"].announcements.at(kV4).owner);
}

TEST_F(OneNode, AnswersByUnicastWithItsOwnMac) {
  world.RunFor(kSettled);
  world.Ask(kV4);
  ASSERT_THAT(world["a"].sent, SizeIs(1));
  const auto reply = std::get<ArpFrame>(world["a"].sent[0].second);
  EXPECT_EQ(reply.destination, World::Client());
  EXPECT_EQ(reply.source, World::MacOf("a"));
  EXPECT_EQ(reply.sender_mac, World::MacOf("a"));
  EXPECT_EQ(reply.sender_ip, Ip(kV4));
  EXPECT_EQ(reply.target_mac, World::Client());
  EXPECT_EQ(reply.target_ip, Ip("172.18.255.9"));
}

TEST_F(OneNode, AnswersASolicitationWithASolicitedOverridingAdvertisement) {
  world.RunFor(kSettled);
  world.Ask(kV6);
  ASSERT_THAT(world["a"].sent, SizeIs(1));
  const auto reply = std::get<NeighborAdvertisement>(world["a"].sent[0].second);
  EXPECT_EQ(reply.destination, World::Client());
  EXPECT_EQ(reply.destination_ip, Ip("fe80::77"));
  EXPECT_TRUE(reply.source_ip.IsLinkLocal());
  EXPECT_TRUE(reply.solicited);
  EXPECT_TRUE(reply.overrides);
  EXPECT_FALSE(reply.router);
  EXPECT_EQ(reply.target_link, World::MacOf("a"));
}

TEST_F(OneNode, AnswersADuplicateAddressProbeToAllNodes) {
  world.RunFor(kSettled);
  auto probe = std::get<NeighborSolicitation>(World::Question(Ip(kV6)));
  probe.source_ip = Ip("::");
  probe.source_link.reset();
  world["a"].sent.clear();
  world.Send(probe);
  ASSERT_THAT(world["a"].sent, SizeIs(1));
  const auto reply = std::get<NeighborAdvertisement>(world["a"].sent[0].second);
  EXPECT_EQ(reply.destination.ToString(), "33:33:00:00:00:01");
  EXPECT_EQ(reply.destination_ip, AllNodesGroup());
  EXPECT_FALSE(reply.solicited);
}

// The datapath may give answers instead, but says nothing by itself.
TEST_F(OneNode, AnswersAndNothingElseNameTheAddressThatWasAskedFor) {
  world.RunFor(kSettled);
  EXPECT_THAT(world["a"].sent, Not(IsEmpty()));  // heartbeats, probes and announcements
  EXPECT_THAT(world["a"].asked, IsEmpty());
  world.Ask(kV4);
  world.Ask(kV6);
  auto probe = std::get<NeighborSolicitation>(World::Question(Ip(kV6)));
  probe.source_ip = Ip("::");
  probe.source_link.reset();
  world.Send(probe);
  EXPECT_THAT(world["a"].asked, ElementsAre(Ip(kV4), Ip(kV6), Ip(kV6)));
}

TEST_F(OneNode, NeverAnswersForAnAddressThatItDoesNotOwn) {
  world.RunFor(kSettled);
  EXPECT_THAT(world.Ask("172.18.255.201"), IsEmpty());
  EXPECT_THAT(world.Ask("172.18.255.97"), IsEmpty());  // the interface's own: the kernel's
  EXPECT_THAT(world.Ask("2001:db8:dead:beef::2"), IsEmpty());
}

struct Silent {
  const char* name;
  void (*change)(ArpFrame&);
};
TEST_F(OneNode, ArpFramesThatAreNoQuestionToUsStayUnanswered) {
  world.RunFor(kSettled);
  const Silent table[] = {
      {"a reply", [](ArpFrame& f) { f.operation = ArpFrame::Operation::kReply; }},
      {"unicast to another host", [](ArpFrame& f) { f.destination = Mac("02:00:00:00:00:55"); }},
      {"to a group", [](ArpFrame& f) { f.destination = Mac("01:00:5e:00:00:01"); }},
      {"our own frame back", [](ArpFrame& f) { f.sender_mac = f.source = World::MacOf("a"); }},
  };
  for (const Silent& row : table) {
    auto request = std::get<ArpFrame>(World::Question(Ip(kV4)));
    row.change(request);
    world["a"].sent.clear();
    world.Send(request);
    EXPECT_THAT(world["a"].sent, IsEmpty()) << row.name;
  }
  auto unicast = std::get<ArpFrame>(World::Question(Ip(kV4)));
  unicast.destination = World::MacOf("a");
  world.Send(unicast);
  EXPECT_THAT(world["a"].sent, SizeIs(1));
}

TEST_F(OneNode, SaysGratuitouslyWhoOwnsAsOftenAsConfigured) {
  world.TellAll(SettingsChanged{
      Settings{.gratuitous_count = 3, .gratuitous_interval = absl::Milliseconds(500)}});
  world["a"].sent.clear();
  world.RunFor(kSettled);
  std::vector<absl::Duration> requests, replies, advertisements;
  absl::Time first = absl::InfiniteFuture();
  for (const auto& [at, frame] : world["a"].sent) {
    if (const auto* arp = std::get_if<ArpFrame>(&frame); arp && !arp->sender_ip.IsUnspecified()) {
      first = std::min(first, at);
      EXPECT_EQ(arp->sender_ip, arp->target_ip);
      EXPECT_EQ(arp->destination, net::MacAddress::Broadcast());
      (arp->operation == ArpFrame::Operation::kRequest ? requests : replies).push_back(at - first);
    }
    if (const auto* na = std::get_if<NeighborAdvertisement>(&frame)) {
      EXPECT_TRUE(na->overrides);
      EXPECT_FALSE(na->solicited);
      EXPECT_EQ(na->destination_ip, AllNodesGroup());
      advertisements.push_back(at - first);
    }
  }
  const auto expected =
      ElementsAre(absl::ZeroDuration(), absl::Milliseconds(500), absl::Milliseconds(1000));
  EXPECT_THAT(requests, expected);
  EXPECT_THAT(replies, expected);
  EXPECT_THAT(advertisements, expected);
}

TEST_F(OneNode, HearsTheSolicitedNodeGroupsOfItsAddresses) {
  world.RunFor(kSettled);
  EXPECT_THAT(world["a"].groups, ElementsAre("ff02::1:ff00:1"));
  world.TellAll(AllocationChanged{kService, std::nullopt});
  EXPECT_THAT(world["a"].groups, IsEmpty());
}

TEST_F(OneNode, IsSilentAtOnceWhenTheDatapathNoLongerCarriesTheAddress) {
  world.RunFor(kSettled);
  world.TellAll(GateChanged{kService, {Ip(kV6)}});
  EXPECT_THAT(world.Ask(kV4), IsEmpty());
  EXPECT_THAT(world.Ask(kV6), ElementsAre("a"));
  EXPECT_EQ(world.StatusOf("a", kService).state, State::kDegraded);
  EXPECT_EQ(world.StatusOf("a", kService).reason, "datapath-not-ready");
  world.TellAll(PipelineChanged{.announce = true, .need_datapath = false});
  world.RunFor(kSettled);
  EXPECT_THAT(world.Ask(kV4), ElementsAre("a"));
}

TEST_F(OneNode, IsSilentAtOnceWhenTheAllocationGoes) {
  world.RunFor(kSettled);
  world.TellAll(AllocationChanged{kService, std::nullopt});
  EXPECT_THAT(world.Ask(kV4), IsEmpty());
  EXPECT_THAT(world["a"].announcements, IsEmpty());
  EXPECT_FALSE(world["a"].statuses.contains({"service", kService}));
}

// Found by the simulation: the address was dark until the next change of its new service.
TEST_F(OneNode, AnAddressThatGoesToAnotherServiceIsAnsweredAlthoughTheOldOneLetsGoLate) {
  world.RunFor(kSettled);
  world.Allocate("shop/api", {kV4});
  EXPECT_THAT(world.Ask(kV4), ElementsAre("a"));
  world.TellAll(AllocationChanged{kService, std::nullopt});
  EXPECT_THAT(world.Ask(kV4), ElementsAre("a"));
  EXPECT_EQ(world["a"].announcements.at(kV4).service, "shop/api");
  EXPECT_THAT(world.StatusOf("a", "shop/api").addresses, ElementsAre(Ip(kV4)));
  world.TellAll(AllocationChanged{"shop/api", std::nullopt});
  EXPECT_THAT(world.Ask(kV4), IsEmpty());
}

// What was asked before a freeze has answers in the socket that nobody has read.
TEST_F(OneNode, ProbesOfBeforeAFreezeAreSentAgain) {
  world.RunFor(absl::Milliseconds(150));  // both are sent
  world.Freeze("a");
  world.RunFor(absl::Milliseconds(900));
  world["a"].sent.clear();
  world.Thaw("a");
  world.RunFor(absl::Milliseconds(50));
  EXPECT_THAT(world.Ask(kV4), IsEmpty());
  world.RunFor(absl::Milliseconds(150));
  EXPECT_THAT(world.Ask(kV4), ElementsAre("a"));
}

TEST_F(OneNode, IsSilentWhenTheStageIsDisabled) {
  world.RunFor(kSettled);
  world.TellAll(PipelineChanged{.announce = false, .need_datapath = true});
  EXPECT_THAT(world.Ask(kV4), IsEmpty());
  EXPECT_EQ(world.StatusOf("a", kService).reason, "stage-disabled");
}

TEST(Engine, AnnouncesNothingBeforeEveryStreamHasSpoken) {
  World world;
  world.Start("a");
  world.Tell("a", PolicyChanged{"all", Policy{}});
  world.Allocate(kService, {kV4});
  world.RunFor(kSettled);
  EXPECT_THAT(world.Ask(kV4), IsEmpty());
  world.Tell("a", Synced{});
  world.RunFor(kSettled);
  EXPECT_THAT(world.Ask(kV4), ElementsAre("a"));
}

// ---- why not ----

TEST_F(OneNode, StatusNamesTheSelectorThatDidNotMatch) {
  using Op = LabelSelector::Operator;
  world.TellAll(PolicyChanged{
      "all", Policy{.services = LabelSelector({{"color", Op::kIn, {"red", "blue"}}})}});
  const Status& status = world.StatusOf("a", kService);
  EXPECT_EQ(status.state, State::kPending);
  EXPECT_EQ(status.reason, "no-policy");
  EXPECT_THAT(status.message, HasSubstr("color In [red, blue]"));
  EXPECT_THAT(world.Ask(kV4), IsEmpty());
}

TEST_F(OneNode, PoliciesSelectByNamespaceAndPool) {
  using Op = LabelSelector::Operator;
  world.TellAll(PolicyChanged{
      "all", Policy{.services = LabelSelector(
                        {{std::string(LabelSelector::kNamespaceKey), Op::kIn, {"shop"}}}),
                    .pools = {"pool"}}});
  world.RunFor(kSettled);
  EXPECT_THAT(world.Ask(kV4), ElementsAre("a"));
  world.TellAll(PolicyChanged{"all", Policy{.pools = {"other"}}});
  EXPECT_THAT(world.Ask(kV4), IsEmpty());
  EXPECT_THAT(world.StatusOf("a", kService).message, HasSubstr("pool \"pool\""));
}

TEST_F(OneNode, WithoutAPolicyNothingIsAnnounced) {
  world.RunFor(kSettled);
  world.TellAll(PolicyChanged{"all", std::nullopt});
  EXPECT_THAT(world.Ask(kV4), IsEmpty());
  EXPECT_THAT(world.StatusOf("a", kService).message, HasSubstr("there is no L2 policy"));
}

TEST_F(OneNode, ANodeThatTheConfigurationDoesNotKnowIsSilent) {
  world.TellAll(NodeChanged{"b", Labels{}});
  world.TellAll(NodeChanged{"a", std::nullopt});
  world.RunFor(kSettled);
  EXPECT_THAT(world.Ask(kV4), IsEmpty());
  EXPECT_EQ(world.StatusOf("a", kService).reason, "unknown-node");
}

TEST_F(OneNode, PolicyStatusNamesAMissingInterface) {
  world.TellAll(PolicyChanged{"all", Policy{.interfaces = {"lan", "eth7"}}});
  world.RunFor(kSettled);
  EXPECT_THAT(world.Ask(kV4), ElementsAre("a"));
  const Status& status = world["a"].statuses.at({"policy", "all"});
  EXPECT_EQ(status.state, State::kDegraded);
  EXPECT_EQ(status.reason, "interface-missing");
  EXPECT_THAT(status.message, HasSubstr("eth7"));
  EXPECT_THAT(status.remedy, HasSubstr("policy[name='all']"));
  world.TellAll(PolicyChanged{"all", Policy{.interfaces = {"eth7"}}});
  EXPECT_EQ(world["a"].statuses.at({"policy", "all"}).state, State::kFailed);
  EXPECT_EQ(world.StatusOf("a", kService).reason, "no-interface");
}

struct Choice {
  const char* name;
  Interface interface;
  bool chosen;
};
TEST(Selection, InterfacesThatNoPolicyNamesMustBeSuitable) {
  const Interface good = World::Lan0("a");
  const auto with = [&](auto change) {
    Interface interface = good;
    change(interface);
    return interface;
  };
  const Choice table[] = {
      {"eth0", good, true},
      {"eth0", with([](Interface& i) { i.up = false; }), false},
      {"eth0", with([](Interface& i) { i.ethernet = false; }), false},
      {"lo", with([](Interface& i) { i.loopback = true; }), false},
      {"eth0", with([](Interface& i) { i.addresses = {Ip("fe80::1")}; }), false},
      {"eth0", with([](Interface& i) { i.addresses = {Ip("2001:db8::1")}; }), true},
      {"docker0", good, false},
      {"cni0", good, false},
      {"veth12ab", good, false},
      {"cali12ab", good, false},
      {"lxc12ab", good, false},
      {"virbr0", good, false},
  };
  for (const Choice& row : table) {
    Config config;
    config.policies["p"] = Policy{};
    config.interfaces[row.name] = row.interface;
    EXPECT_EQ(SelectInterfaces(config, "a").contains(row.name), row.chosen) << row.name;
  }
  Config named;
  named.policies["p"] = Policy{.interfaces = {"veth1"}};
  named.interfaces["veth1"] = with([](Interface& i) { i.addresses.clear(); });
  EXPECT_TRUE(SelectInterfaces(named, "a").contains("veth1"));
}

TEST_F(OneNode, AnInterfaceThatCannotBeOpenedIsAStatusWithARemedyAndTriedAgain) {
  World other;
  Engine engine({.node = "a", .life = 1, .elections = BuiltinElections()});
  const absl::Time now = other.now();
  engine.Handle(InterfaceChanged{"lan", World::Lan0("a")}, now);
  engine.Handle(PolicyChanged{"all", Policy{}}, now);
  engine.Handle(AllocationChanged{kService, Allocation{.grants = {{Ip(kV4), "pool"}}}}, now);
  engine.Handle(Synced{}, now);
  std::vector<Effect> effects =
      engine.Handle(LinkFailed{"lan", "no permission", "run as root"}, now);
  bool told = false;
  for (const Effect& effect : effects) {
    const auto* status = std::get_if<PublishStatus>(&effect);
    if (status == nullptr || status->kind != "service") continue;
    told = true;
    EXPECT_EQ(status->status->state, State::kFailed);
    EXPECT_EQ(status->status->remedy, "run as root");
  }
  EXPECT_TRUE(told);
  effects = engine.Handle(TimerFired{}, now + absl::Seconds(5));
  EXPECT_TRUE(std::any_of(effects.begin(), effects.end(), [](const Effect& effect) {
    return std::holds_alternative<OpenLink>(effect);
  }));
}

TEST_F(OneNode, AnAddressOfTheInterfaceItselfIsLeftToTheKernel) {
  world.RunFor(kSettled);
  Interface interface = World::Lan0("a");
  interface.addresses.push_back(Ip(kV4));
  world.TellAll(InterfaceChanged{"lan", interface});
  EXPECT_THAT(world.Ask(kV4), IsEmpty());
  EXPECT_THAT(world.Ask(kV6), ElementsAre("a"));
  EXPECT_EQ(world.StatusOf("a", kService).reason, "kernel-address");
}

TEST_F(OneNode, BadSettingsAreRefusedAndTheOldOnesStay) {
  world.RunFor(kSettled);
  world.TellAll(SettingsChanged{Settings{.owner_election = "dice"}});
  EXPECT_THAT(world.Ask(kV4), ElementsAre("a"));
  const Status& status = world["a"].statuses.at({"settings", "settings"});
  EXPECT_EQ(status.state, State::kRejected);
  EXPECT_THAT(status.remedy, HasSubstr("rendezvous"));
  world.TellAll(SettingsChanged{Settings{.heartbeat_interval = absl::Seconds(2)}});
  EXPECT_THAT(world["a"].statuses.at({"settings", "settings"}).message, HasSubstr("dead-interval"));
  world.TellAll(SettingsChanged{std::nullopt});
  EXPECT_EQ(world["a"].statuses.at({"settings", "settings"}).state, State::kReady);
}

TEST_F(OneNode, ListensAgainAfterTheLinkWasDown) {
  world.TellAll(NodeChanged{"b", Labels{}});
  world.RunFor(kSettled);
  ASSERT_THAT(world.Ask(kV4), ElementsAre("a"));
  Interface down = World::Lan0("a");
  down.up = false;
  world.TellAll(InterfaceChanged{"lan", down});
  EXPECT_THAT(world.Ask(kV4), IsEmpty());
  world.TellAll(InterfaceChanged{"lan", World::Lan0("a")});
  world.RunFor(absl::Milliseconds(2900));
  EXPECT_EQ(world.StatusOf("a", kService).reason, "listening");
  world.RunFor(kSettled);
  EXPECT_THAT(world.Ask(kV4), ElementsAre("a"));
}

// ---- foreign hosts ----

ArpFrame ForeignClaim(const char* address) {
  return {.destination = net::MacAddress::Broadcast(),
          .source = Mac("02:00:00:00:00:66"),
          .operation = ArpFrame::Operation::kReply,
          .sender_mac = Mac("02:00:00:00:00:66"),
          .sender_ip = Ip(address),
          .target_mac = net::MacAddress::Broadcast(),
          .target_ip = Ip(address)};
}

TEST_F(OneNode, AForeignHostThatAnswersTheProbeKeepsTheAddress) {
  world.RunFor(absl::Milliseconds(50));
  world.Send(ForeignClaim(kV4));
  world.RunFor(kSettled);
  EXPECT_THAT(world.Ask(kV4), IsEmpty());
  EXPECT_THAT(world.Ask(kV6), ElementsAre("a"));
  const Status& status = world.StatusOf("a", kService);
  EXPECT_EQ(status.state, State::kDegraded);
  EXPECT_EQ(status.reason, "address-conflict");
  EXPECT_THAT(status.message, HasSubstr("02:00:00:00:00:66"));
  EXPECT_EQ(world["a"].announcements.at(kV4).rival, Mac("02:00:00:00:00:66"));
  EXPECT_EQ(world["a"].announcements.at(kV6).rival, std::nullopt);
  world.RunFor(absl::Seconds(10));
  EXPECT_THAT(world.Ask(kV4), ElementsAre("a"));  // the foreign host is silent by now
}

TEST_F(OneNode, AForeignHostThatTurnsUpLaterIsNamedAndToldAtMostEveryTenSeconds) {
  world.RunFor(absl::Seconds(30));
  const absl::Time since = world["a"].announcements.at(kV4).since;
  world["a"].sent.clear();
  for (int i = 0; i < 100; ++i) {
    world.Send(ForeignClaim(kV4));
    world.RunFor(absl::Milliseconds(100));
  }
  int defences = 0;
  for (const auto& [at, frame] : world["a"].sent) {
    if (std::holds_alternative<ArpFrame>(frame)) ++defences;
  }
  EXPECT_EQ(defences, 2);  // one, as request and as reply
  EXPECT_EQ(world.StatusOf("a", kService).reason, "address-conflict");
  EXPECT_EQ(world.StatusOf("a", kService).state, State::kDegraded);
  EXPECT_THAT(world.Ask(kV4), ElementsAre("a"));
  EXPECT_EQ(world["a"].announcements.at(kV4).rival, Mac("02:00:00:00:00:66"));
  world.RunFor(absl::Seconds(61));
  EXPECT_EQ(world.StatusOf("a", kService).state, State::kReady);
  EXPECT_EQ(world["a"].announcements.at(kV4).rival, std::nullopt);
  EXPECT_EQ(world["a"].announcements.at(kV4).since, since) << "the owner is the same";
}

TEST_F(OneNode, AnAdvertisementFromAForeignHostIsAConflictToo) {
  world.RunFor(kSettled);
  world.Send(NeighborAdvertisement{.destination = Mac("33:33:00:00:00:01"),
                                   .source = Mac("02:00:00:00:00:66"),
                                   .source_ip = Ip("fe80::66"),
                                   .destination_ip = AllNodesGroup(),
                                   .target = Ip(kV6)});
  EXPECT_EQ(world.StatusOf("a", kService).reason, "address-conflict");
}

}  // namespace
}  // namespace portolan::l2
