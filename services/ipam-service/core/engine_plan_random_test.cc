// Random sites, random edits: what a plan says is what the engine then does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/rng/rng.h"
#include "services/ipam-service/core/testing_foretold.h"

namespace portolan::ipam {
namespace {

using ::testing::IsEmpty;

class Chance {
 public:
  explicit Chance(uint64_t seed) : rng_(seed) {}

  int Below(int end) { return static_cast<int>(rng_.Below(static_cast<uint64_t>(end))); }
  bool Once(int in) { return Below(in) == 0; }
  std::string Of(const std::vector<std::string>& texts) {
    return texts[static_cast<size_t>(Below(static_cast<int>(texts.size())))];
  }

 private:
  Rng rng_;
};

std::string AnyAddress(Chance& chance) {
  return absl::StrCat("10.0.", chance.Below(4), ".", chance.Below(6));
}

// Blocks of one pool never overlap those of another, but for "wide", which may.
PoolConfig AnyPool(const std::string& name, int number, Chance& chance) {
  const int first = chance.Below(3);
  std::vector<std::string> blocks = {
      absl::StrCat("10.0.", number, ".", first, "-10.0.", number, ".", first + chance.Below(3))};
  if (chance.Once(3)) {
    blocks.push_back(absl::StrCat("2001:db8:", number, "::-2001:db8:", number, "::1"));
  }
  if (name == "wide") blocks = {"10.0.0.0-10.0.3.255"};
  PoolConfig pool = PoolOf(name, blocks);
  if (chance.Once(4)) pool.service_selector = In("color", {chance.Of({"red", "blue"})});
  if (chance.Once(5)) pool.namespaces = {chance.Of({"a", "b"})};
  if (chance.Once(5)) pool.namespace_selectors = {In("tier", {"gold"})};
  if (chance.Once(4)) pool.excluded = {BlockOf(absl::StrCat("10.0.", number, ".1/32"))};
  pool.disabled = chance.Once(5);
  pool.auto_assign = !chance.Once(8);
  pool.avoid_buggy_ips = chance.Once(6);
  pool.priority = static_cast<uint32_t>(chance.Below(2));
  if (chance.Once(3)) pool.address_picker = chance.Of({"stable-hash", "random", "longest-unused"});
  return pool;
}

ServiceRequest AnyService(Chance& chance) {
  ServiceRequest service =
      ServiceOf(absl::StrCat(chance.Of({"a", "b", "c"}), "/s", chance.Below(9)),
                {{"color", chance.Of({"red", "blue", "green"})}});
  if (chance.Once(4)) service.requested_addresses = {AnyAddress(chance)};
  if (chance.Once(12)) service.requested_addresses.push_back(AnyAddress(chance));
  if (chance.Once(8)) service.requested_pool = chance.Of({"p0", "p1", "wide"});
  if (chance.Once(6)) service.addresses_per_family = 2;
  if (chance.Once(4)) service.family_policy = FamilyPolicy::kPreferDualStack;
  if (chance.Once(6)) service.family_policy = FamilyPolicy::kRequireDualStack;
  if (chance.Once(2)) {
    service.sharing = SharingTerms{.key = chance.Of({"k", "k", "l"}),
                                   .namespaces = {"*"},
                                   .ports = {{6, static_cast<uint16_t>(80 + chance.Below(4))}}};
  }
  return service;
}

void EditPools(Site& site, Chance& chance) {
  for (int edits = 1 + chance.Below(2); edits > 0; --edits) {
    const int number = chance.Below(4);
    const std::string name = chance.Once(9) ? "wide" : absl::StrCat("p", number);
    if (chance.Once(4)) {
      site.pools.erase(name);
    } else {
      site.pools[name] = AnyPool(name, number, chance);
    }
  }
  if (chance.Once(4)) site.settings.address_picker = chance.Of({"", "stable-hash", "random"});
  if (chance.Once(4)) site.Quota("few", static_cast<uint32_t>(chance.Below(5)));
  if (chance.Once(9)) site.quotas.clear();
}

void Live(Site& site, Chance& chance) {
  for (int events = 10 + chance.Below(15); events > 0; --events) {
    if (chance.Once(5)) {
      site.world().RemoveService(AnyService(chance).key);
    } else {
      site.Add(AnyService(chance));
    }
  }
}

TEST(EnginePlanRandomTest, WhatAPlanSaysIsWhatTheEngineDoes) {
  int moves = 0, gains = 0;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Chance chance(seed);
    Site site;
    site.settings.drain_time = absl::Seconds(chance.Below(2) * 20);
    site.world().Send(NamespaceChanged{"a", Labels{{"tier", "gold"}}});
    for (int rounds = 1 + chance.Below(3); rounds > 0; --rounds) {
      EditPools(site, chance);
      site.Commit(chance.Once(3));
      Live(site, chance);
    }
    const Site::Held before = site.HeldNow();
    EditPools(site, chance);
    const bool allow_renumber = !chance.Once(3);
    const AddressPlan plan = site.Plan(allow_renumber);
    ASSERT_EQ(site.HeldNow(), before);
    if (!allow_renumber && IsRefused(plan)) continue;
    site.Commit(allow_renumber);
    ASSERT_EQ(site.HeldNow(), Foretold(before, plan)) << ::testing::PrintToString(LinesOf(plan));
    ExpectNewPools(site, plan);
    ASSERT_THAT(site.world().problems, IsEmpty());
    moves += static_cast<int>(plan.moves.size());
    gains += static_cast<int>(plan.gains.size());
  }
  EXPECT_GT(moves, 150);
  EXPECT_GT(gains, 100);
}

}  // namespace
}  // namespace portolan::ipam
