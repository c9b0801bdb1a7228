// The engine over the kernel in memory, for tests: executes batches at once and keeps what was
// said. Base of test suites; owns its engine, kernel and time. One thread.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/core/fake_kernel.h"

namespace portolan::datapath {

inline constexpr Limits kLimits{
    .frontends = 64, .backends = 256, .table_slots = 65536, .chunk_slots = 16};

inline net::IpAddress Ip(const std::string& text) { return *net::IpAddress::Parse(text); }
inline FrontendKey Key(const std::string& address, uint16_t port = 80, uint8_t protocol = kTcp) {
  return {Ip(address), port, protocol};
}

class EngineTest : public testing::Test {
 protected:
  void Send(const Event& event) {
    std::vector<Effect> effects = engine_->Handle(event, now_);
    for (size_t i = 0; i < effects.size(); i++) {
      const Effect effect = effects[i];
      if (const auto* apply = std::get_if<ApplyBatch>(&effect)) {
        const BatchDone done{kernel_.Execute(*apply->batch)};
        for (Effect& more : engine_->Handle(done, now_)) effects.push_back(std::move(more));
      } else if (const auto* status = std::get_if<PublishStatus>(&effect)) {
        statuses_[status->status.key] = status->status;
        said_++;
      } else if (const auto* removed = std::get_if<RemoveStatus>(&effect)) {
        EXPECT_EQ(statuses_.erase(removed->key), 1u);
      } else if (const auto* view = std::get_if<PublishFrontend>(&effect)) {
        views_[view->view.key] = view->view;
      } else if (const auto* gone = std::get_if<RemoveFrontend>(&effect)) {
        EXPECT_EQ(views_.erase(gone->key), 1u);
      } else if (const auto* backends = std::get_if<PublishBackends>(&effect)) {
        if (backends->views.empty()) {
          EXPECT_EQ(backends_.erase(backends->key), 1u);
        } else {
          backends_[backends->key] = backends->views;
        }
      } else if (const auto* timer = std::get_if<ArmTimer>(&effect)) {
        timer_ = timer->at;
      }
    }
  }
  void Begin() {
    Send(HostChanged{.attached_interfaces = 1, .ipv4_forwarding = true, .ipv6_forwarding = true});
    Send(KernelReady{kLimits, kernel_.image()});
    Send(InputsSynced{});
  }
  // A new process over the same kernel, before any input.
  void Restart() {
    engine_ = std::make_unique<Engine>("a");
    statuses_.clear();
    views_.clear();
    backends_.clear();
  }
  void FireTimer() {
    now_ = timer_;
    Send(TimerFired{});
  }

  void Declare(const std::string& key, std::vector<ServicePort> ports = {{"http", kTcp, 80}}) {
    Send(ServiceChanged{{key, 1, std::move(ports)}});
  }
  void Back(const std::string& key, const std::vector<std::string>& addresses,
            const std::string& node = "a") {
    BackendSet set{key, 1, {}};
    for (const std::string& address : addresses) {
      set.backends.push_back({.id = address,
                              .address = Ip(address),
                              .ports = {{"http", 8080}},
                              .weight = 1,
                              .node = node,
                              .local_source = std::nullopt});
    }
    Send(BackendsChanged{set});
  }
  void Allocate(const std::string& key, const std::vector<std::string>& addresses,
                int64_t since_unix_ms = 0) {
    Allocation allocation{key, 1, {}};
    allocation.grants.reserve(addresses.size());
    for (const std::string& address : addresses) {
      allocation.grants.push_back({Ip(address), since_unix_ms});
    }
    Send(AllocationChanged{allocation});
  }
  static std::vector<net::IpAddress> Ips(const std::vector<std::string>& texts) {
    std::vector<net::IpAddress> addresses;
    addresses.reserve(texts.size());
    for (const std::string& text : texts) addresses.push_back(Ip(text));
    return addresses;
  }

  FakeKernel kernel_{kLimits};
  std::unique_ptr<Engine> engine_ = std::make_unique<Engine>("a");
  absl::Time now_ = absl::UnixEpoch();
  absl::Time timer_ = absl::InfiniteFuture();
  std::map<std::string, ServiceStatus> statuses_;
  std::map<FrontendKey, FrontendView> views_;
  std::map<std::string, std::vector<BackendView>> backends_;
  int said_ = 0;
};

}  // namespace portolan::datapath
