// The whole service over real streams, a real SQLite file and real plugins.
#include "services/ipam-service/shell/service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
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

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/proto/ipam/v1alpha1/ipam.grpc.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "plugins/builtin/builtin.h"
#include "services/base/clock/clock.h"
#include "services/base/log/log.h"
#include "services/base/loop/loop.h"
#include "services/base/store/sqlite_store.h"
#include "services/base/store/store.h"
#include "services/base/wire/reader.h"
#include "services/base/wire/server.h"

namespace portolan::ipam {
namespace {

using ::testing::HasSubstr;

std::string Runfile(const std::string& path) {
  return absl::StrCat(getenv("TEST_SRCDIR"), "/", getenv("TEST_WORKSPACE"), "/", path);
}

config::v1alpha1::Pool PoolOf(const std::string& name, const std::string& first,
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

// A store whose first failures are chosen by the test.
class FullStore : public store::Store {
 public:
  explicit FullStore(std::shared_ptr<std::atomic<bool>> full) : full_(std::move(full)) {}
  absl::Status Commit(const store::Batch& batch) override {
    if (*full_) return absl::ResourceExhaustedError("database or disk is full");
    return memory_.Commit(batch);
  }
  absl::StatusOr<std::vector<store::Row>> List(absl::string_view prefix) const override {
    return memory_.List(prefix);
  }

 private:
  const std::shared_ptr<std::atomic<bool>> full_;
  store::MemoryStore memory_;
};

// One process: the service, whoever publishes configuration and intent, and a reader.
class Process {
 public:
  explicit Process(std::string state_dir, std::unique_ptr<store::Store> store = nullptr)
      : context_{.node = "a",
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
  void AddService(const std::string& key, const std::string& color = "") {
    intent::v1alpha1::ServiceIntent intent;
    intent.set_key(key);
    intent.set_generation(++generation_);
    if (!color.empty()) (*intent.mutable_labels())["color"] = color;
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
  const Log log_{"ipam-test", Log::Level::kError};
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

TEST_F(ServiceTest, AServiceWaitsForAPoolAndKeepsItsAddressOverARestart) {
  {
    Process process(dir_);
    ASSERT_TRUE(process.Start().ok());
    process.AddService("default/web");
    process.Sync();
    process.WaitForReason("default/web", "no-pool");
    process.Add(PoolOf("first", "20.0.10.0", "20.0.10.255", 24));
    process.WaitForAddresses("default/web", "20.0.10.1");
    process.WaitForReason("default/web", "assigned");
    process.AddService("default/late");
    process.WaitForAddresses("default/late", "20.0.10.2");
    process.RemoveService("default/web");
    process.WaitForAddresses("default/web", "");
  }
  Process again(dir_);
  ASSERT_TRUE(again.Start().ok());
  again.Add(PoolOf("first", "20.0.10.0", "20.0.10.255", 24));
  again.AddService("default/aaa");
  again.AddService("default/late");
  again.Sync();
  again.WaitForAddresses("default/late", "20.0.10.2");
  again.WaitForAddresses("default/aaa", "20.0.10.1");
}

TEST_F(ServiceTest, ASecondProcessOnTheSameJournalIsRefused) {
  Process first(dir_);
  ASSERT_TRUE(first.Start().ok());
  Process second(dir_);
  const absl::Status status = second.Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("ipam.sqlite"));
}

TEST_F(ServiceTest, AFullDiskIsToldAndEndsByItself) {
  auto full = std::make_shared<std::atomic<bool>>(true);
  Process process(dir_, std::make_unique<FullStore>(full));
  ASSERT_TRUE(process.Start().ok());
  process.Add(PoolOf("first", "20.0.10.0", "20.0.10.255", 24));
  process.AddService("default/web");
  process.Sync();
  process.WaitForReason("default/web", "store-full");
  EXPECT_EQ(process.StatusOf("default/web").state(), status::v1alpha1::STATE_FAILED);
  *full = false;
  process.WaitForAddresses("default/web", "20.0.10.1");
}

TEST_F(ServiceTest, PlansAndExplainsWhenAsked) {
  Process process(dir_);
  ASSERT_TRUE(process.Start().ok());
  const config::v1alpha1::Pool pool = PoolOf("first", "20.0.10.0", "20.0.10.255", 24);
  v1alpha1::PlanRequest proposal;
  *proposal.add_pools() = PoolOf("second", "20.0.20.0", "20.0.20.255", 24);
  v1alpha1::PlanResponse plan;
  const auto ask_plan = [&](auto& stub, auto* context) {
    return stub.Plan(context, proposal, &plan);
  };
  EXPECT_EQ(process.Ask(ask_plan).error_code(), grpc::StatusCode::UNAVAILABLE);
  process.Add(pool);
  process.AddService("default/web");
  process.Sync();
  process.WaitForAddresses("default/web", "20.0.10.1");

  ASSERT_TRUE(process.Ask(ask_plan).ok());
  ASSERT_EQ(plan.moves_size(), 1);
  EXPECT_EQ(plan.moves(0).service(), "default/web");
  EXPECT_EQ(plan.moves(0).address(), "20.0.10.1");
  EXPECT_EQ(plan.moves(0).new_address(), "20.0.20.1");
  EXPECT_EQ(plan.moves(0).new_pool(), "second");
  EXPECT_EQ(plan.moves(0).reason(), "not-in-pool");
  *proposal.add_pools() = pool;
  ASSERT_TRUE(process.Ask(ask_plan).ok());
  EXPECT_EQ(plan.moves_size(), 0);
  EXPECT_EQ(process.AddressesOf("default/web"), "20.0.10.1");

  v1alpha1::ExplainRequest question;
  v1alpha1::ExplainResponse answer;
  const auto ask_why = [&](auto& stub, auto* context) {
    return stub.Explain(context, question, &answer);
  };
  question.set_service("default/web");
  ASSERT_TRUE(process.Ask(ask_why).ok());
  ASSERT_EQ(answer.slots_size(), 1);
  EXPECT_EQ(answer.slots(0).address(), "20.0.10.1");
  EXPECT_EQ(answer.slots(0).outcome(), "granted");
  EXPECT_EQ(answer.slots(0).considered(0).reason(), "serves");
  question.set_service("default/nobody");
  EXPECT_EQ(process.Ask(ask_why).error_code(), grpc::StatusCode::NOT_FOUND);

  process.StopService();
  EXPECT_EQ(process.Ask(ask_plan).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(process.Ask(ask_why).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServiceTest, ASelectorMismatchIsExplained) {
  Process process(dir_);
  ASSERT_TRUE(process.Start().ok());
  config::v1alpha1::Pool pool = PoolOf("colors", "20.0.20.0", "20.0.20.255", 24);
  auto* expression = pool.mutable_service_selector()->add_match_expressions();
  expression->set_key("color");
  expression->set_operator_(config::v1alpha1::SELECTOR_OPERATOR_IN);
  for (const char* color : {"yellow", "red", "blue"}) expression->add_values(color);
  process.Add(pool);
  process.AddService("default/green", "green");
  process.AddService("default/red", "red");
  process.Sync();
  process.WaitForAddresses("default/red", "20.0.20.1");
  process.WaitForReason("default/green", "selector-mismatch");
  EXPECT_THAT(process.StatusOf("default/green").findings(0).message(),
              HasSubstr("color In [yellow, red, blue]"));
}

TEST_F(ServiceTest, APickerInASharedObjectChooses) {
  Process process(dir_);
  ASSERT_TRUE(process.Start().ok());
  config::v1alpha1::Plugin plugin;
  plugin.set_extension_point("address-picker");
  plugin.set_name("top");
  plugin.set_path(Runfile("plugins/examples/highest_free/highest_free.so"));
  process.Add(plugin);
  config::v1alpha1::Pool pool = PoolOf("p", "20.0.10.0", "20.0.10.255", 24);
  pool.set_address_picker("top");
  process.Add(pool);
  process.AddService("default/web");
  process.Sync();
  process.WaitForAddresses("default/web", "20.0.10.254");
}

TEST_F(ServiceTest, ASharedObjectThatIsMissingIsNamedAndWaitedFor) {
  Process process(dir_);
  ASSERT_TRUE(process.Start().ok());
  config::v1alpha1::Plugin plugin;
  plugin.set_extension_point("address-picker");
  plugin.set_name("top");
  plugin.set_path("/nowhere/top.so");
  process.Add(plugin);
  config::v1alpha1::Pool pool = PoolOf("p", "20.0.10.0", "20.0.10.255", 24);
  pool.set_address_picker("top");
  process.Add(pool);
  process.AddService("default/web");
  process.Sync();
  process.WaitForReason("default/web", "picker-failed");
  EXPECT_THAT(process.StatusOf("default/web").message(), HasSubstr("/nowhere/top.so"));
  plugin.set_path(Runfile("plugins/examples/highest_free/highest_free.so"));
  process.Add(plugin);
  process.WaitForAddresses("default/web", "20.0.10.254");
}

config::v1alpha1::Plugin SettingsOf(const std::string& name, const std::string& settings) {
  config::v1alpha1::Plugin plugin;
  plugin.set_extension_point("address-picker");
  plugin.set_name(name);
  plugin.set_settings(settings);
  return plugin;
}

TEST_F(ServiceTest, ACoolDownOutlivesAChangeOfProcessAndEndsByItself) {
  config::v1alpha1::Pool pool = PoolOf("p", "20.0.10.1", "20.0.10.1", 0);
  pool.set_address_picker("longest-unused");
  {
    Process process(dir_);
    ASSERT_TRUE(process.Start().ok());
    process.Add(SettingsOf("longest-unused", R"({"cool-down": 3600})"));
    process.Add(pool);
    process.AddService("default/first");
    process.Sync();
    process.WaitForAddresses("default/first", "20.0.10.1");
    process.AddService("default/waits");
    process.WaitForReason("default/waits", "pool-exhausted");
    process.RemoveService("default/first");
    process.WaitForReason("default/waits", "cooling-down");
  }
  Process again(dir_);
  ASSERT_TRUE(again.Start().ok());
  again.Add(SettingsOf("longest-unused", R"({"cool-down": 3600})"));
  again.Add(pool);
  again.AddService("default/waits");
  again.Sync();
  again.WaitForReason("default/waits", "cooling-down");
  again.Add(SettingsOf("longest-unused", R"({"cool-down": 1})"));
  again.WaitForAddresses("default/waits", "20.0.10.1");
}

TEST_F(ServiceTest, SettingsOfABuiltInPickerThatDoNotFitAreNamed) {
  Process process(dir_);
  ASSERT_TRUE(process.Start().ok());
  process.Add(SettingsOf("longest-unused", R"({"cooldown": 60})"));
  config::v1alpha1::Pool pool = PoolOf("p", "20.0.10.1", "20.0.10.1", 0);
  pool.set_address_picker("longest-unused");
  process.Add(pool);
  process.AddService("default/web");
  process.Sync();
  process.WaitForReason("default/web", "picker-failed");
  EXPECT_THAT(process.StatusOf("default/web").message(),
              HasSubstr(R"(there is no "cooldown", only "cool-down")"));
  process.Add(SettingsOf("longest-unused", R"({"cool-down": 60})"));
  process.WaitForAddresses("default/web", "20.0.10.1");
}

TEST_F(ServiceTest, TheSeedOfRandomIsASetting) {
  const auto chosen = [this](const std::string& settings) {
    Process process(dir_, std::make_unique<store::MemoryStore>());
    EXPECT_TRUE(process.Start().ok());
    process.Add(SettingsOf("random", settings));
    config::v1alpha1::Pool pool = PoolOf("p", "20.0.0.0", "20.0.255.255", 16);
    pool.set_address_picker("random");
    process.Add(pool);
    process.AddService("default/web");
    process.Sync();
    process.WaitForReason("default/web", "assigned");
    return process.AddressesOf("default/web");
  };
  EXPECT_EQ(chosen(R"({"seed": 1})"), chosen(R"({"seed": 1})"));
  EXPECT_NE(chosen(R"({"seed": 1})"), chosen(R"({"seed": 2})"));
}

// The example plugin as a process of its own.
class SpreadProcess {
 public:
  SpreadProcess() {
    int out[2];
    EXPECT_EQ(pipe(out), 0);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(out[1], 1);
      const std::string binary = Runfile("plugins/examples/spread/spread_picker");
      execl(binary.c_str(), binary.c_str(), endpoint_.c_str(), nullptr);
      _exit(127);
    }
    close(out[1]);
    char first_line[64];
    EXPECT_GT(read(out[0], first_line, sizeof(first_line)), 0) << "it says when it serves";
    close(out[0]);
  }
  ~SpreadProcess() { Kill(); }
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  const std::string& endpoint() const { return endpoint_; }

 private:
  const std::string endpoint_ = absl::StrCat("unix-abstract:portolan-spread-", getpid());
  pid_t pid_ = 0;
};

TEST_F(ServiceTest, APickerInAnotherProcessChoosesAndItsDeathFollowsTheFailPolicy) {
  SpreadProcess spread;
  Process process(dir_);
  ASSERT_TRUE(process.Start().ok());
  config::v1alpha1::Plugin plugin;
  plugin.set_extension_point("address-picker");
  plugin.set_name("spread");
  plugin.set_endpoint(spread.endpoint());
  plugin.set_deadline_ms(10'000);
  process.Add(plugin);
  config::v1alpha1::Pool pool = PoolOf("p", "20.0.10.0", "20.0.10.3", 0);
  config::v1alpha1::AddressBlock* block = pool.add_blocks();
  *block = pool.blocks(0);
  block->set_id("c");
  block->set_first("20.0.10.100");
  block->set_last("20.0.10.101");
  pool.set_address_picker("spread");
  process.Add(pool);
  process.AddService("default/web");
  process.AddService("default/a");
  process.Sync();
  // Which of the two ranges, the names decide.
  process.WaitFor("both to be served", [&] {
    return !process.AddressesOf("default/web").empty() && !process.AddressesOf("default/a").empty();
  });
  EXPECT_NE(process.AddressesOf("default/web"), process.AddressesOf("default/a"));

  spread.Kill();
  process.AddService("default/after");
  process.WaitForReason("default/after", "picker-failed");
  EXPECT_THAT(process.StatusOf("default/after").message(), HasSubstr(spread.endpoint()));
  plugin.set_fail_open(true);
  process.Add(plugin);
  process.WaitFor("the lowest free address",
                  [&] { return !process.AddressesOf("default/after").empty(); });
}

}  // namespace
}  // namespace portolan::ipam
