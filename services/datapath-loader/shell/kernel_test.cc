// Maps and pins against the real kernel, in a network namespace of its own. Needs root.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bpf/include/datapath_maps.h"
#include "services/datapath-loader/shell/attachment.h"
#include "services/datapath-loader/shell/host.h"
#include "services/datapath-loader/shell/kernel_maps.h"
#include "services/datapath-loader/shell/kernel_world.h"
#include "services/datapath-loader/shell/layout.h"
#include "services/datapath-loader/shell/policy_rules.h"

namespace portolan::datapath {
namespace {

TEST_F(KernelTest, WhatIsWrittenIsReadBack) {
  auto objects = Load();
  auto maps = *KernelMaps::Open(*objects);
  ASSERT_TRUE(maps->Write(ProgramSettings()).ok());
  Programmer programmer(objects->limits(), 1, *maps->Read());
  const MapBatch batch = Serve(programmer);
  ASSERT_EQ(batch.size(), 5u);
  for (const absl::Status& status : maps->Execute(batch)) EXPECT_TRUE(status.ok()) << status;
  const MapImage image = *maps->Read();
  ASSERT_EQ(image.frontends.size(), 1u);
  EXPECT_EQ(image.frontends.begin()->second, std::get<WriteFrontend>(batch.back().change).entry);
  EXPECT_EQ(image.backends.at(1), std::get<WriteBackend>(batch[0].change).entry);
  EXPECT_EQ(image.backends.at(2), std::get<WriteBackend>(batch[1].change).entry);
  EXPECT_EQ(image.tables.at(0), std::get<WriteTable>(batch[2].change).slots);
}

TEST_F(KernelTest, AddressesAndSourcesFollowTheFrontendsAlsoThroughARestart) {
  const FrontendKey http{Ip("20.0.10.1"), 80, kTcp};
  const FrontendKey tls{Ip("20.0.10.1"), 443, kTcp};
  const auto frontends_of = [](const Objects& objects) {
    const portolan_address_key key = ToKernel(Ip("20.0.10.1"));
    portolan_address value{};
    bpf_map_lookup_elem(objects.map("addresses"), &key, &value);
    return value.frontends;
  };
  const net::Prefix office = *net::Prefix::Parse("192.0.2.0/24");
  {
    auto objects = Load();
    auto maps = *KernelMaps::Open(*objects);
    ASSERT_TRUE(maps->Read().ok());
    const MapBatch batch = {{"ns/web", "g", WriteSource{1, office, true}},
                            {"ns/web", "g", WriteSource{1, *net::Prefix::Parse("::/0"), false}},
                            {"ns/web", "g", OpenFrontend{1, 0, 1}},
                            {"ns/web", "g", WriteFrontend{http, {.id = 1, .group = 1}}},
                            {"ns/web", "g", WriteFrontend{http, {.id = 1, .group = 1}}},
                            {"ns/web", "g", WriteFrontend{tls, {.id = 2, .group = 1}}}};
    for (const absl::Status& status : maps->Execute(batch)) EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(frontends_of(*objects), 2u);
    // What is said of tunnels is no service's, and nobody's to prune.
    const portolan_source_key tunnels = ToKernel(PORTOLAN_SOURCE_TUNNELS, office);
    const portolan_source allowed{.allowed = 1};
    ASSERT_EQ(bpf_map_update_elem(objects->map("sources"), &tunnels, &allowed, BPF_ANY), 0);
  }
  auto objects = Load();
  auto maps = *KernelMaps::Open(*objects);
  EXPECT_EQ(maps->Read()->sources,
            (std::map<uint32_t, SourceRules>{
                {1, {{office, true}, {*net::Prefix::Parse("::/0"), false}}}}));
  EXPECT_EQ(frontends_of(*objects), 2u);
  maps->Execute({{"ns/web", "g", DeleteFrontend{http}},
                 {"ns/web", "g", DeleteSource{1, office}},
                 {"ns/web", "g", DeleteSource{1, office}}});
  EXPECT_EQ(frontends_of(*objects), 1u);
  EXPECT_EQ(maps->Read()->sources.at(1).size(), 1u);
  maps->Execute({{"ns/web", "g", DeleteFrontend{tls}}});
  EXPECT_EQ(frontends_of(*objects), 0u);
}

TEST_F(KernelTest, AnAddressCountsItsSilentFrontends) {
  const FrontendKey http{Ip("20.0.10.1"), 80, kTcp};
  const FrontendKey tls{Ip("20.0.10.1"), 443, kTcp};
  auto objects = Load();
  auto maps = *KernelMaps::Open(*objects);
  const auto counts = [&] {
    const portolan_address_key key = ToKernel(Ip("20.0.10.1"));
    portolan_address value{};
    bpf_map_lookup_elem(objects->map("addresses"), &key, &value);
    return std::pair<uint32_t, uint32_t>(value.frontends, value.silent);
  };
  using Counts = std::pair<uint32_t, uint32_t>;
  ASSERT_TRUE(maps->Read().ok());
  maps->Execute({{"s", "g", WriteFrontend{http, {.id = 1, .silent = true}}},
                 {"s", "g", WriteFrontend{tls, {.id = 2}}}});
  EXPECT_EQ(counts(), Counts(2, 1));
  maps->Execute({{"s", "g", WriteFrontend{tls, {.id = 2, .silent = true}}}});
  EXPECT_EQ(counts(), Counts(2, 2));
  ASSERT_TRUE(maps->Read().ok());
  EXPECT_EQ(counts(), Counts(2, 2));
  maps->Execute({{"s", "g", WriteFrontend{tls, {.id = 2}}}, {"s", "g", DeleteFrontend{http}}});
  EXPECT_EQ(counts(), Counts(1, 0));
}

// The maps hold 16 frontends and 64 backends.
TEST_F(KernelTest, WhatTheKernelRefusesIsItsGroupsErrorAndTheOthersAreWritten) {
  auto objects = Load();
  auto maps = *KernelMaps::Open(*objects);
  ASSERT_TRUE(maps->Read().ok());
  MapBatch batch;
  for (uint32_t i = 0; i < 20; i++) {
    batch.push_back({"s", absl::StrCat("g", i), WriteBackend{i == 3 ? 1000u : i + 1, {}}});
  }
  for (uint32_t i = 0; i < 20; i++) {
    const FrontendKey key{Ip(absl::StrCat("20.0.10.", i + 1)), 80, kTcp};
    batch.push_back({"s", absl::StrCat("g", i), WriteFrontend{key, {.id = i % 16}}});
  }
  const std::vector<absl::Status> results = maps->Execute(batch);
  int full = 0;
  for (uint32_t i = 0; i < 20; i++) {
    EXPECT_EQ(results[i].ok(), i != 3) << results[i];
    if (absl::IsResourceExhausted(results[20 + i])) full++;
  }
  EXPECT_TRUE(absl::IsAborted(results[20 + 3]));
  EXPECT_EQ(full, 3) << "16 fit, one was aborted";
  EXPECT_EQ(maps->Read()->frontends.size(), 16u);
  EXPECT_EQ(maps->Read()->backends.size(), 19u);
}

TEST_F(KernelTest, CountersAreReadFromTheFirstToTheLastAndBeginAtZeroInASecondLife) {
  auto objects = Load();
  auto maps = *KernelMaps::Open(*objects);
  ASSERT_TRUE(maps->Read().ok());
  const uint32_t last = kSizes.max_backends;
  for (const uint32_t id : {1u, 2u, last}) {
    std::vector<portolan_counter> values(libbpf_num_possible_cpus());
    for (portolan_counter& value : values) value = {.packets = id, .bytes = 2, .flows = 3};
    ASSERT_EQ(bpf_map_update_elem(objects->map("backend_counters"), &id, values.data(), BPF_ANY),
              0);
  }
  const uint64_t cpus = libbpf_num_possible_cpus();
  std::vector<portolan_counter> counters;
  for (const uint32_t first : {0u, 1u}) {
    maps->BackendCounters(first, last + 1 - first, counters);
    ASSERT_EQ(counters.size(), last + 1 - first);
    EXPECT_EQ(counters[1 - first].packets, cpus);
    EXPECT_EQ(counters[2 - first].packets, 2 * cpus);
    EXPECT_EQ(counters[2 - first].flows, 3 * cpus);
    EXPECT_EQ(counters.back().packets, last * cpus);
    EXPECT_EQ(counters[3 - first].packets, 0u);
  }
  maps->Execute({{"s", "g", WriteBackend{2, {.epoch = 1}}}});
  maps->BackendCounters(2, 1, counters);
  EXPECT_EQ(counters[0].packets, 0u);
}

TEST_F(KernelTest, ASecondLifeAdoptsTheMapsWithTheirContent) {
  {
    auto objects = Load();
    EXPECT_FALSE(objects->adopted());
    auto maps = *KernelMaps::Open(*objects);
    Programmer programmer(objects->limits(), 1, *maps->Read());
    maps->Execute(Serve(programmer));
  }
  auto objects = Load();
  EXPECT_TRUE(objects->adopted());
  auto maps = *KernelMaps::Open(*objects);
  Programmer programmer(objects->limits(), 1, *maps->Read());
  EXPECT_TRUE(Serve(programmer).empty());
}

TEST_F(KernelTest, PinsWithoutTheCommitMarkAreMadeAnew) {
  Load();
  ASSERT_EQ(unlink(absl::StrCat(directory_, "/maps/settings_map").c_str()), 0);
  EXPECT_FALSE(Load()->adopted());
  EXPECT_TRUE(Load()->adopted());
}

TEST_F(KernelTest, PinsOfANetworkNamespaceThatIsGoneAreMadeAnew) {
  Load();
  ASSERT_EQ(unshare(CLONE_NEWNET), 0);
  EXPECT_FALSE(Load()->adopted());
  SetUpTestSuite();
}

TEST_F(KernelTest, PinsThatServeAnotherNetworkNamespaceAreRefused) {
  auto objects = Load();
  ASSERT_TRUE(Attachment::AttachTcx(directory_, InterfaceIndex("t0"), objects->tc_program()).ok());
  // The old namespace lives on in a child that waits for our end of a pipe.
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  if (fork() == 0) {
    close(ends[1]);
    char byte;
    _exit(static_cast<int>(read(ends[0], &byte, 1)));
  }
  ASSERT_EQ(unshare(CLONE_NEWNET), 0);
  const auto refused = Objects::Load(directory_, kSizes, log_);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition) << refused.status();
  close(ends[0]);
  close(ends[1]);
  SetUpTestSuite();
}

TEST_F(KernelTest, AFullMapSaysWhichAndTheRestOfItsGroupIsNotDone) {
  auto objects = Load();
  auto maps = *KernelMaps::Open(*objects);
  MapBatch batch;
  for (uint16_t port = 1; port <= 17; port++) {
    batch.push_back(
        {"ns/web", absl::StrCat(port), WriteFrontend{{Ip("20.0.10.1"), port, kTcp}, {.id = 1}}});
  }
  batch.push_back({"ns/web", "17", OpenFrontend{1, 0, 1}});
  const std::vector<absl::Status> results = maps->Execute(batch);
  EXPECT_TRUE(results[15].ok());
  EXPECT_EQ(results[16].code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(absl::StartsWith(results[16].message(), "map frontends: ")) << results[16];
  EXPECT_TRUE(absl::IsAborted(results[17]));
}

TEST_F(KernelTest, WhoseTunnelsEndHereFollowsTheSettings) {
  auto objects = Load();
  auto maps = *KernelMaps::Open(*objects);
  const auto count = [&] {
    int found = 0;
    portolan_source_key key{};
    for (void* previous = nullptr;
         bpf_map_get_next_key(objects->map("sources"), previous, &key) == 0;) {
      previous = &key;
      if (key.group == PORTOLAN_SOURCE_TUNNELS) found++;
    }
    return found;
  };
  ProgramSettings settings;
  settings.tunnels = {{*net::Prefix::Parse("192.0.2.0/24"), true},
                      {*net::Prefix::Parse("2001:db8::/32"), true}};
  ASSERT_TRUE(maps->Write(settings).ok());
  EXPECT_EQ(count(), 2);
  settings.tunnels.erase(settings.tunnels.begin());
  ASSERT_TRUE(maps->Write(settings).ok());
  EXPECT_EQ(count(), 1);
  EXPECT_TRUE(maps->Read()->sources.empty());  // they are no service's
}

TEST_F(KernelTest, RoutesAreKeptOnlyWhileAddressesAloneDecide) {
  EXPECT_FALSE(HasPolicyRules());
  for (const char* rule : {"-4 rule %s from 192.0.2.0/24 table 7", "-6 rule %s dport 53 table 7",
                           "-4 rule %s to 192.0.2.1 unreachable"}) {
    const std::string text = rule;
    const size_t at = text.find("%s");
    const auto change = [&](const char* verb) {
      return Shell(absl::StrCat("ip ", text.substr(0, at), verb, text.substr(at + 2)));
    };
    ASSERT_TRUE(change("add")) << rule;
    EXPECT_TRUE(HasPolicyRules()) << rule;
    ASSERT_TRUE(change("del")) << rule;
    EXPECT_FALSE(HasPolicyRules()) << rule;
  }
}

TEST_F(KernelTest, TheRoutesChooseTheSource) {
  EXPECT_EQ(SourceTowards(Ip("10.9.0.77")), Ip("10.9.0.1"));
  EXPECT_EQ(SourceTowards(Ip("192.0.2.1")), std::nullopt);
}

}  // namespace
}  // namespace portolan::datapath
