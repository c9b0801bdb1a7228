// Two real ipam-services on one real etcd, and a reader that follows the one that leads.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "api/proto/ipam/v1alpha1/ipam.grpc.pb.h"
#include "services/base/loop/loop.h"
#include "services/base/store/testing_etcd.h"
#include "services/base/wire/hub.h"
#include "services/base/wire/reader.h"
#include "services/base/wire/server.h"

namespace portolan::ipam {
namespace {

using allocation::v1alpha1::Allocation;
using store::TestingEtcd;

class EtcdTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!TestingEtcd::IsInstalled()) GTEST_SKIP() << TestingEtcd::kMissing;
    // Short: a socket path is at most 107 bytes.
    std::string pattern = std::filesystem::temp_directory_path() / "portolan-ha-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    std::filesystem::create_directory(directory_ + "/up");
    config_ = wire::Server::Start(absl::StrCat("unix:", directory_, "/up/config-service.sock"),
                                  {hub_.service()})
                  .value();
  }
  void TearDown() override {
    reader_.reset();
    hub_.Shutdown();
    for (auto& [name, pid] : pids_) End(pid);
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  void Run(int members, uint32_t ttl_s) {
    etcd_ = std::make_unique<TestingEtcd>(TestingEtcd::Options{.members = members});
    config::v1alpha1::IpamSettings settings;
    settings.set_address_picker("lowest-free");
    config::v1alpha1::EtcdStore& etcd = *settings.mutable_store()->mutable_etcd();
    for (const std::string& endpoint : etcd_->endpoints()) etcd.add_endpoints(endpoint);
    etcd.set_key_prefix("t/");
    etcd.set_lease_ttl_s(ttl_s);
    settings_.Upsert("settings", settings);
    config::v1alpha1::Pool pool;
    pool.set_name("p");
    pool.set_auto_assign(true);
    config::v1alpha1::AddressBlock& block = *pool.add_blocks();
    block.set_id("b");
    block.set_first("20.0.0.0");
    block.set_last("20.0.15.255");
    block.set_prefix_length(20);
    pools_.Upsert("p", pool);
    for (wire::Writer* writer :
         {&pools_, &settings_, &plugins_, &quotas_, &namespaces_, &intents_}) {
      writer->MarkSynced();
    }
    StartAllocator("a");
    AwaitLeader("a");
    StartAllocator("b");
    reader_ = std::make_unique<wire::TypedReader<Allocation>>(
        loop_.get(), wire::Channels({ChannelTo("a"), ChannelTo("b")}),
        wire::Handlers<Allocation>{
            .on_upsert = [this](const std::string& key, const Allocation& a) { OnUpsert(key, a); },
            .on_remove = [this](const std::string& key) { OnRemove(key); },
            .on_synced = [this] { OnSynced(); }});
  }

  void StartAllocator(const std::string& name) {
    const std::string program = absl::StrCat(getenv("TEST_SRCDIR"), "/", getenv("TEST_WORKSPACE"),
                                             "/services/ipam-service/ipam-service");
    const std::string at = absl::StrCat(directory_, "/", name);
    std::vector<std::string> arguments = {
        program,          "--node",          name, "--run-dir", at, "--state-dir", at + "/state",
        "--upstream-dir", directory_ + "/up"};
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const pid_t pid = fork();
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      execv(program.c_str(), argv.data());
      _exit(127);
    }
    pids_[name] = pid;
  }
  void Signal(const std::string& name, int signal) { kill(pids_.at(name), signal); }
  static void End(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  void EndOf(const std::string& name) {
    End(pids_.at(name));
    pids_.erase(name);
  }
  std::shared_ptr<grpc::Channel> ChannelTo(const std::string& name) const {
    return wire::Connect(absl::StrCat("unix:", directory_, "/", name, "/ipam-service.sock"));
  }
  void AwaitLeader(const std::string& name) {
    ASSERT_TRUE(store::Eventually(
        [&] { return etcd_->Control("get t/leader --print-value-only") == name + "\n"; }));
  }
  void AwaitStandby(const std::string& name) const {
    EXPECT_TRUE(
        store::Eventually([&] { return Explain(name, "n/s0") == grpc::StatusCode::UNAVAILABLE; }));
  }
  // What an Explain of this process is answered with.
  grpc::StatusCode Explain(const std::string& name, const std::string& service) const {
    const auto stub = v1alpha1::Ipam::NewStub(ChannelTo(name));
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(2)));
    v1alpha1::ExplainRequest request;
    request.set_service(service);
    v1alpha1::ExplainResponse response;
    return stub->Explain(&context, request, &response).error_code();
  }

  void Add(int first, int count) {
    for (int i = first; i < first + count; ++i) {
      intent::v1alpha1::ServiceIntent intent;
      intent.set_key(absl::StrCat("n/s", i));
      intent.set_generation(1);
      intents_.Upsert(intent.key(), intent);
    }
  }
  void Remove(int first, int count) {
    for (int i = first; i < first + count; ++i) {
      wanted_gone_.insert(absl::StrCat("n/s", i));
      intents_.Remove(absl::StrCat("n/s", i));
    }
  }
  // 1,000 Services come one after the other, and each but the last 100 goes again; the reader is at
  // most 20 of them behind. `meanwhile` is called before each comes.
  void Work(const std::function<void(int service)>& meanwhile) {
    for (int service = 0; service < 1000; ++service) {
      meanwhile(service);
      Add(service, 1);
      if (service >= 100) Remove(service - 100, 1);
      ASSERT_TRUE(RunUntil([&] { return assigned_ > service - 20 && released_ > service - 120; },
                           absl::Seconds(30)))
          << service;
    }
    ASSERT_TRUE(RunUntil([&] { return assigned_ == 1000 && released_ == 900; }, absl::Seconds(30)));
  }
  void ExpectThatAThousandCameAndAllButAHundredWent() {
    EXPECT_EQ(assigned_, 1000);
    EXPECT_EQ(released_, 900);
    EXPECT_EQ(owners_.size(), 100u);
    ExpectNothingMovedLostOrDoubled();
    EXPECT_TRUE(store::Eventually([&] { return RowsInEtcd() == 100; })) << RowsInEtcd();
  }
  // Whether all history was forgotten.
  bool Compact() const {
    const std::string now = etcd_->Control("get t/leader -w fields");
    const size_t at = now.find("\"Revision\" : ");
    bool ok = false;
    if (at != std::string::npos) {
      etcd_->Control(absl::StrCat("compaction ", atoll(now.c_str() + at + 13)), &ok);
    }
    return ok;
  }
  // Runs the loop until so many Services have an address.
  [[nodiscard]] bool RunUntilAssigned(size_t count, absl::Duration patience = absl::Seconds(30)) {
    return RunUntil([&] { return addresses_.size() == count; }, patience);
  }
  [[nodiscard]] bool RunUntil(const std::function<bool()>& wish, absl::Duration patience) {
    const absl::Time deadline = absl::Now() + patience;
    std::function<void()> look = [&] {
      if (wish() || absl::Now() > deadline) return loop_->Stop();
      loop_->RunAfter(absl::Milliseconds(2), look);
    };
    if (wish()) return true;
    loop_->Post(look);
    loop_->Run();
    return wish();
  }

  // A new leader's snapshot may give an address to its new owner before it ends, which is when the
  // reader hears that the old one is gone. Only that is no double: nothing but removals may come
  // between the end of the contest and the end of a snapshot.
  void OnUpsert(const std::string& key, const Allocation& allocation) {
    doubled_ += std::exchange(unsettled_, 0);
    std::string address;
    for (const auto& grant : allocation.grants()) address = grant.address();
    if (address.empty()) return OnRemove(key);
    const std::string before = addresses_.contains(key) ? addresses_[key] : "";
    if (before == address) return;
    if (!before.empty()) {
      ++moved_;
      owners_.erase(before);
    }
    addresses_[key] = address;
    if (before.empty()) ++assigned_;
    const auto [owner, free] = owners_.emplace(address, key);
    if (!free) contested_[address] = key;
  }
  void OnSynced() {
    doubled_ += static_cast<int>(contested_.size());
    unsettled_ = 0;
  }
  void OnRemove(const std::string& key) {
    const auto it = addresses_.find(key);
    if (it == addresses_.end()) return;
    ++(wanted_gone_.contains(key) ? released_ : lost_);
    const std::string address = it->second;
    addresses_.erase(it);
    const auto contest = contested_.find(address);
    if (contest == contested_.end()) {
      owners_.erase(address);
      return;
    }
    if (contest->second != key) owners_[address] = contest->second;
    contested_.erase(contest);
    ++unsettled_;
  }
  void ExpectNothingMovedLostOrDoubled() const {
    EXPECT_EQ(moved_, 0);
    EXPECT_EQ(lost_, 0);
    EXPECT_EQ(doubled_, 0);
    EXPECT_EQ(contested_.size(), 0u);
    EXPECT_EQ(unsettled_, 0);
  }
  size_t RowsInEtcd() const {
    const std::string keys = etcd_->Control("get t/row/a --prefix --keys-only -w json");
    size_t rows = 0;
    for (size_t at = 0; (at = keys.find("\"key\":", at)) != std::string::npos; ++at) ++rows;
    return rows;
  }

  std::string directory_;
  wire::Hub hub_;
  wire::Writer pools_ = hub_.NewWriter<config::v1alpha1::Pool>();
  wire::Writer settings_ = hub_.NewWriter<config::v1alpha1::IpamSettings>();
  wire::Writer plugins_ = hub_.NewWriter<config::v1alpha1::Plugin>();
  wire::Writer quotas_ = hub_.NewWriter<config::v1alpha1::Quota>();
  wire::Writer namespaces_ = hub_.NewWriter<intent::v1alpha1::Namespace>();
  wire::Writer intents_ = hub_.NewWriter<intent::v1alpha1::ServiceIntent>();
  std::unique_ptr<wire::Server> config_;
  std::unique_ptr<TestingEtcd> etcd_;
  std::map<std::string, pid_t> pids_;
  std::unique_ptr<Loop> loop_ = NewLoop();
  std::map<std::string, std::string> addresses_;  // Service -> address, as published
  std::map<std::string, std::string> owners_;     // the reverse
  std::set<std::string> wanted_gone_;
  int assigned_ = 0;
  int released_ = 0;
  int moved_ = 0;
  int lost_ = 0;
  std::map<std::string, std::string> contested_;  // address -> who was given it, too
  int unsettled_ = 0;                             // contests that ended, no snapshot having ended
  int doubled_ = 0;
  std::unique_ptr<wire::TypedReader<Allocation>> reader_;
};

TEST_F(EtcdTest, ACleanStopHandsOverAtOnceAndReadersNoticeNothing) {
  Run(1, /*ttl_s=*/60);
  Add(0, 100);
  ASSERT_TRUE(RunUntilAssigned(100));
  AwaitStandby("b");
  EXPECT_EQ(Explain("a", "n/s0"), grpc::StatusCode::OK);
  const absl::Time before = absl::Now();
  Signal("a", SIGTERM);
  Add(100, 1);
  ASSERT_TRUE(RunUntilAssigned(101)) << "far below the lease's minute";
  RecordProperty("handover_ms", absl::ToInt64Milliseconds(absl::Now() - before));
  EXPECT_LT(absl::Now() - before, absl::Seconds(10));
  ExpectNothingMovedLostOrDoubled();
  EXPECT_EQ(Explain("b", "n/s0"), grpc::StatusCode::OK);
}

// Either one is frozen in the middle of its work until its lease is over, and thawed while the
// other one works.
TEST_F(EtcdTest, LeadersThatAreFrozenAndThawedDuringAThousandAssignmentsMisleadNobody) {
  Run(3, /*ttl_s=*/2);
  Work([&](int service) {
    if (service == 200) Signal("a", SIGSTOP);
    if (service == 500) Signal("a", SIGCONT);
    if (service == 700) AwaitStandby("a");
    if (service == 700) Signal("b", SIGSTOP);
    if (service == 900) Signal("b", SIGCONT);
  });
  AwaitStandby("b");
  ExpectThatAThousandCameAndAllButAHundredWent();
  // The thawed one is a good standby.
  EndOf("a");
  Add(1000, 1);
  ASSERT_TRUE(RunUntilAssigned(101));
  ExpectNothingMovedLostOrDoubled();
}

TEST_F(EtcdTest, AThousandAssignmentsSurviveTheDeathOfEtcdsLeaderOfAMemberAndCompaction) {
  Run(3, /*ttl_s=*/10);
  int killed = -1;
  int compactions = 0;
  Work([&](int service) {
    if (service % 100 == 50) compactions += Compact();
    if (service == 200) etcd_->Kill(killed = etcd_->Leader());
    if (service == 500) etcd_->Start(killed);
    if (service == 600) etcd_->AwaitHealthy(killed);
    if (service == 600) etcd_->Kill(killed = (etcd_->Leader() + 1) % 3);
    if (service == 800) etcd_->Start(killed);
  });
  EXPECT_GE(compactions, 8);
  ExpectThatAThousandCameAndAllButAHundredWent();
}

// SIGKILL at one moment after another of a burst; the standby goes on, and a new process stands by.
TEST_F(EtcdTest, AllocatorsThatAreKilledInTheMiddleOfWorkLoseNothing) {
  Run(1, /*ttl_s=*/2);
  std::string leader = "a", standby = "b";
  size_t expected = 0;
  for (size_t round = 0; round < 6; ++round) {
    const int base = static_cast<int>(round) * 100;
    Add(base, 60);
    if (round > 0) Remove(base - 100, 30);
    const size_t heard = addresses_.size() + 1 + round * 7;
    ASSERT_TRUE(RunUntil([&] { return addresses_.size() >= std::min(heard, expected + 30); },
                         absl::Seconds(30)));
    EndOf(leader);
    expected += round > 0 ? 30 : 60;
    ASSERT_TRUE(RunUntilAssigned(expected)) << round;
    StartAllocator(leader);
    std::swap(leader, standby);
  }
  ExpectNothingMovedLostOrDoubled();
  EXPECT_TRUE(store::Eventually([&] { return RowsInEtcd() == expected; })) << RowsInEtcd();
}

}  // namespace
}  // namespace portolan::ipam
