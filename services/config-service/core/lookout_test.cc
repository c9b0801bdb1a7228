#include "services/config-service/core/lookout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace portolan::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kPlace[] = "a/eth0/192.0.2.1";

std::string Text(const Notice& notice) {
  std::string text = notice.name;
  for (const auto& [leaf, value] : notice.leaves) absl::StrAppend(&text, " ", leaf, "=", value);
  return text;
}

class LookoutTest : public ::testing::Test {
 protected:
  std::vector<std::string> Handle(SeenEvent event) {
    std::vector<std::string> texts;
    for (const Notice& notice : lookout.Handle(std::move(event), now)) {
      texts.push_back(Text(notice));
    }
    return texts;
  }
  template <typename V>
  std::vector<std::string> See(const std::string& key, V value) {
    return Handle(Seen<V>{key, std::move(value)});
  }
  template <typename V>
  std::vector<std::string> Gone(const std::string& key) {
    return Handle(Seen<V>{key, std::nullopt});
  }
  void SyncAll() {
    for (const SeenStream stream : {SeenStream::kAllocations, SeenStream::kPools,
                                    SeenStream::kAnnouncements, SeenStream::kPeers}) {
      EXPECT_THAT(Handle(StreamSynced{stream}), IsEmpty());
    }
  }
  // The publisher is away, comes back with what `say` says, and time passes.
  template <typename Say>
  std::vector<std::string> Restart(SeenStream stream, Say say) {
    EXPECT_THAT(Handle(StreamLost{stream}), IsEmpty());
    say();
    EXPECT_THAT(Handle(StreamSynced{stream}), IsEmpty());
    EXPECT_EQ(lookout.deadline(), now + kSettle);
    now += kSettle;
    return Handle(SettleTimer{});
  }

  Lookout lookout;
  absl::Time now = absl::UnixEpoch();
};

SeenAllocation Holding(std::vector<std::string> addresses) {
  SeenAllocation allocation;
  for (std::string& address : addresses) allocation.grants.push_back({std::move(address), "p"});
  return allocation;
}

SeenPool Used(int used, int available) {
  SeenPool pool;
  pool.counts["ipv4"] = {absl::StrCat(used), absl::StrCat(available)};
  return pool;
}

SeenAnnouncement Announced(bool owner, std::string owner_node, std::string rival = "") {
  return {.service = "n/s",
          .mac = "02:00:00:00:00:01",
          .owner = owner,
          .owner_node = std::move(owner_node),
          .rival = std::move(rival)};
}

SeenPeer InState(std::string state, int64_t since, std::string error = "") {
  return {.node = "a",
          .instance = "i",
          .name = "tor",
          .address = "192.0.2.2",
          .remote_as = 65000,
          .state = std::move(state),
          .since_unix_ms = since,
          .last_error = std::move(error),
          .hold_time_s = 9};
}

// ---- addresses ----

TEST_F(LookoutTest, TheFirstPictureIsToldToNobody) {
  EXPECT_THAT(See("n/s", Holding({"192.0.2.1"})), IsEmpty());
  EXPECT_THAT(See("p", Used(10, 0)), IsEmpty());
  EXPECT_THAT(See(kPlace, Announced(true, "a")), IsEmpty());
  EXPECT_THAT(See("a/i/tor", InState("established", 1)), IsEmpty());
  SyncAll();
  EXPECT_EQ(lookout.deadline(), absl::InfiniteFuture());
}

TEST_F(LookoutTest, AddressesThatComeAndGoAreTold) {
  SyncAll();
  EXPECT_THAT(See("n/s", Holding({"192.0.2.1"})),
              ElementsAre("address-assigned service=n/s address=192.0.2.1 pool=p adopted=false"));
  EXPECT_THAT(See("n/s", Holding({"192.0.2.1", "192.0.2.2"})),
              ElementsAre("address-assigned service=n/s address=192.0.2.2 pool=p adopted=false"));
  EXPECT_THAT(See("n/s", Holding({"192.0.2.2"})),
              ElementsAre("address-released service=n/s address=192.0.2.1 pool=p"));
  EXPECT_THAT(Gone<SeenAllocation>("n/s"),
              ElementsAre("address-released service=n/s address=192.0.2.2 pool=p"));
  EXPECT_THAT(Gone<SeenAllocation>("n/s"), IsEmpty());
}

TEST_F(LookoutTest, AnAddressThatIsFoundInUseIsToldAsAdoptedAndWithoutAPool) {
  SyncAll();
  SeenAllocation allocation;
  allocation.grants.push_back({"192.0.2.9", "", true});
  EXPECT_THAT(See("n/s", allocation),
              ElementsAre("address-assigned service=n/s address=192.0.2.9 adopted=true"));
}

TEST_F(LookoutTest, ARestartOfThePublisherTellsNothingOfWhatIsAsBefore) {
  See("n/s", Holding({"192.0.2.1"}));
  SyncAll();
  EXPECT_THAT(Restart(SeenStream::kAllocations,
                      [&] { EXPECT_THAT(See("n/s", Holding({"192.0.2.1"})), IsEmpty()); }),
              IsEmpty());
}

TEST_F(LookoutTest, WhatARestartTakesAwayForAMomentIsNotLost) {
  See(kPlace, Announced(true, "a"));
  SyncAll();
  EXPECT_THAT(Handle(StreamLost{SeenStream::kAnnouncements}), IsEmpty());
  EXPECT_THAT(Gone<SeenAnnouncement>(kPlace), IsEmpty());
  EXPECT_THAT(Handle(StreamSynced{SeenStream::kAnnouncements}), IsEmpty());
  now += kSettle / 2;
  EXPECT_THAT(See(kPlace, Announced(false, "")), IsEmpty());
  EXPECT_THAT(See(kPlace, Announced(true, "a")), IsEmpty());
  now += kSettle / 2;
  EXPECT_THAT(Handle(SettleTimer{}), IsEmpty());
}

TEST_F(LookoutTest, WhatChangedWhileThePublisherWasAwayIsToldOnceItHasSettled) {
  See("n/a", Holding({"192.0.2.1"}));
  See("n/b", Holding({"192.0.2.2"}));
  SyncAll();
  EXPECT_THAT(Restart(SeenStream::kAllocations,
                      [&] {
                        See("n/b", Holding({"192.0.2.3"}));
                        Gone<SeenAllocation>("n/a");
                      }),
              ElementsAre("address-released service=n/a address=192.0.2.1 pool=p",
                          "address-released service=n/b address=192.0.2.2 pool=p",
                          "address-assigned service=n/b address=192.0.2.3 pool=p adopted=false"));
  // And from then on at once.
  EXPECT_THAT(Gone<SeenAllocation>("n/b"),
              ElementsAre("address-released service=n/b address=192.0.2.3 pool=p"));
}

TEST_F(LookoutTest, OneStreamThatIsAwayHoldsNoOtherUp) {
  SyncAll();
  Handle(StreamLost{SeenStream::kPeers});
  EXPECT_THAT(See("n/s", Holding({"192.0.2.1"})), testing::SizeIs(1));
}

TEST_F(LookoutTest, APublisherThatIsLostWhileItSettlesSettlesAnew) {
  See("n/s", Holding({"192.0.2.1"}));
  SyncAll();
  Handle(StreamLost{SeenStream::kAllocations});
  Gone<SeenAllocation>("n/s");
  Handle(StreamSynced{SeenStream::kAllocations});
  now += kSettle / 2;
  Handle(StreamLost{SeenStream::kAllocations});
  now += kSettle;
  EXPECT_THAT(Handle(SettleTimer{}), IsEmpty());
  EXPECT_THAT(Restart(SeenStream::kAllocations, [] {}), testing::SizeIs(1));
}

TEST_F(LookoutTest, APublisherThatIsLostBeforeItWasCompleteIsNotTold) {
  See("n/s", Holding({"192.0.2.1"}));
  Handle(StreamLost{SeenStream::kAllocations});
  EXPECT_THAT(Gone<SeenAllocation>("n/s"), IsEmpty());
  Handle(StreamSynced{SeenStream::kAllocations});
  EXPECT_THAT(See("n/s", Holding({"192.0.2.1"})), testing::SizeIs(1));
}

// ---- pools ----

TEST_F(LookoutTest, APoolThatFillsUpIsToldOnceAtEachLevelUntilItIsRelieved) {
  See("p", Used(0, 100));
  SyncAll();
  EXPECT_THAT(See("p", Used(89, 11)), IsEmpty());
  EXPECT_THAT(See("p", Used(90, 10)),
              ElementsAre("pool-nearly-full pool=p family=ipv4 used=90 available=10 threshold=90"));
  EXPECT_THAT(See("p", Used(95, 5)), IsEmpty());
  EXPECT_THAT(See("p", Used(86, 14)), IsEmpty()) << "within the hysteresis";
  EXPECT_THAT(See("p", Used(90, 10)), IsEmpty());
  EXPECT_THAT(See("p", Used(100, 0)), ElementsAre("pool-exhausted pool=p family=ipv4 used=100"));
  EXPECT_THAT(See("p", Used(99, 1)), IsEmpty());
  EXPECT_THAT(See("p", Used(100, 0)), IsEmpty());
  EXPECT_THAT(See("p", Used(85, 15)),
              ElementsAre("pool-relieved pool=p family=ipv4 used=85 available=15"));
  EXPECT_THAT(See("p", Used(100, 0)), ElementsAre("pool-exhausted pool=p family=ipv4 used=100"));
}

TEST_F(LookoutTest, APoolWithNothingInUseIsNeverFull) {
  SyncAll();
  EXPECT_THAT(See("p", Used(0, 0)), IsEmpty());
}

TEST_F(LookoutTest, EachFamilyOfAPoolIsByItself) {
  SyncAll();
  SeenPool pool = Used(1, 9);
  pool.counts["ipv6"] = {"340282366920938463463374607431768211455", "1"};
  EXPECT_THAT(See("p", pool),
              ElementsAre("pool-nearly-full pool=p family=ipv6 "
                          "used=340282366920938463463374607431768211455 available=1 threshold=90"));
}

TEST_F(LookoutTest, AnotherThresholdHoldsForThePoolsThatAreThere) {
  See("p", Used(50, 50));
  SyncAll();
  EXPECT_THAT(Handle(ThresholdSet{50}),
              ElementsAre("pool-nearly-full pool=p family=ipv4 used=50 available=50 threshold=50"));
  EXPECT_THAT(Handle(ThresholdSet{50}), IsEmpty());
  EXPECT_THAT(Handle(ThresholdSet{60}),
              ElementsAre("pool-relieved pool=p family=ipv4 used=50 available=50"));
}

TEST_F(LookoutTest, APoolInConflictIsToldAndIsNotExhausted) {
  SyncAll();
  SeenPool pool = Used(4, 0);
  pool.conflicting = true;
  pool.conflicts_with = "old";
  pool.message = "m";
  EXPECT_THAT(See("p", pool), ElementsAre("pool-conflict pool=p conflicts-with=old message=m"));
  EXPECT_THAT(See("p", Used(4, 6)), ElementsAre("pool-conflict-ended pool=p"));
  EXPECT_THAT(Gone<SeenPool>("p"), IsEmpty());
}

// ---- owners ----

TEST_F(LookoutTest, OwnersThatComeAndGoAreTold) {
  SyncAll();
  const std::string place = " node=a interface=eth0 address=192.0.2.1 service=n/s";
  EXPECT_THAT(See(kPlace, Announced(false, "b")), IsEmpty());
  EXPECT_THAT(See(kPlace, Announced(true, "a")),
              ElementsAre(absl::StrCat("ownership-gained", place, " mac=02:00:00:00:00:01")));
  EXPECT_THAT(See(kPlace, Announced(false, "b")),
              ElementsAre(absl::StrCat("ownership-lost", place, " owner=b")));
  See(kPlace, Announced(true, "a"));
  EXPECT_THAT(Gone<SeenAnnouncement>(kPlace), ElementsAre(absl::StrCat("ownership-lost", place)));
}

TEST_F(LookoutTest, AForeignHostIsToldAndThatItIsGone) {
  See(kPlace, Announced(true, "a"));
  SyncAll();
  const std::string place = " node=a interface=eth0 address=192.0.2.1 service=n/s";
  EXPECT_THAT(See(kPlace, Announced(true, "a", "02:00:00:00:00:66")),
              ElementsAre(absl::StrCat("address-conflict", place, " rival=02:00:00:00:00:66")));
  EXPECT_THAT(See(kPlace, Announced(true, "a", "02:00:00:00:00:66")), IsEmpty());
  EXPECT_THAT(See(kPlace, Announced(true, "a")),
              ElementsAre(absl::StrCat("address-conflict-ended", place)));
}

// ---- peers ----

TEST_F(LookoutTest, SessionsThatComeAndGoAreToldWithTheReason) {
  const std::string who = " node=a instance=i peer=tor address=192.0.2.2 remote-as=65000";
  See("k", InState("idle", 1));
  SyncAll();
  EXPECT_THAT(See("k", InState("opensent", 2)), IsEmpty());
  EXPECT_THAT(See("k", InState("established", 3)),
              ElementsAre(absl::StrCat("peer-established", who, " hold-time=9")));
  EXPECT_THAT(
      See("k", InState("idle", 4, "Cease")),
      ElementsAre(absl::StrCat("peer-backward-transition", who, " state=idle reason=Cease")));
  EXPECT_THAT(See("k", InState("connect", 5, "Cease")), IsEmpty());
}

TEST_F(LookoutTest, ASessionThatCameBackBetweenTwoLooksIsToldByWhenItBegan) {
  See("k", InState("established", 3));
  SyncAll();
  EXPECT_THAT(See("k", InState("established", 7, "hold timer")), testing::SizeIs(2));
  EXPECT_THAT(Restart(SeenStream::kPeers,
                      [&] {
                        See("k", InState("idle", 8));
                        See("k", InState("established", 9));
                      }),
              testing::SizeIs(2))
      << "a speaker that starts anew drops its sessions";
}

TEST_F(LookoutTest, APeerThatIsConfiguredNoMoreEndsItsSession) {
  See("k", InState("established", 3));
  SyncAll();
  EXPECT_THAT(Gone<SeenPeer>("k"),
              ElementsAre("peer-backward-transition node=a instance=i peer=tor address=192.0.2.2 "
                          "remote-as=65000 state=idle reason=the peer is configured no more"));
}

// ---- memory ----

TEST(LookoutMemory, OfAServiceIsBelowFourHundredBytes) {
  constexpr int kServices = 20'000;
  const size_t before = mallinfo2().uordblks;
  Lookout lookout;
  for (int i = 0; i < kServices; ++i) {
    const std::string key = absl::StrCat("namespace-", i % 100, "/service-", i);
    const std::string address = absl::StrCat("10.", i >> 16, ".", (i >> 8) & 255, ".", i & 255);
    lookout.Handle(Seen<SeenAllocation>{key, Holding({address})}, absl::UnixEpoch());
    SeenAnnouncement announcement = Announced(true, "a");
    announcement.service = key;
    lookout.Handle(Seen<SeenAnnouncement>{absl::StrCat("a/eth0/", address), announcement},
                   absl::UnixEpoch());
  }
  const size_t after = mallinfo2().uordblks;
  if (after <= before) GTEST_SKIP() << "this allocator does not count";
  RecordProperty("bytes", absl::StrCat((after - before) / kServices));
  EXPECT_LT((after - before) / kServices, 400u);
}

}  // namespace
}  // namespace portolan::config
