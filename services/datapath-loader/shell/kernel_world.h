// The loader's maps and programs in the real kernel, for tests: in a network namespace of its own
// with a pair of veths, t0 (10.9.0.1/24) and t1. Base of test suites; owns its pins. One thread;
// needs root.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/datapath-loader/core/programmer.h"
#include "services/datapath-loader/shell/objects.h"
#include "services/datapath-loader/shell/pins.h"

namespace portolan::datapath {

inline constexpr Sizes kSizes{.max_flows = 1024, .max_frontends = 16, .max_backends = 64};

inline net::IpAddress Ip(const std::string& text) { return *net::IpAddress::Parse(text); }
inline bool Shell(const std::string& command) {
  return std::system(absl::StrCat("PATH=$PATH:/usr/sbin:/sbin; ", command).c_str()) == 0;
}

class KernelTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (geteuid() != 0) return;
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    ASSERT_TRUE(
        Shell("ip link set lo up && ip link add t0 type veth peer name t1 && "
              "ip link set t0 up && ip link set t1 up && ip addr add 10.9.0.1/24 dev t0"));
  }
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to load BPF programs";
    const absl::Status status = PreparePinDirectory(directory_);
    ASSERT_TRUE(status.ok()) << status;
  }
  void TearDown() override {
    if (geteuid() == 0) RemovePins(directory_).IgnoreError();
  }
  std::unique_ptr<Objects> Load(const Sizes& sizes = kSizes) {
    auto objects = Objects::Load(directory_, sizes, log_);
    EXPECT_TRUE(objects.ok()) << objects.status();
    return objects.ok() ? *std::move(objects) : nullptr;
  }
  static MapBatch Serve(Programmer& programmer) {
    WantedGroup group;
    group.name = "tcp/80";
    group.backends = {{Ip("10.0.0.1"), 8080, 1, std::nullopt},
                      {Ip("10.0.0.2"), 8080, 1, Ip("10.9.0.1"), Delivery::kFullNat}};
    group.frontends = {{Ip("20.0.10.1"), 80, kTcp}};
    programmer.Want("ns/web", {group});
    return programmer.Plan(absl::UnixEpoch());
  }

  const Log log_{"test", Log::Level::kError};
  const std::string directory_ = absl::StrCat("/sys/fs/bpf/portolan/test-", getpid());
};

}  // namespace portolan::datapath
