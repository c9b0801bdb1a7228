// ipam-service as one process with whoever publishes configuration and intent, and a reader, for
// tests: real streams, a real SQLite file, the real built-in plugins.
//
// Process owns its loop, hub and server; everything runs on the caller's thread, in WaitFor().
// ServiceTest owns a state directory and removes it. Single-threaded but for Ask().
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/proto/ipam/v1alpha1/ipam.grpc.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "plugins/builtin/builtin.h"
#include "services/base/clock/clock.h"
#include "services/base/log/log.h"
#include "services/base/loop/loop.h"
#include "services/base/store/store.h"
#include "services/base/wire/reader.h"
#include "services/base/wire/server.h"
#include "services/ipam-service/shell/service.h"

namespace portolan::ipam {

inline config::v1alpha1::Pool PoolOf(const std::string& name, const std::string& first,
                                     const std::string& last, uint32_t prefix_length) {
  config::v1alpha1::Pool pool;
  pool.set_name(name);
  pool.set_auto_assign(true);
  config::v1alpha1::AddressBlock* block = pool.add_blocks();
  block->set_id("b");
  block->set_first(first);
  block->set_last(last);
  block->set_prefix_length(prefix_length);
  return pool;
}

// One process: the service, whoever publishes configuration and intent, and a reader.
class Process {
 public:
  explicit Process(std::string state_dir, std::unique_ptr<store::Store> store = nullptr,
                   const Log& log = Log("ipam-test", Log::Level::kError))
      : log_(log),
        context_{.node = "a",
                 .state_dir = std::move(state_dir),
                 .loop = loop_.get(),
                 .hub = &hub_,
                 .clock = &SystemClock(),
                 .log = &log_} {
    service_ = std::make_unique<IpamService>(context_, OptionsFrom(registry_).value(), &registry_,
                                             rpc_, std::move(store));
    std::vector<grpc::Service*> rpcs = service_->rpcs();
    rpcs.push_back(hub_.service());
    server_ = wire::Server::Start("", rpcs).value();
  }
  ~Process() {
    StopService();
    hub_.Shutdown();
  }

  // The process goes on, so whoever asks still reaches it.
  void StopService() {
    allocation_reader_.reset();
    status_reader_.reset();
    service_.reset();
  }

  absl::Status Start() {
    const std::shared_ptr<grpc::Channel> channel = server_->InProcessChannel();
    const absl::Status status = service_->Start({channel, channel, channel, channel});
    if (!status.ok()) return status;
    allocation_reader_.emplace(loop_.get(), channel,
                               wire::Handlers<allocation::v1alpha1::Allocation>{
                                   .on_upsert =
                                       [this](const std::string& key, const auto& value) {
                                         allocations_[key] = value;
                                         Check();
                                       },
                                   .on_remove =
                                       [this](const std::string& key) {
                                         allocations_.erase(key);
                                         Check();
                                       }});
    status_reader_.emplace(loop_.get(), channel,
                           wire::Handlers<status::v1alpha1::ObjectStatus>{
                               .on_upsert =
                                   [this](const std::string& key, const auto& value) {
                                     statuses_[key] = value;
                                     Check();
                                   },
                               .on_remove =
                                   [this](const std::string& key) {
                                     statuses_.erase(key);
                                     Check();
                                   }});
    return absl::OkStatus();
  }

  void Sync() {
    pools_.MarkSynced();
    settings_.MarkSynced();
    plugins_.MarkSynced();
    services_.MarkSynced();
    quotas_.MarkSynced();
    namespaces_.MarkSynced();
  }

  void Add(const config::v1alpha1::Pool& pool) { pools_.Upsert(pool.name(), pool); }
  void Add(const config::v1alpha1::Plugin& plugin) {
    plugins_.Upsert(absl::StrCat(plugin.extension_point(), "/", plugin.name()), plugin);
  }
  void AddService(const std::string& key, const std::string& color = "",
                  const std::string& requested_address = "") {
    intent::v1alpha1::ServiceIntent intent;
    intent.set_key(key);
    intent.set_generation(++generation_);
    if (!color.empty()) (*intent.mutable_labels())["color"] = color;
    if (!requested_address.empty()) intent.add_requested_addresses(requested_address);
    services_.Upsert(key, intent);
  }
  void RemovePool(const std::string& name) { pools_.Remove(name); }
  void RemoveService(const std::string& key) { services_.Remove(key); }

  std::string AddressesOf(const std::string& key) const {
    auto it = allocations_.find(key);
    if (it == allocations_.end()) return "";
    return absl::StrJoin(it->second.grants(), " ",
                         [](std::string* out, const allocation::v1alpha1::AddressGrant& grant) {
                           absl::StrAppend(out, grant.address());
                         });
  }
  std::string ReasonOf(const std::string& key) const {
    auto it = statuses_.find(absl::StrCat("ipam//service/", key));
    return it == statuses_.end() ? "" : it->second.reason();
  }
  const status::v1alpha1::ObjectStatus& StatusOf(const std::string& key) const {
    return statuses_.at(absl::StrCat("ipam//service/", key));
  }

  // A call as another process would make it, while the loop runs.
  template <typename Call>
  grpc::Status Ask(Call call) {
    std::atomic<bool> answered = false;
    grpc::Status status;
    std::thread caller([&] {
      auto stub = v1alpha1::Ipam::NewStub(server_->InProcessChannel());
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
      status = call(*stub, &context);
      answered = true;
      loop_->Post([this] { Check(); });
    });
    WaitFor("an answer", [&] { return answered.load(); });
    caller.join();
    return status;
  }

  // Runs the loop until `condition` holds; fails the test after half a minute.
  void WaitFor(const std::string& what, std::function<bool()> condition) {
    condition_ = std::move(condition);
    if (!condition_()) {
      const Loop::TimerId deadline = loop_->RunAfter(absl::Seconds(30), [&] {
        ADD_FAILURE() << "still waiting for: " << what;
        loop_->Stop();
      });
      loop_->Run();
      loop_->Cancel(deadline);
    }
    condition_ = nullptr;
  }
  void WaitForAddresses(const std::string& key, const std::string& addresses) {
    WaitFor(absl::StrCat(key, " to have \"", addresses, "\""),
            [&] { return AddressesOf(key) == addresses; });
    EXPECT_EQ(AddressesOf(key), addresses);
  }
  void WaitForReason(const std::string& key, const std::string& reason) {
    WaitFor(absl::StrCat(key, " to be ", reason), [&] { return ReasonOf(key) == reason; });
  }

 private:
  void Check() {
    if (condition_ && condition_()) loop_->Stop();
  }

  const plugin::Registry registry_ = plugin::NewBuiltinRegistry();
  const Log log_;
  const std::unique_ptr<Loop> loop_ = NewLoop();
  wire::Hub hub_;
  const process::Context context_;
  wire::Writer pools_ = hub_.NewWriter<config::v1alpha1::Pool>();
  wire::Writer settings_ = hub_.NewWriter<config::v1alpha1::IpamSettings>();
  wire::Writer plugins_ = hub_.NewWriter<config::v1alpha1::Plugin>();
  wire::Writer services_ = hub_.NewWriter<intent::v1alpha1::ServiceIntent>();
  wire::Writer quotas_ = hub_.NewWriter<config::v1alpha1::Quota>();
  wire::Writer namespaces_ = hub_.NewWriter<intent::v1alpha1::Namespace>();
  const std::shared_ptr<IpamRpc> rpc_ = std::make_shared<IpamRpc>();
  std::unique_ptr<IpamService> service_;
  std::unique_ptr<wire::Server> server_;
  std::optional<wire::TypedReader<allocation::v1alpha1::Allocation>> allocation_reader_;
  std::optional<wire::TypedReader<status::v1alpha1::ObjectStatus>> status_reader_;
  std::map<std::string, allocation::v1alpha1::Allocation> allocations_;
  std::map<std::string, status::v1alpha1::ObjectStatus> statuses_;
  std::function<bool()> condition_;
  uint64_t generation_ = 0;
};

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    std::string pattern = testing::TempDir() + "/ipam.XXXXXX";
    dir_ = mkdtemp(pattern.data());
  }
  ~ServiceTest() override {
    for (const char* name :
         {"ipam.sqlite", "ipam.sqlite.lock", "ipam.sqlite-wal", "ipam.sqlite-shm"}) {
      unlink(absl::StrCat(dir_, "/", name).c_str());
    }
    rmdir(dir_.c_str());
  }
  std::string dir_;
};

}  // namespace portolan::ipam
