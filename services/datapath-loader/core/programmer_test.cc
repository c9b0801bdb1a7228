#include "services/datapath-loader/core/programmer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/base/rng/rng.h"
#include "services/datapath-loader/core/fake_kernel.h"

namespace portolan::datapath {
namespace {

constexpr Limits kLimits{.frontends = 64, .backends = 256, .table_slots = 65536, .chunk_slots = 16};

net::IpAddress Ip(const std::string& text) { return *net::IpAddress::Parse(text); }
FrontendKey Vip(const std::string& address, uint16_t port = 80) {
  return {Ip(address), port, kTcp};
}
WantedGroup Group(std::set<FrontendKey> frontends, const std::vector<std::string>& backends) {
  WantedGroup group{
      .name = "tcp/80/ipv4", .protocol = kTcp, .backends = {}, .frontends = std::move(frontends)};
  for (const std::string& address : backends) {
    group.backends.push_back({.address = Ip(address), .port = 8080, .source = std::nullopt});
  }
  return group;
}

class ProgrammerTest : public testing::Test {
 protected:
  // Until there is nothing left to do.
  void Settle() {
    for (int round = 0; round < 20; round++) {
      const MapBatch batch = programmer_.Plan(now_);
      if (batch.empty()) return;
      programmer_.Report(batch, kernel_.Execute(batch), now_);
    }
    FAIL() << "does not settle";
  }
  // A new process over the same kernel.
  void Restart() { programmer_ = Programmer(kLimits, 1, kernel_.image()); }

  FakeKernel kernel_{kLimits};
  Programmer programmer_{kLimits, 1, MapImage()};
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(ProgrammerTest, BackendsComeBeforeTheirTableAndThatBeforeItsFrontend) {
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1", "10.0.0.2"})});
  const MapBatch batch = programmer_.Plan(now_);
  std::vector<size_t> kinds;
  for (const MapOp& op : batch) kinds.push_back(op.change.index());
  EXPECT_EQ(kinds, (std::vector<size_t>{0, 0, 1, 2, 3}));
  programmer_.Report(batch, kernel_.Execute(batch), now_);
  EXPECT_TRUE(programmer_.Plan(now_).empty());
  EXPECT_TRUE(programmer_.InSync("ns/a"));
  EXPECT_EQ(programmer_.Published("ns/a").size(), 1u);
  EXPECT_EQ(kernel_.Behind(Vip("20.0.10.1")), (std::set<std::string>{"10.0.0.1", "10.0.0.2"}));
}

TEST_F(ProgrammerTest, TwoAddressesShareOneTable) {
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1"), Vip("20.0.10.2")}, {"10.0.0.1"})});
  Settle();
  const auto published = programmer_.Published("ns/a");
  EXPECT_EQ(published.at(Vip("20.0.10.1")).table_offset,
            published.at(Vip("20.0.10.2")).table_offset);
  EXPECT_NE(published.at(Vip("20.0.10.1")).id, published.at(Vip("20.0.10.2")).id);
}

TEST_F(ProgrammerTest, AnUnchangedWishWritesNothing) {
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1"})});
  Settle();
  const size_t before = kernel_.operations;
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1"})});
  Settle();
  EXPECT_EQ(kernel_.operations, before);
}

TEST_F(ProgrammerTest, ARemovedBackendIsRetiredAfterTheNewTableAndOthersKeepTheirIds) {
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1", "10.0.0.2"})});
  Settle();
  const MapImage before = kernel_.image();
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.2", "10.0.0.3"})});
  Settle();
  const MapImage after = kernel_.image();
  EXPECT_EQ(kernel_.Behind(Vip("20.0.10.1")), (std::set<std::string>{"10.0.0.2", "10.0.0.3"}));
  for (const auto& [id, entry] : before.backends) {
    EXPECT_EQ(after.backends.contains(id), entry.address == Ip("10.0.0.2"));
  }
}

TEST_F(ProgrammerTest, ABackendWithoutWeightStaysForItsFlows) {
  WantedGroup group = Group({Vip("20.0.10.1")}, {"10.0.0.1", "10.0.0.2"});
  programmer_.Want("ns/a", {group});
  Settle();
  group.backends[0].weight = 0;
  programmer_.Want("ns/a", {group});
  Settle();
  EXPECT_EQ(kernel_.Behind(Vip("20.0.10.1")), (std::set<std::string>{"10.0.0.2"}));
  EXPECT_EQ(kernel_.image().backends.size(), 2u);
}

TEST_F(ProgrammerTest, AServiceThatGoesLeavesNothing) {
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1"})});
  Settle();
  programmer_.Want("ns/a", {});
  Settle();
  EXPECT_TRUE(kernel_.image().frontends.empty());
  EXPECT_TRUE(kernel_.image().backends.empty());
  EXPECT_TRUE(programmer_.Published("ns/a").empty());
}

TEST_F(ProgrammerTest, AnAddressThatChangesHandsEndsTheOldFlows) {
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1"})});
  Settle();
  const FrontendEntry before = kernel_.image().frontends.at(Vip("20.0.10.1"));
  programmer_.Want("ns/a", {});
  programmer_.Want("ns/b", {Group({Vip("20.0.10.1")}, {"10.0.0.9"})});
  Settle();
  const FrontendEntry after = kernel_.image().frontends.at(Vip("20.0.10.1"));
  EXPECT_NE(after.id, before.id);
  EXPECT_EQ(kernel_.image().frontend_epochs[before.id], before.epoch + 1);
  EXPECT_EQ(kernel_.Behind(Vip("20.0.10.1")), (std::set<std::string>{"10.0.0.9"}));
  EXPECT_EQ(kernel_.image().backends.size(), 1u);
}

TEST_F(ProgrammerTest, ARestartAdoptsIdsAndWritesNothing) {
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1"), Vip("20.0.10.2")}, {"10.0.0.1", "10.0.0.2"})});
  programmer_.Want("ns/b", {Group({Vip("20.0.10.3")}, {"10.0.0.1"})});
  Settle();
  const MapImage before = kernel_.image();
  const size_t operations = kernel_.operations;
  Restart();
  programmer_.Want("ns/b", {Group({Vip("20.0.10.3")}, {"10.0.0.1"})});
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1"), Vip("20.0.10.2")}, {"10.0.0.1", "10.0.0.2"})});
  Settle();
  programmer_.Prune();
  Settle();
  EXPECT_EQ(kernel_.operations, operations);
  EXPECT_EQ(kernel_.image(), before);
  EXPECT_EQ(programmer_.Published("ns/a").size(), 2u);
}

TEST_F(ProgrammerTest, WhatIsFoundStaysUntilItIsPruned) {
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1"})});
  programmer_.Want("ns/b", {Group({Vip("20.0.10.3")}, {"10.0.0.3"})});
  Settle();
  Restart();
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1", "10.0.0.2"})});
  Settle();
  EXPECT_EQ(kernel_.image().frontends.size(), 2u);
  programmer_.Prune();
  Settle();
  EXPECT_EQ(kernel_.image().frontends.size(), 1u);
  EXPECT_EQ(kernel_.image().backends.size(), 2u);
}

// Found by the simulation: the frontend was written again under an id that was just closed.
TEST_F(ProgrammerTest, WhatIsWantedWhileItIsPrunedIsMadeAnew) {
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1"})});
  Settle();
  Restart();
  programmer_.Prune();
  const MapBatch batch = programmer_.Plan(now_);
  ASSERT_FALSE(batch.empty());
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1"})});
  programmer_.Report(batch, kernel_.Execute(batch), now_);
  Settle();
  EXPECT_EQ(kernel_.Behind(Vip("20.0.10.1")), (std::set<std::string>{"10.0.0.1"}));
  EXPECT_TRUE(programmer_.InSync("ns/a"));
}

// Found by the simulation: the time to try again lay in the past for ever, and hid all others.
TEST_F(ProgrammerTest, WhoWaitsForAnotherServiceIsNotDue) {
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1"})});
  Settle();
  Restart();
  kernel_.refuse = [](const MapOp&) { return absl::UnavailableError("refused"); };
  const auto attempt = [this] {
    const MapBatch batch = programmer_.Plan(now_);
    programmer_.Report(batch, kernel_.Execute(batch), now_);
  };
  programmer_.Prune();
  attempt();
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1"})});
  attempt();
  for (int i = 0; i < 5; i++) {
    now_ = programmer_.NextRetry();
    attempt();
    EXPECT_GT(programmer_.NextRetry(), now_);
  }
  kernel_.refuse = nullptr;
  now_ = programmer_.NextRetry();
  Settle();
  EXPECT_TRUE(programmer_.InSync("ns/a"));
}

TEST_F(ProgrammerTest, AFullMapFailsOneServiceAndIsRetried) {
  kernel_.refuse = [](const MapOp& op) -> absl::Status {
    if (op.service == "ns/a" && std::holds_alternative<WriteFrontend>(op.change)) {
      return absl::ResourceExhaustedError("map frontends: Argument list too long");
    }
    return absl::OkStatus();
  };
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1"})});
  programmer_.Want("ns/b", {Group({Vip("20.0.10.2")}, {"10.0.0.2"})});
  Settle();
  EXPECT_FALSE(programmer_.InSync("ns/a"));
  EXPECT_EQ(programmer_.StatusOf("ns/a").message(), "map frontends: Argument list too long");
  EXPECT_TRUE(programmer_.InSync("ns/b"));
  kernel_.refuse = nullptr;
  EXPECT_TRUE(programmer_.Plan(now_).empty());
  now_ = programmer_.NextRetry();
  Settle();
  EXPECT_TRUE(programmer_.InSync("ns/a"));
  EXPECT_TRUE(programmer_.StatusOf("ns/a").ok());
  EXPECT_EQ(programmer_.NextRetry(), absl::InfiniteFuture());
}

TEST_F(ProgrammerTest, TooManyBackendsFailOneServiceWithoutHalves) {
  std::vector<std::string> many;
  many.reserve(300);
  for (int i = 0; i < 300; i++) many.push_back(absl::StrCat("10.1.", i / 250, ".", i % 250 + 1));
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, many)});
  Settle();
  EXPECT_EQ(programmer_.StatusOf("ns/a").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(kernel_.image().backends.empty());
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1"})});
  now_ += absl::Minutes(1);
  Settle();
  EXPECT_TRUE(programmer_.InSync("ns/a"));
}

TEST_F(ProgrammerTest, MoreBackendsThanATableHoldsFailOneServiceAndTakeNoIds) {
  Programmer programmer({.frontends = 4, .backends = 70000, .table_slots = 1 << 20}, 1, MapImage());
  WantedGroup group = Group({Vip("20.0.10.1")}, {});
  for (uint32_t i = 0; i < 70000; i++) {
    group.backends.push_back(
        {.address = net::IpAddress::FromValue(net::Family::kIpv4, 0x0a000000 + i), .port = 8080});
  }
  programmer.Want("ns/a", {group});
  programmer.Want("ns/b", {Group({Vip("20.0.10.2")}, {"10.9.0.1"})});
  const MapBatch batch = programmer.Plan(now_);
  EXPECT_EQ(programmer.StatusOf("ns/a").code(), absl::StatusCode::kOutOfRange);
  ASSERT_EQ(batch.size(), 4u);
  for (const MapOp& op : batch) EXPECT_EQ(op.service, "ns/b");
}

TEST_F(ProgrammerTest, IdsThatAServiceCannotUseAreThereForTheOthers) {
  std::vector<std::string> many;
  many.reserve(300);
  for (int i = 0; i < 300; i++) many.push_back(absl::StrCat("10.1.", i / 250, ".", i % 250 + 1));
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, many)});
  Settle();
  programmer_.Want("ns/b", {Group({Vip("20.0.10.2")}, {"10.0.0.1", "10.0.0.2"})});
  Settle();
  EXPECT_TRUE(programmer_.InSync("ns/b"));
}

// What is of one kind stands together, for whoever can write it at once.
TEST_F(ProgrammerTest, ABatchIsInPhasesOverAllServices) {
  for (const std::string service : {"ns/a", "ns/b", "ns/c"}) {
    programmer_.Want(service, {Group({Vip(absl::StrCat("20.0.10.", service.back() - 'a' + 1))},
                                     {"10.0.0.1", "10.0.0.2"})});
  }
  std::vector<size_t> kinds;
  for (const MapOp& op : programmer_.Plan(now_)) kinds.push_back(op.change.index());
  EXPECT_EQ(kinds, (std::vector<size_t>{0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3}));
}

TEST_F(ProgrammerTest, AnotherSeedRebuildsEveryTable) {
  programmer_.Want("ns/a", {Group({Vip("20.0.10.1")}, {"10.0.0.1", "10.0.0.2"})});
  Settle();
  const auto before = kernel_.Slots(kernel_.image().frontends.at(Vip("20.0.10.1")));
  programmer_.SetHashSeed(2);
  Settle();
  EXPECT_NE(kernel_.Slots(kernel_.image().frontends.at(Vip("20.0.10.1"))), before);
}

// Any history of wishes, refusals and restarts ends in exactly what is wanted, and FakeKernel has
// checked every step of the way.
TEST_F(ProgrammerTest, AnyHistoryEndsInWhatIsWanted) {
  for (uint64_t seed = 1; seed <= 40; seed++) {
    Rng rng(seed);
    kernel_ = FakeKernel(kLimits);
    programmer_ = Programmer(kLimits, 1, MapImage());
    std::map<std::string, WantedGroup> wanted;
    for (int step = 0; step < 60; step++) {
      const std::string service = absl::StrCat("ns/", rng.Below(4));
      WantedGroup group = Group({}, {});
      for (int i = 0; i < 4; i++) {
        const FrontendKey key = Vip(absl::StrCat("20.0.10.", rng.Below(6) + 1));
        const bool taken = std::any_of(wanted.begin(), wanted.end(), [&](const auto& item) {
          return item.first != service && item.second.frontends.contains(key);
        });
        if (!taken) group.frontends.insert(key);
      }
      std::set<uint64_t> backends;
      for (uint64_t i = rng.Below(5); i > 0; i--) backends.insert(rng.Below(8) + 1);
      for (const uint64_t i : backends) {
        group.backends.push_back({.address = Ip(absl::StrCat("10.0.0.", i)),
                                  .port = 8080,
                                  .weight = static_cast<uint32_t>(rng.Below(3)),
                                  .source = Ip(absl::StrCat("10.9.0.", rng.Below(2) + 1)),
                                  .delivery = static_cast<Delivery>(rng.Below(4)),
                                  .outside = rng.Below(4) > 0,
                                  .inside = rng.Below(4) > 0});
      }
      wanted[service] = group;
      programmer_.Want(service, {group});
      kernel_.refuse = [&](const MapOp&) {
        return rng.Below(8) == 0 ? absl::UnavailableError("bad luck") : absl::OkStatus();
      };
      const MapBatch batch = programmer_.Plan(now_);
      programmer_.Report(batch, kernel_.Execute(batch), now_);
      now_ += absl::Milliseconds(rng.Below(3000));
      if (rng.Below(10) == 0) {
        Restart();
        for (const auto& [key, value] : wanted) programmer_.Want(key, {value});
        programmer_.Prune();
      }
    }
    kernel_.refuse = nullptr;
    now_ += absl::Minutes(1);
    Settle();
    size_t frontends = 0;
    size_t backends = 0;
    for (const auto& [service, group] : wanted) {
      EXPECT_TRUE(programmer_.InSync(service)) << seed;
      frontends += group.frontends.size();
      backends += group.backends.size();
      std::set<std::string> outside;
      std::set<std::string> inside;
      for (const WantedBackend& backend : group.backends) {
        if (backend.weight == 0) continue;
        if (backend.outside) outside.insert(backend.address.ToString());
        if (backend.inside) inside.insert(backend.address.ToString());
      }
      for (const FrontendKey& key : group.frontends) {
        EXPECT_EQ(kernel_.Behind(key), outside);
        EXPECT_EQ(kernel_.BehindInside(key), inside);
      }
    }
    EXPECT_EQ(kernel_.image().frontends.size(), frontends) << seed;
    EXPECT_EQ(kernel_.image().backends.size(), backends) << seed;
    if (HasFailure()) FAIL() << "seed " << seed;
  }
}

TEST_F(ProgrammerTest, SourcesComeBeforeTheFrontendThatAsksForThemAndGoAfterIt) {
  WantedGroup group = Group({Vip("20.0.10.1")}, {"10.0.0.1"});
  const net::Prefix office = *net::Prefix::Parse("192.0.2.0/24");
  const net::Prefix any = *net::Prefix::Parse("0.0.0.0/0");
  group.sources = {{any, false}, {office, true}};
  group.affinity_s = 600;
  programmer_.Want("ns/a", {group});
  Settle();
  const FrontendEntry entry = programmer_.Published("ns/a").at(Vip("20.0.10.1"));
  EXPECT_TRUE(entry.restricted);
  EXPECT_EQ(entry.affinity_s, 600u);
  EXPECT_EQ(kernel_.image().sources.at(entry.group), group.sources);
  group.sources = {{any, true}, {*net::Prefix::Parse("192.0.2.0/25"), false}};
  programmer_.Want("ns/a", {group});
  Settle();
  EXPECT_EQ(kernel_.image().sources.at(entry.group), group.sources);
  group.sources = {};
  programmer_.Want("ns/a", {group});
  Settle();
  EXPECT_FALSE(programmer_.Published("ns/a").at(Vip("20.0.10.1")).restricted);
  EXPECT_TRUE(kernel_.image().sources.empty());
}

TEST_F(ProgrammerTest, ARestartKeepsSourcesAndPrunesThoseOfNobody) {
  WantedGroup group = Group({Vip("20.0.10.1")}, {"10.0.0.1"});
  group.sources = {{*net::Prefix::Parse("0.0.0.0/0"), false}};
  programmer_.Want("ns/a", {group});
  Settle();
  const size_t before = kernel_.operations;
  Restart();
  programmer_.Want("ns/a", {group});
  programmer_.Prune();
  Settle();
  EXPECT_EQ(kernel_.operations, before);
  Restart();
  programmer_.Prune();
  Settle();
  EXPECT_TRUE(kernel_.image().sources.empty());
  EXPECT_TRUE(kernel_.image().frontends.empty());
}

TEST_F(ProgrammerTest, ABackendOfWeightZeroRestsUnderItsId) {
  WantedGroup group = Group({Vip("20.0.10.1")}, {"10.0.0.1", "10.0.0.2"});
  programmer_.Want("ns/a", {group});
  Settle();
  const std::map<uint32_t, BackendEntry> before = kernel_.image().backends;
  group.backends[0].weight = 0;
  programmer_.Want("ns/a", {group});
  Settle();
  std::map<uint32_t, BackendEntry> after = kernel_.image().backends;
  ASSERT_EQ(after.size(), 2u);
  for (auto& [id, entry] : after) {
    EXPECT_EQ(entry.rests, entry.address == Ip("10.0.0.1"));
    entry.rests = false;
  }
  EXPECT_EQ(after, before);
  group.backends[0].weight = 1;
  programmer_.Want("ns/a", {group});
  Settle();
  EXPECT_EQ(kernel_.image().backends, before);
}

}  // namespace
}  // namespace portolan::datapath
