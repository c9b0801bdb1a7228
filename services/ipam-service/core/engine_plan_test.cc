// A plan of an edit of pools foretells what the engine does (testing_foretold.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "services/ipam-service/core/testing_foretold.h"

namespace portolan::ipam {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<Row> ShrunkRows() {
  return {
      {"a pool that shrinks moves who was outside",
       TwoHolders,
       [](Site& site) { site.Pool("p", {"10.0.0.1-10.0.0.1"}); },
       {"default/b 10.0.0.2 -> 10.0.1.1 q (not-in-pool)"}},
      {"a pool that is removed moves all, in the order of keys",
       TwoHolders,
       [](Site& site) { site.pools.erase("p"); },
       {"default/a 10.0.0.1 -> 10.0.1.1 q (not-in-pool)",
        "default/b 10.0.0.2 -> 10.0.1.2 q (not-in-pool)"}},
      {"the last pool that is removed leaves them with nothing",
       TwoHoldersAndOneWaits,
       [](Site& site) { site.pools.clear(); },
       {"default/a 10.0.0.1 -> (not-in-pool)", "default/b 10.0.0.2 -> (not-in-pool)"}},
  };
}

std::vector<Row> SelectionRows() {
  return {
      {"a disabled pool keeps what it gave",
       TwoHolders,
       [](Site& site) { site.pools["p"].disabled = true; },
       {}},
      {"a selector that no longer selects one moves it",
       [](Site& site) {
         site.Pool("p", {"10.0.0.1-10.0.0.2"});
         site.Commit(false);
         site.Add("default/a", {{"color", "red"}});
         site.Add("default/b", {{"color", "blue"}});
         site.Pool("q", {"10.0.1.1-10.0.1.9"});
         site.Commit(false);
       },
       [](Site& site) { site.pools["p"].service_selector = In("color", {"red"}); },
       {"default/b 10.0.0.2 -> 10.0.1.1 q (selector-mismatch)"}},
      {"a namespace selector that no longer matches moves the namespace",
       [](Site& site) {
         site.world().Send(NamespaceChanged{"prod", Labels{{"tier", "gold"}}});
         site.Pool("p", {"10.0.0.1-10.0.0.2"});
         site.Commit(false);
         site.Add("prod/a");
         site.Add("test/b");
         site.Pool("q", {"10.0.1.1-10.0.1.9"});
         site.Commit(false);
       },
       [](Site& site) { site.pools["p"].namespace_selectors = {In("tier", {"gold"})}; },
       {"test/b 10.0.0.2 -> 10.0.1.1 q (namespace-mismatch)"}},
      {"another priority moves nobody",
       TwoHolders,
       [](Site& site) { site.pools["p"].priority = 99; },
       {}},
      {"a pool that is split moves nobody",
       TwoHolders,
       [](Site& site) {
         site.Pool("p", {"10.0.0.1-10.0.0.1"});
         site.Pool("p2", {"10.0.0.2-10.0.0.2"});
       },
       {}},
      {"a pool that is renamed moves nobody",
       TwoHolders,
       [](Site& site) {
         site.pools.erase("p");
         site.Pool("z", {"10.0.0.1-10.0.0.2"});
       },
       {}},
      {"a block that goes to another pool moves nobody that it selects too",
       [](Site& site) {
         TwoHolders(site);
         site.Add("other/c");  // 10.0.1.1 of q
       },
       [](Site& site) {
         site.Pool("p", {"10.0.0.1-10.0.0.1"});
         site.Pool("q", {"10.0.1.1-10.0.1.9", "10.0.0.2-10.0.0.2"});
         site.pools["q"].namespaces = {"other"};
       },
       {"default/b 10.0.0.2 -> (namespace-mismatch)"}},
  };
}

std::vector<Row> LenientRows() {
  return {
      {"auto-assign off keeps what was given",
       TwoHolders,
       [](Site& site) { site.pools["p"].auto_assign = false; },
       {}},
      {"excluded ranges that grow move nobody",
       TwoHolders,
       [](Site& site) { site.pools["p"].excluded = {BlockOf("10.0.0.1-10.0.0.2")}; },
       {}},
      {"avoid-buggy-ips moves nobody, and a range that is freed does not bring them back",
       [](Site& site) {
         site.Pool("p", {"10.0.0.255-10.0.1.0"});
         site.Commit(false);
         for (const char* key : {"default/a", "default/b", "default/c"}) site.Add(key);
       },
       [](Site& site) {
         site.Pool("p", {"10.0.0.254-10.0.1.0"});
         site.pools["p"].avoid_buggy_ips = true;
       },
       {"default/c + 10.0.0.254 p"}},
      {"an overlap that a wider older pool makes moves nobody",
       TwoHolders,
       [](Site& site) { site.Pool("p", {"10.0.0.1-10.0.1.255"}); },
       {}},
  };
}

std::vector<Row> PickerRows() {
  const auto with = [](const std::string& picker) {
    return [picker](Site& site) {
      site.settings.address_picker = picker;
      site.Pool("p", {"10.0.0.0/24"});
      site.Commit(false);
      for (const char* key : {"default/a", "default/b", "default/c"}) site.Add(key);
    };
  };
  const auto move = [](Site& site) { site.Pool("p", {"10.77.0.0/16"}); };
  return {
      {"by stable-hash", with("stable-hash"), move},
      {"by random", with("random"), move},
      {"by longest-unused", with("longest-unused"), move},
      {
          "by another default picker",
          with("lowest-free"),
          [move](Site& site) {
            move(site);
            site.settings.address_picker = "stable-hash";
          },
      },
      {
          "by another picker of the pool",
          with("lowest-free"),
          [move](Site& site) {
            move(site);
            site.pools["p"].address_picker = "random";
          },
      },
  };
}

TEST(EnginePlanTest, WhoLosesAnAddressIsForetold) { AllComeTrue(ShrunkRows()); }

TEST(EnginePlanTest, WhoIsNoLongerSelectedIsForetold) { AllComeTrue(SelectionRows()); }

TEST(EnginePlanTest, EditsThatMatterOnlyToTheNextMoveNobody) { AllComeTrue(LenientRows()); }

TEST(EnginePlanTest, WhatThePickersChooseIsForetold) {
  for (const Row& row : PickerRows()) {
    const AddressPlan plan = ComesTrue(row, true);
    ASSERT_EQ(plan.moves.size(), 3u) << row.claim;
    for (const AddressMove& move : plan.moves) {
      EXPECT_TRUE(move.new_address.has_value()) << row.claim;
    }
  }
}

TEST(EnginePlanTest, WhatIsStrandedAlreadyIsListedOnlyWithPermission) {
  Site site;
  TwoHolders(site);
  site.Pool("p", {"10.0.0.1-10.0.0.1"});
  site.Commit(false);  // nobody was asked, as without an ipam-service
  ASSERT_EQ(site.world().ReasonOf("default/b"), "address-stranded");
  site.Quota("many", 9);
  EXPECT_THAT(LinesOf(site.Plan(false)), IsEmpty());
  EXPECT_THAT(LinesOf(site.Plan(true)),
              ElementsAre("default/b 10.0.0.2 -> 10.0.1.1 q (not-in-pool)"));
  site.pools.erase("p");
  EXPECT_THAT(LinesOf(site.Plan(false)),
              ElementsAre("default/a 10.0.0.1 -> 10.0.1.1 q (not-in-pool)"));
  ComesTrue({.claim = "with permission both move",
             .set_up =
                 [](Site& other) {
                   TwoHolders(other);
                   other.Pool("p", {"10.0.0.1-10.0.0.1"});
                   other.Commit(false);
                 },
             .edit = [](Site& other) { other.pools.erase("p"); }},
            true);
}

TEST(EnginePlanTest, AnAddressThatAPickerElsewhereWouldChooseIsNotPromised) {
  Site site;
  TwoHolders(site);
  site.world().Send(
      PickerChanged{.name = "elsewhere", .stage = std::make_shared<plugin::DeferringPicker>()});
  site.pools.erase("p");
  site.pools["q"].address_picker = "elsewhere";
  EXPECT_THAT(LinesOf(site.Plan(true)), ElementsAre("default/a 10.0.0.1 -> (not-in-pool)",
                                                    "default/b 10.0.0.2 -> (not-in-pool)"));
  EXPECT_THAT(site.world().asked, IsEmpty());
}

TEST(EnginePlanTest, AWriteThatIsOnItsWayCountsAsDone) {
  Site site;
  site.Pool("p", {"10.0.0.1-10.0.0.2"});
  site.Commit(false);
  site.world().journal_waits = true;
  site.Add("default/a");
  ASSERT_EQ(site.world().AddressesOf("default/a"), "");
  site.Pool("p", {"10.0.1.1-10.0.1.2"});
  EXPECT_THAT(LinesOf(site.Plan(true)),
              ElementsAre("default/a 10.0.0.1 -> 10.0.1.1 p (not-in-pool)"));
  site.world().AnswerJournal();
  EXPECT_EQ(site.world().AddressesOf("default/a"), "10.0.0.1");
}

}  // namespace
}  // namespace portolan::ipam
