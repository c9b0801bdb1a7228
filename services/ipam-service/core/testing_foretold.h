// Plans that come true: a row is planned, committed in the same world, and who has which address
// then is compared, address by address. For tests; functions that fail the test that calls them.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/ipam-service/core/testing_site.h"

namespace portolan::ipam {

inline std::vector<std::string> LinesOf(const AddressPlan& plan) {
  std::vector<std::string> lines;
  for (const AddressMove& move : plan.moves) {
    lines.push_back(absl::StrCat(
        move.service, " ", move.address.ToString(), " -> ",
        move.new_address.has_value() ? absl::StrCat(move.new_address->ToString(), " ") : "",
        move.new_pool, move.new_pool.empty() ? "" : " ", "(", move.why.reason, ")"));
  }
  for (const AddressGain& gain : plan.gains) {
    lines.push_back(absl::StrCat(gain.service, " + ", gain.address.ToString(), " ", gain.pool));
  }
  return lines;
}

// What everybody has after the plan, if it comes true. An address that stays may be of another
// pool.
inline Site::Held Foretold(const Site::Held& before, const AddressPlan& plan) {
  Site::Held after = before;
  for (const AddressMove& move : plan.moves) {
    after[move.service].erase(move.address.ToString());
    if (move.new_address.has_value()) after[move.service].insert(move.new_address->ToString());
  }
  for (const AddressGain& gain : plan.gains) after[gain.service].insert(gain.address.ToString());
  std::erase_if(after, [](const auto& entry) { return entry.second.empty(); });
  return after;
}

// After the plan was committed.
inline void ExpectNewPools(const Site& site, const AddressPlan& plan) {
  for (const AddressMove& move : plan.moves) {
    if (!move.new_address.has_value()) continue;
    EXPECT_EQ(site.PoolOfAddress(move.service, *move.new_address), move.new_pool);
  }
  for (const AddressGain& gain : plan.gains) {
    EXPECT_EQ(site.PoolOfAddress(gain.service, gain.address), gain.pool);
  }
}

// Whether config-service refuses the edit without permission.
inline bool IsRefused(const AddressPlan& plan) {
  return std::any_of(plan.moves.begin(), plan.moves.end(),
                     [](const AddressMove& move) { return move.why.reason != "not-requested"; });
}

struct Row {
  const char* claim;
  std::function<void(Site&)> set_up;
  std::function<void(Site&)> edit;
  std::vector<std::string> plan;
};

// Addresses 10.0.0.1 and .2 of pool "p" are held by a and b; "q" is there too.
inline void TwoHolders(Site& site) {
  site.Pool("p", {"10.0.0.1-10.0.0.2"});
  site.Commit(false);
  site.Add("default/a");
  site.Add("default/b");
  site.Pool("q", {"10.0.1.1-10.0.1.9"});
  site.Commit(false);
}

// The same, and c waits: there is no other pool.
inline void TwoHoldersAndOneWaits(Site& site) {
  site.Pool("p", {"10.0.0.1-10.0.0.2"});
  site.Commit(false);
  for (const char* key : {"default/a", "default/b", "default/c"}) site.Add(key);
}

inline LabelSelector In(const std::string& key, const std::vector<std::string>& values) {
  return LabelSelector({{key, LabelSelector::Operator::kIn, values}});
}

inline AddressPlan ComesTrue(const Row& row, bool allow_renumber, bool pools_first = false) {
  SCOPED_TRACE(absl::StrCat(row.claim, allow_renumber ? "" : ", without permission"));
  Site site;
  row.set_up(site);
  const Site::Held before = site.HeldNow();
  row.edit(site);
  AddressPlan plan = site.Plan(allow_renumber);
  EXPECT_EQ(site.HeldNow(), before) << "a plan changes nothing";
  if (!allow_renumber && IsRefused(plan)) return plan;
  site.Commit(allow_renumber, pools_first);
  EXPECT_EQ(site.HeldNow(), Foretold(before, plan));
  ExpectNewPools(site, plan);
  EXPECT_THAT(site.world().problems, ::testing::IsEmpty());
  EXPECT_THAT(LinesOf(site.Plan(allow_renumber)), ::testing::IsEmpty())
      << "and then nothing is left to do";
  return plan;
}

inline void AllComeTrue(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    for (const bool allow_renumber : {true, false}) {
      for (const bool pools_first : {true, false}) {
        EXPECT_EQ(LinesOf(ComesTrue(row, allow_renumber, pools_first)), row.plan) << row.claim;
      }
    }
  }
}

}  // namespace portolan::ipam
