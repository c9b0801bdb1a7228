#include "services/l2-announcer/core/membership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace portolan::l2 {
namespace {

using ::testing::ElementsAre;

constexpr Membership::Timing kTiming = {absl::Seconds(1), absl::Seconds(3)};
const absl::Time kStart = absl::UnixEpoch() + absl::Hours(1);

net::MacAddress MacOf(uint64_t life) { return {{2, 0, 0, 0, 0, static_cast<uint8_t>(life)}}; }

// A ready and fit node that hears `heard`, all of them ready and fit.
Heartbeat Beat(const std::string& node, uint64_t life, const std::vector<uint64_t>& heard,
               bool ready = true) {
  Heartbeat beat{.source = MacOf(life),
                 .node = node,
                 .life = life,
                 .interval_ms = 1000,
                 .dead_interval_ms = 3000,
                 .standing = {.ready = ready, .fit = true}};
  for (uint64_t other : heard) beat.heard.push_back({other, {.ready = true, .fit = true}});
  return beat;
}

std::vector<std::string> Names(const Membership& membership) {
  std::vector<std::string> names;
  for (const Membership::Candidate& candidate : membership.Candidates()) {
    names.push_back(candidate.node);
  }
  return names;
}

// Node a, life 10, that has listened and is ready and fit.
Membership Listened() {
  Membership a("a", 10);
  a.SetFit(true, kStart);
  a.Start(kStart, kTiming, /*listen=*/true);
  for (int second = 0; second <= 3; ++second) {
    a.Advance(kStart + absl::Seconds(second));
    EXPECT_TRUE(a.Due(kStart + absl::Seconds(second)).has_value());
  }
  EXPECT_TRUE(a.ready());
  return a;
}
const absl::Time kListened = kStart + absl::Seconds(3);

TEST(Membership, ListensForADeadIntervalBeforeItIsReady) {
  Membership a("a", 10);
  a.Start(kStart, kTiming, /*listen=*/true);
  a.Advance(kStart + absl::Seconds(3) - absl::Nanoseconds(1));
  EXPECT_FALSE(a.ready());
  EXPECT_TRUE(a.listening());
  a.Advance(kStart + absl::Seconds(3));
  EXPECT_TRUE(a.ready());
  EXPECT_TRUE(a.agreed());
  EXPECT_THAT(Names(a), ElementsAre("a"));
}

TEST(Membership, ListensNoLongerOnceEveryConfiguredNodeHearsIt) {
  Membership a("a", 10);
  a.Expect({"b", "c"});
  a.Start(kStart, kTiming, /*listen=*/true);
  a.Hear(Beat("b", 20, {10, 30}), kStart + absl::Milliseconds(100));
  EXPECT_FALSE(a.ready()) << "c may own addresses";
  a.Hear(Beat("c", 30, {20}), kStart + absl::Milliseconds(150));
  EXPECT_FALSE(a.ready()) << "c does not hear a";
  a.Hear(Beat("c", 30, {10, 20}), kStart + absl::Milliseconds(200));
  EXPECT_TRUE(a.ready());
  EXPECT_FALSE(a.agreed()) << "nobody has heard yet that it is ready";
}

// What waited in the socket of a stopped process was said before the others gave it up.
TEST(Membership, ANodeThatOversleptListensInFullWhateverItHears) {
  Membership a("a", 10);
  a.Expect({"b"});
  a.Start(kStart, kTiming, /*listen=*/true);
  a.Hear(Beat("b", 20, {10}), kStart);
  EXPECT_TRUE(a.ready());
  const absl::Time thawed = kStart + absl::Seconds(10);
  ASSERT_TRUE(a.Overslept(thawed));
  a.Start(thawed, kTiming, /*listen=*/true);
  a.Hear(Beat("b", 20, {10}), thawed);
  EXPECT_FALSE(a.ready());
  a.Hear(Beat("b", 20, {10}), thawed + absl::Seconds(2));
  a.Advance(thawed + absl::Seconds(3));
  EXPECT_TRUE(a.ready());
}

TEST(Membership, ANodeThatWasReadyAndStartsAnewIsWaitedForTwoDeadIntervals) {
  Membership a = Listened();
  a.Hear(Beat("b", 20, {10}), kListened);
  Heartbeat reborn = Beat("b", 21, {}, /*ready=*/false);
  reborn.source = MacOf(20);
  absl::Time now = kListened + absl::Seconds(2);
  a.Hear(reborn, now);
  EXPECT_THAT(Names(a), ElementsAre("a", "b"));
  for (; now < kListened + absl::Seconds(6); now += absl::Seconds(1)) {
    a.Hear(reborn, now);
    a.Advance(now);
    EXPECT_THAT(Names(a), ElementsAre("a", "b")) << now;
  }
  const uint64_t view = a.view();
  a.Advance(kListened + absl::Seconds(6));
  EXPECT_THAT(Names(a), ElementsAre("a")) << "it does not get ready";
  EXPECT_NE(a.view(), view);
}

TEST(Membership, ANodeIsWaitedForUntilItsDatapathCarriesEverythingAgain) {
  Membership a = Listened();
  a.Hear(Beat("b", 20, {10}), kListened);
  Heartbeat reborn = Beat("b", 21, {10});
  reborn.source = MacOf(20);
  reborn.standing.fit = false;
  a.Hear(reborn, kListened + absl::Seconds(1));
  ASSERT_EQ(a.Candidates().size(), 2u);
  EXPECT_TRUE(a.Candidates()[1].fit) << "as it was";
  reborn.standing.fit = true;
  a.Hear(reborn, kListened + absl::Seconds(2));
  reborn.standing.fit = false;
  a.Hear(reborn, kListened + absl::Seconds(3));
  EXPECT_FALSE(a.Candidates()[1].fit) << "it was back, and then lost something";
}

TEST(Membership, ANodeThatCrashesAgainAndAgainIsNotWaitedForLonger) {
  Membership a = Listened();
  a.Hear(Beat("b", 20, {10}), kListened);
  for (uint64_t life = 21; life < 26; ++life) {
    Heartbeat reborn = Beat("b", life, {}, /*ready=*/false);
    reborn.source = MacOf(20);
    a.Hear(reborn, kListened + absl::Seconds(life - 20));
    EXPECT_THAT(Names(a), ElementsAre("a", "b"));
  }
  a.Advance(kListened + absl::Seconds(6));
  EXPECT_THAT(Names(a), ElementsAre("a"));
}

TEST(Membership, ANodeThatWasGivenUpIsNotWaitedFor) {
  Membership a = Listened();
  a.Hear(Beat("b", 20, {10}), kListened);
  a.Advance(kListened + absl::Seconds(3));
  Heartbeat reborn = Beat("b", 21, {}, /*ready=*/false);
  reborn.source = MacOf(20);
  a.Hear(reborn, kListened + absl::Seconds(3));
  EXPECT_THAT(Names(a), ElementsAre("a"));
}

TEST(Membership, ALoneNodeIsReadyAtOnce) {
  Membership a("a", 10);
  a.Start(kStart, kTiming, /*listen=*/false);
  EXPECT_TRUE(a.ready());
}

TEST(Membership, HeartbeatsComeByTheIntervalAndSoonAfterAChange) {
  Membership a("a", 10);
  a.Start(kStart, kTiming, /*listen=*/true);
  EXPECT_TRUE(a.Due(kStart).has_value());
  EXPECT_FALSE(a.Due(kStart + absl::Milliseconds(1)).has_value());
  EXPECT_EQ(a.next_due(), kStart + absl::Seconds(1));
  a.Hear(Beat("b", 20, {}, /*ready=*/false), kStart + absl::Milliseconds(300));
  EXPECT_EQ(a.next_due(), kStart + absl::Milliseconds(300));
  std::optional<Heartbeat> beat = a.Due(kStart + absl::Milliseconds(300));
  ASSERT_TRUE(beat.has_value());
  EXPECT_THAT(beat->heard, ElementsAre(HeardNode{20, {.ready = false, .fit = true}}));
  // The next change waits for a twentieth of the interval.
  a.Hear(Beat("c", 30, {}, /*ready=*/false), kStart + absl::Milliseconds(301));
  EXPECT_FALSE(a.Due(kStart + absl::Milliseconds(349)).has_value());
  EXPECT_TRUE(a.Due(kStart + absl::Milliseconds(350)).has_value());
}

TEST(Membership, APeerIsAliveForTheDeadIntervalThatItPromisedItself) {
  Membership a = Listened();
  Heartbeat patient = Beat("b", 20, {10});
  patient.dead_interval_ms = 7000;
  a.Hear(patient, kListened);
  a.Hear(Beat("c", 30, {10, 20}), kListened);
  EXPECT_THAT(Names(a), ElementsAre("a", "b", "c"));
  a.Advance(kListened + absl::Milliseconds(2999));
  EXPECT_THAT(Names(a), ElementsAre("a", "b", "c"));
  a.Advance(kListened + absl::Milliseconds(3000));
  EXPECT_THAT(Names(a), ElementsAre("a", "b"));
  a.Advance(kListened + absl::Milliseconds(7000));
  EXPECT_THAT(Names(a), ElementsAre("a"));
}

TEST(Membership, AbsurdPromisesAreCutToTenMinutes) {
  Membership a = Listened();
  Heartbeat beat = Beat("b", 20, {10});
  beat.dead_interval_ms = UINT32_MAX;
  a.Hear(beat, kListened);
  a.Advance(kListened + absl::Minutes(10));
  EXPECT_THAT(Names(a), ElementsAre("a"));
}

TEST(Membership, OversleptMeansThatPeersMayHaveGivenItUp) {
  Membership a = Listened();
  const absl::Time sent = kListened;
  EXPECT_FALSE(a.Overslept(sent + absl::Milliseconds(2999)));
  EXPECT_TRUE(a.Overslept(sent + absl::Milliseconds(3000)));
}

TEST(Membership, AHeartbeatThatWasNotSentKeepsNobodyAwake) {
  Membership a = Listened();
  ASSERT_TRUE(a.Due(kListened + absl::Seconds(1)).has_value());
  a.Lost();
  EXPECT_FALSE(a.Overslept(kListened + absl::Milliseconds(2999)));
  EXPECT_TRUE(a.Overslept(kListened + absl::Milliseconds(3000)));
}

// The peers still expect it within the shorter interval that it promised.
TEST(Membership, ALongerDeadIntervalCountsOnlyOnceItWasTold) {
  Membership a = Listened();
  a.SetTiming({absl::Seconds(5), absl::Seconds(20)});
  EXPECT_TRUE(a.Overslept(kListened + absl::Seconds(3)));
}

TEST(Membership, StandsBackWhileAReadyPeerDoesNotHearIt) {
  Membership a = Listened();
  a.Hear(Beat("b", 20, {}), kListened);
  EXPECT_FALSE(a.ready());
  EXPECT_EQ(a.deaf_peer(), "b");
  a.Hear(Beat("b", 20, {10}), kListened + absl::Milliseconds(1));
  EXPECT_TRUE(a.ready());
}

TEST(Membership, APeerThatIsNotReadyNeedNotHearIt) {
  Membership a = Listened();
  a.Hear(Beat("b", 20, {}, /*ready=*/false), kListened);
  EXPECT_TRUE(a.ready());
  EXPECT_THAT(Names(a), ElementsAre("a"));
}

// Two nodes that become ready at the same moment must not both take everything.
TEST(Membership, IsAgreedOnlyWhenPeersHaveHeardHowItStands) {
  Membership a = Listened();
  EXPECT_TRUE(a.agreed());
  Heartbeat listening = Beat("b", 20, {}, /*ready=*/false);
  listening.heard = {{10, {.ready = false, .fit = true}}};
  a.Hear(listening, kListened);
  EXPECT_FALSE(a.agreed());
  a.Hear(Beat("b", 20, {10}, /*ready=*/false), kListened);
  EXPECT_TRUE(a.agreed());
}

TEST(Membership, IsAgreedOnlyWhenEveryReadyPeerCountsTheSameNodes) {
  Membership a = Listened();
  a.Hear(Beat("b", 20, {10}), kListened);
  EXPECT_TRUE(a.agreed());
  a.Hear(Beat("c", 30, {10, 20}), kListened);
  EXPECT_FALSE(a.agreed());  // b has not said that it hears c
  EXPECT_EQ(a.dissenter(), "b");
  a.Hear(Beat("b", 20, {10, 30}), kListened);
  EXPECT_TRUE(a.agreed());
}

TEST(Membership, FitnessIsPartOfTheAgreement) {
  Membership a = Listened();
  a.Hear(Beat("b", 20, {10}), kListened);
  EXPECT_TRUE(a.agreed());
  a.SetFit(false, kListened);
  EXPECT_FALSE(a.agreed());
}

TEST(Membership, AGoodbyeIsHeardAtOnce) {
  Membership a = Listened();
  a.Hear(Beat("b", 20, {10}), kListened);
  Heartbeat goodbye = Beat("b", 20, {}, /*ready=*/false);
  goodbye.leaving = true;
  a.Hear(goodbye, kListened);
  EXPECT_THAT(Names(a), ElementsAre("a"));
}

TEST(Membership, ANodeThatStartedAgainReplacesItsFormerLife) {
  Membership a = Listened();
  a.Hear(Beat("b", 20, {10}), kListened);
  Heartbeat again = Beat("b", 21, {}, /*ready=*/false);
  again.source = MacOf(20);
  a.Hear(again, kListened);
  EXPECT_THAT(Names(a), ElementsAre("a", "b")) << "one b, which is waited for";
  EXPECT_EQ(a.NodeOf(MacOf(20)), "b");
}

TEST(Membership, ANodeWithANewHardwareAddressIsOneCandidate) {
  Membership a = Listened();
  a.Hear(Beat("b", 20, {10}), kListened);
  a.Hear(Beat("b", 21, {10}), kListened);
  EXPECT_THAT(Names(a), ElementsAre("a", "b"));
}

TEST(Membership, OfTwoNodesWithOneNameTheYoungerLifeIsSilent) {
  Membership a = Listened();
  a.Hear(Beat("a", 99, {10}), kListened);
  EXPECT_TRUE(a.ready());
  a.Hear(Beat("a", 5, {10}), kListened);
  EXPECT_FALSE(a.ready());
  EXPECT_EQ(a.twin(), MacOf(5));
}

TEST(Membership, ItsOwnHeartbeatOnAnotherPortIsNoPeer) {
  Membership a = Listened();
  a.Hear(Beat("a", 10, {}), kListened);
  EXPECT_THAT(Names(a), ElementsAre("a"));
  EXPECT_TRUE(a.ready());
}

TEST(Membership, AFloodOfInventedNodesIsBounded) {
  Membership a = Listened();
  for (uint64_t life = 100; life < 1100; ++life) {
    a.Hear(Beat(std::to_string(life), life, {10}, /*ready=*/false), kListened);
  }
  EXPECT_EQ(a.Due(kListened + absl::Seconds(1))->heard.size(), kMaxHeard);
}

TEST(Membership, ViewChangesOnlyWhenAnAnswerDoes) {
  Membership a = Listened();
  a.Hear(Beat("b", 20, {10}), kListened);
  const uint64_t view = a.view();
  a.Hear(Beat("b", 20, {10}), kListened + absl::Seconds(1));
  a.Advance(kListened + absl::Seconds(2));
  EXPECT_EQ(a.view(), view);
  a.Advance(kListened + absl::Seconds(4));
  EXPECT_NE(a.view(), view);
}

}  // namespace
}  // namespace portolan::l2
