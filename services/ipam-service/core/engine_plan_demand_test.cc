// A plan foretells what Services get (testing_foretold.h): those who wait, both families, those who
// share, and who is in a quota.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/ipam-service/core/testing_foretold.h"

namespace portolan::ipam {
namespace {

using ::testing::IsEmpty;

std::vector<Row> QueueRows() {
  return {
      {"who waits longest gets the one new address",
       [](Site& site) {
         TwoHoldersAndOneWaits(site);
         site.Add("default/aa");
       },
       [](Site& site) { site.Pool("p", {"10.0.0.1-10.0.0.3"}); },
       {"default/c + 10.0.0.3 p"}},
      {"a pool that is enabled serves who waits",
       [](Site& site) {
         site.Pool("p", {"10.0.0.1-10.0.0.2"});
         site.pools["p"].disabled = true;
         site.Commit(false);
         site.Add("default/b");
         site.Add("default/a");
       },
       [](Site& site) { site.pools["p"].disabled = false; },
       {"default/a + 10.0.0.2 p", "default/b + 10.0.0.1 p"}},
      {"a selector that lets somebody else in serves who waits, and moves the other",
       [](Site& site) {
         site.Pool("p", {"10.0.0.1-10.0.0.1"});
         site.pools["p"].service_selector = In("color", {"red"});
         site.Commit(false);
         site.Add("default/red", {{"color", "red"}});
         site.Add("default/blue", {{"color", "blue"}});
       },
       [](Site& site) { site.pools["p"].service_selector = In("color", {"blue"}); },
       {"default/red 10.0.0.1 -> (selector-mismatch)", "default/blue + 10.0.0.1 p"}},
      {"of two that are moved the first by key gets the last place; who waits came before both",
       TwoHoldersAndOneWaits,
       [](Site& site) { site.Pool("p", {"10.0.9.1-10.0.9.2"}); },
       {"default/a 10.0.0.1 -> 10.0.9.2 p (not-in-pool)", "default/b 10.0.0.2 -> (not-in-pool)",
        "default/c + 10.0.9.1 p"}},
  };
}

std::vector<Row> RequestRows() {
  return {
      {"an address that is asked for by name comes with its pool",
       [](Site& site) {
         TwoHolders(site);
         site.AddExact("default/wants", {"10.0.7.7", "10.0.0.1"});
       },
       [](Site& site) { site.Pool("r", {"10.0.7.0/24"}); },
       {"default/wants + 10.0.7.7 r"}},
      {"who asked for exactly that address gets no other",
       [](Site& site) {
         TwoHolders(site);
         site.AddExact("default/exact", {"10.0.1.5"});
       },
       [](Site& site) { site.Pool("q", {"10.0.1.1-10.0.1.4"}); },
       {"default/exact 10.0.1.5 -> (not-in-pool)"}},
      {"what its Service no longer asks for goes when the edit serves what it does",
       [](Site& site) {
         TwoHolders(site);
         ServiceRequest service = ServiceOf("default/b");
         service.requested_addresses = {"10.0.7.7"};
         site.Add(service);
         site.AddExact("default/w", {"10.0.0.2"});
       },
       [](Site& site) { site.Pool("r", {"10.0.7.0/24"}); },
       {"default/b 10.0.0.2 -> 10.0.7.7 r (not-requested)", "default/w + 10.0.0.2 p"}},
      {"who waits gets what was drained by who moved away",
       [](Site& site) {
         site.settings.drain_time = absl::Seconds(20);
         site.Pool("p", {"10.0.0.1-10.0.0.1"});
         site.Commit(false);
         site.Add("default/a");
         ServiceRequest only_p = ServiceOf("other/only-p");
         only_p.requested_pool = "p";
         site.Add(only_p);
       },
       [](Site& site) {
         site.pools["p"].namespaces = {"other"};
         site.Pool("q", {"10.0.1.1-10.0.1.1"});
       },
       {"default/a 10.0.0.1 -> 10.0.1.1 q (namespace-mismatch)", "other/only-p + 10.0.0.1 p"}},
  };
}

std::vector<Row> FamilyRows() {
  return {
      {"both families move, each to its own",
       [](Site& site) {
         site.Pool("p", {"10.0.0.1-10.0.0.2", "2001:db8::1-2001:db8::2"});
         site.Commit(false);
         site.AddDualStack("default/a");
       },
       [](Site& site) {
         site.Pool("p", {"10.0.1.1-10.0.1.2", "2001:db8:1::1-2001:db8:1::2"});
       },
       {"default/a 10.0.0.1 -> 10.0.1.1 p (not-in-pool)",
        "default/a 2001:db8::1 -> 2001:db8:1::1 p (not-in-pool)"}},
      {"one family goes, the other stays, a missing one comes",
       [](Site& site) {
         site.Pool("four", {"10.0.0.1-10.0.0.2"});
         site.Commit(false);
         site.AddDualStack("default/a");
       },
       [](Site& site) {
         site.pools.erase("four");
         site.Pool("six", {"2001:db8::1-2001:db8::2"});
       },
       {"default/a 10.0.0.1 -> (not-in-pool)", "default/a + 2001:db8::1 six"}},
  };
}

std::vector<Row> SharingRows() {
  return {
      {"those who share an address move to one address together",
       [](Site& site) {
         site.Pool("p", {"10.0.0.1-10.0.0.2"});
         site.Commit(false);
         site.AddSharing("default/dns", 53);
         site.Add("default/alone");
         site.AddSharing("default/web", 80);
       },
       [](Site& site) { site.Pool("p", {"10.0.1.1-10.0.1.2"}); },
       {"default/alone 10.0.0.2 -> 10.0.1.1 p (not-in-pool)",
        "default/dns 10.0.0.1 -> 10.0.1.2 p (not-in-pool)",
        "default/web 10.0.0.1 -> 10.0.1.2 p (not-in-pool)"}},
      {"those who share move to where their ports are free",
       [](Site& site) {
         site.Pool("p", {"10.0.0.1-10.0.0.2"});
         site.Commit(false);
         site.AddSharing("default/dns", 53);
         site.AddSharing("default/web", 80);
         site.Add("default/alone");
         site.AddSharing("default/dns2", 53);  // its port is taken: waits
         site.Pool("q", {"10.0.1.1-10.0.1.9"});
       },
       [](Site& site) { site.pools.erase("p"); },
       {"default/alone 10.0.0.2 -> 10.0.1.2 q (not-in-pool)",
        "default/dns 10.0.0.1 -> 10.0.1.3 q (not-in-pool)",
        "default/web 10.0.0.1 -> 10.0.1.1 q (not-in-pool)", "default/dns2 + 10.0.1.1 q"}},
      {"who waits for a disabled pool joins the one with whom it shares when that is enabled",
       [](Site& site) {
         site.Pool("p", {"10.0.0.1-10.0.0.2"});
         site.Commit(false);
         site.AddSharing("default/dns", 53);
         site.pools["p"].disabled = true;
         site.Commit(false);
         site.AddSharing("default/web", 80);
       },
       [](Site& site) { site.pools["p"].disabled = false; },
       {"default/web + 10.0.0.1 p"}},
      {"one of a sharing group that is no longer selected moves alone",
       [](Site& site) {
         site.Pool("p", {"10.0.0.1-10.0.0.1"});
         site.Commit(false);
         site.AddSharing("default/dns", 53);
         ServiceRequest red = ServiceOf("default/red", {{"color", "red"}});
         red.sharing = SharingTerms{.key = "together", .ports = {{6, 80}}};
         site.Add(red);
         site.Pool("q", {"10.0.1.1-10.0.1.9"});
         site.Commit(false);
       },
       [](Site& site) { site.pools["p"].service_selector = In("color", {"red"}); },
       {"default/dns 10.0.0.1 -> 10.0.1.1 q (selector-mismatch)"}},
  };
}

std::vector<Row> QuotaRows() {
  return {
      {"a lower quota takes nothing",
       TwoHoldersAndOneWaits,
       [](Site& site) { site.Quota("few", 1); },
       {}},
      {"a lower quota lets nobody have a new address in the place of one that goes",
       [](Site& site) {
         TwoHolders(site);
         site.Add("default/c");
       },
       [](Site& site) {
         site.pools.erase("p");
         site.Quota("few", 1);
       },
       {"default/a 10.0.0.1 -> (not-in-pool)", "default/b 10.0.0.2 -> (not-in-pool)"}},
      {"a quota that is raised serves who waits, as far as it goes",
       [](Site& site) {
         site.Pool("p", {"10.0.0.1-10.0.0.9"});
         site.Quota("few", 1);
         site.Commit(false);
         for (const char* key : {"n/a", "n/b", "n/c", "m/a"}) site.Add(key);
       },
       [](Site& site) { site.Quota("few", 2); },
       {"n/b + 10.0.0.3 p"}},
      {"a quota that is removed serves all who waited for it",
       [](Site& site) {
         site.Pool("p", {"10.0.0.1-10.0.0.9"});
         site.Quota("few", 1);
         site.Commit(false);
         for (const char* key : {"n/c", "n/b", "n/a"}) site.Add(key);
       },
       [](Site& site) { site.quotas.clear(); },
       {"n/a + 10.0.0.3 p", "n/b + 10.0.0.2 p"}},
  };
}

TEST(EnginePlanDemandTest, WhoWaitsAndGainsIsForetold) { AllComeTrue(QueueRows()); }

TEST(EnginePlanDemandTest, WhatIsRequestedByNameIsForetold) { AllComeTrue(RequestRows()); }

TEST(EnginePlanDemandTest, FamiliesAreForetold) { AllComeTrue(FamilyRows()); }

TEST(EnginePlanDemandTest, SharingIsForetold) { AllComeTrue(SharingRows()); }

TEST(EnginePlanDemandTest, QuotasAreForetold) { AllComeTrue(QuotaRows()); }

// Where it matters which stream comes first, the plan promises the least.
TEST(EnginePlanDemandTest, AQuotaThatIsLoweredWhileAPoolGrowsPromisesNothing) {
  const Row row = {"a holds, b waits",
                   [](Site& site) {
                     site.Pool("p", {"10.0.0.1-10.0.0.1"});
                     site.Quota("few", 2);
                     site.Commit(false);
                     for (const char* key : {"n/a", "n/b"}) site.Add(key);
                   },
                   [](Site& site) {
                     site.Pool("p", {"10.0.0.1-10.0.0.9"});
                     site.Quota("few", 1);
                   },
                   {}};
  EXPECT_THAT(LinesOf(ComesTrue(row, true)), IsEmpty());
}

}  // namespace
}  // namespace portolan::ipam
