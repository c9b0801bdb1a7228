#include "plugins/address_pickers/stable_hash/stable_hash.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "plugins/sdk/address_picker.h"
#include "plugins/sdk/testing_free_space.h"

namespace portolan::plugin {
namespace {

net::IpAddress Pick(const std::string& service, const FreeSpace& free, uint64_t seed = 0) {
  std::unique_ptr<Stage> stage = NewStableHashFactory()->Create("").value();
  PickResult result = dynamic_cast<AddressPicker&>(*stage).Pick(
      {.service = service, .pool = "p", .seed = seed, .free = &free});
  EXPECT_EQ(result.verdict, PickResult::Verdict::kAddress);
  return result.address;
}

TEST(StableHash, TheSameServiceGetsTheSameAddressWhateverElseIsTaken) {
  const net::Range all = TestRange("10.0.0.0", "10.0.0.255");
  ListFreeSpace empty_pool({all}, {all});
  const net::IpAddress mine = Pick("tenant/web", empty_pool);
  ListFreeSpace only_mine({all}, {net::Range::Of(mine, mine).value()});
  EXPECT_EQ(Pick("tenant/web", only_mine), mine);
}

TEST(StableHash, TakesTheNextFreeAddressWhenItsOwnIsTakenAndWrapsAround) {
  const net::Range all = TestRange("10.0.0.0", "10.0.0.3");
  for (const char* only : {"10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"}) {
    ListFreeSpace free({all}, {TestRange(only, only)});
    EXPECT_EQ(Pick("tenant/web", free), TestAddress(only));
  }
}

// Written down once: a change of these values would renumber installations.
TEST(StableHash, TheFunctionNeverChanges) {
  const net::Range v4 = TestRange("20.0.10.0", "20.0.10.255");
  const net::Range v6 = TestRange("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff");
  EXPECT_EQ(Pick("default/web", ListFreeSpace({v4}, {v4})).ToString(), "20.0.10.235");
  EXPECT_EQ(Pick("default/web", ListFreeSpace({v6}, {v6})).ToString(),
            "2001:db8::7f80:1e56:3ebd:6ceb");
}

TEST(StableHash, SpreadsOverSeveralRangesAndTheWholeIpv6Space) {
  ListFreeSpace two({TestRange("10.0.0.0", "10.0.0.1"), TestRange("10.0.9.0", "10.0.9.1")},
                    {TestRange("10.0.0.0", "10.0.0.1"), TestRange("10.0.9.0", "10.0.9.1")});
  std::set<net::IpAddress> seen;
  for (int i = 0; i < 100; ++i) seen.insert(Pick(absl::StrCat("ns/", i), two));
  EXPECT_EQ(seen.size(), 4u);

  const net::Range everything = TestRange("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  EXPECT_NE(Pick("a/b", ListFreeSpace({everything}, {everything})),
            Pick("a/c", ListFreeSpace({everything}, {everything})));
}

TEST(StableHash, AnotherSeedIsAnotherPlace) {
  const net::Range v6 = TestRange("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff");
  EXPECT_NE(Pick("a/b", ListFreeSpace({v6}, {v6}), 1), Pick("a/b", ListFreeSpace({v6}, {v6}), 2));
}

}  // namespace
}  // namespace portolan::plugin
