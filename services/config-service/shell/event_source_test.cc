// The streams of publishers that come and go, and what is told of them.
#include "services/config-service/shell/event_source.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/bgp/v1alpha1/bgp.pb.h"
#include "api/proto/l2/v1alpha1/l2.pb.h"
#include "services/base/clock/clock.h"
#include "services/base/wire/hub.h"
#include "services/base/wire/server.h"

namespace portolan::config {
namespace {

using allocation::v1alpha1::Allocation;
using allocation::v1alpha1::PoolState;
using ::testing::ElementsAre;

template <typename M>
M Message(const std::string& text) {
  M message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

// All services in one process.
class Publisher {
 public:
  explicit Publisher(const std::string& path)
      : server_(wire::Server::Start(absl::StrCat("unix:", path), {hub_.service()}).value()) {}
  ~Publisher() { hub_.Shutdown(); }

  void Hold(const std::string& service, const std::string& address) {
    allocations.Upsert(service,
                       Message<Allocation>(absl::StrCat("grants { address: '", address, "' }")));
  }
  void MarkSynced() {
    for (wire::Writer* writer : {&allocations, &pools, &announcements, &peers}) {
      writer->MarkSynced();
    }
  }

 private:
  wire::Hub hub_;

 public:
  wire::Writer allocations = hub_.NewWriter<Allocation>();
  wire::Writer pools = hub_.NewWriter<PoolState>();
  wire::Writer announcements = hub_.NewWriter<l2::v1alpha1::Announcement>();
  wire::Writer peers = hub_.NewWriter<bgp::v1alpha1::PeerState>();

 private:
  std::unique_ptr<wire::Server> server_;
};

class EventSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/portolan-events-XXXXXX";  // a socket path is at most 107 bytes
    directory_ = mkdtemp(pattern.data());
    path_ = absl::StrCat(directory_, "/s.sock");
    publisher_ = std::make_unique<Publisher>(path_);
    const auto channel = wire::Connect(absl::StrCat("unix:", path_));
    source_ = std::make_unique<EventSource>(
        process::Context{"a", directory_, directory_, loop_.get(), nullptr, &SystemClock(), &log_},
        process::Upstreams{.allocation = channel, .peers = {{"portolan", channel}}});
    source_->Listen([this](std::vector<Notice> notices) {
      batches_.push_back(notices.size());
      for (const Notice& notice : notices) {
        std::string& text = told_.emplace_back(notice.name);
        for (const auto& [leaf, value] : notice.leaves) absl::StrAppend(&text, " ", value);
      }
      if (wish_ != nullptr && wish_()) loop_->Stop();
    });
    source_->Follow(true);
  }
  void TearDown() override {
    source_.reset();
    publisher_.reset();
    std::filesystem::remove_all(directory_);
  }

  bool RunUntil(std::function<bool()> wish, absl::Duration limit) {
    wish_ = std::move(wish);
    const Loop::TimerId timer = loop_->RunAfter(limit, [this] { loop_->Stop(); });
    if (!wish_()) loop_->Run();
    loop_->Cancel(timer);
    return std::exchange(wish_, nullptr)();
  }
  // What is told, until there are so many.
  std::vector<std::string> Wait(size_t count) {
    EXPECT_TRUE(RunUntil([&] { return told_.size() >= count; }, absl::Seconds(30)));
    return std::exchange(told_, {});
  }
  // What changes before the first picture is there, is part of it. So this changes something until
  // it is told: then what comes next is told, too.
  void UntilTold(const std::function<std::string(int)>& change) {
    for (int i = 1; i < 500; ++i) {
      const std::string text = change(i);
      const auto told = [&] { return !told_.empty() && absl::StrContains(told_.back(), text); };
      if (RunUntil(told, absl::Milliseconds(50))) return told_.clear();
    }
    FAIL() << "nothing is told";
  }
  // Every stream has its first picture.
  void Settle() {
    publisher_->MarkSynced();
    UntilTold([&](int i) {
      const std::string address = absl::StrCat("10.9.", i / 256, ".", i % 256);
      publisher_->Hold("n/probe", address);
      return absl::StrCat("assigned n/probe ", address);
    });
    UntilTold([&](int i) {
      const std::string name = absl::StrCat("probe-", i, "-");
      publisher_->pools.Upsert(name, Message<PoolState>("state: 'conflicting'"));
      return name;
    });
    UntilTold([&](int i) {
      const std::string name = absl::StrCat("probe-", i, "-");
      publisher_->announcements.Upsert(
          absl::StrCat(name, "/eth0/10.9.0.0"),
          Message<l2::v1alpha1::Announcement>("service: 'n/s' state: 'owner'"));
      return name;
    });
    UntilTold([&](int i) {
      const std::string name = absl::StrCat("probe-", i, "-");
      publisher_->peers.Upsert(name, Message<bgp::v1alpha1::PeerState>(absl::StrCat(
                                         "name: '", name, "' session_state: 'established'")));
      return name;
    });
  }

  const std::unique_ptr<Loop> loop_ = NewLoop();
  const Log log_{"config", Log::Level::kError};
  std::string directory_;
  std::string path_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<EventSource> source_;
  std::vector<std::string> told_;
  std::vector<size_t> batches_;
  std::function<bool()> wish_;
};

TEST_F(EventSourceTest, TellsChangesOfEveryStreamAndNoPicture) {
  publisher_->Hold("n/old", "192.0.2.1");
  Settle();
  publisher_->Hold("n/new", "192.0.2.2");
  EXPECT_THAT(Wait(1), ElementsAre("address-assigned n/new 192.0.2.2 false"));
  publisher_->pools.Upsert(
      "p",
      Message<PoolState>("state: 'active' counts { family: 'ipv4' used: '9' available: '0' }"));
  EXPECT_THAT(Wait(1), ElementsAre("pool-exhausted p ipv4 9"));
  publisher_->pools.Upsert(
      "q", Message<PoolState>("state: 'conflicting' message: 'm' conflicts_with: 'p'"));
  EXPECT_THAT(Wait(1), ElementsAre("pool-conflict q p m"));
  publisher_->announcements.Upsert(
      "a/eth0/192.0.2.2", Message<l2::v1alpha1::Announcement>(
                              "service: 'n/new' mac: '02:00:00:00:00:01' state: 'owner' owner: 'a' "
                              "rival: '02:00:00:00:00:66'"));
  EXPECT_THAT(Wait(2), ElementsAre("ownership-gained a eth0 192.0.2.2 n/new 02:00:00:00:00:01",
                                   "address-conflict a eth0 192.0.2.2 n/new 02:00:00:00:00:66"));
  const std::string peer = "node: 'a' instance: 'i' name: 'tor' address: '192.0.2.9' remote_as: 7 ";
  publisher_->peers.Upsert("a/i/tor", Message<bgp::v1alpha1::PeerState>(
                                          peer + "session_state: 'established' hold_time_s: 9"));
  EXPECT_THAT(Wait(1), ElementsAre("peer-established a i tor 192.0.2.9 7 9"));
  publisher_->peers.Upsert("a/i/tor", Message<bgp::v1alpha1::PeerState>(
                                          peer + "session_state: 'idle' last_error: 'Cease'"));
  EXPECT_THAT(Wait(1), ElementsAre("peer-backward-transition a i tor 192.0.2.9 7 idle Cease"));
}

TEST_F(EventSourceTest, APublisherThatStartsAnewTellsOnlyWhatIsNotAsBefore) {
  publisher_->Hold("n/same", "192.0.2.1");
  publisher_->Hold("n/gone", "192.0.2.2");
  Settle();
  publisher_ = nullptr;
  publisher_ = std::make_unique<Publisher>(path_);
  publisher_->Hold("n/same", "192.0.2.1");
  publisher_->Hold("n/new", "192.0.2.3");
  publisher_->MarkSynced();
  // The probes went, too.
  ASSERT_TRUE(RunUntil([&] { return told_.size() >= 3; }, absl::Seconds(30)));
  for (const std::string& text : told_) EXPECT_FALSE(absl::StrContains(text, "n/same")) << text;
  EXPECT_THAT(told_, testing::IsSupersetOf({"address-released n/gone 192.0.2.2",
                                            "address-assigned n/new 192.0.2.3 false"}));
}

TEST_F(EventSourceTest, ABurstComesInBatches) {
  Settle();
  batches_.clear();
  for (int i = 0; i < 1000; ++i) {
    publisher_->Hold(absl::StrCat("n/", i), absl::StrCat("10.0.", i / 256, ".", i % 256));
  }
  EXPECT_EQ(Wait(1000).size(), 1000u);
  for (const size_t batch : batches_) EXPECT_LE(batch, 200u);
}

TEST_F(EventSourceTest, WhatHappensWhileNobodyWantsItIsNeverTold) {
  Settle();
  source_->Follow(false);
  // The loop has heard it.
  loop_->Post([this] { loop_->Stop(); });
  loop_->Run();
  publisher_->Hold("n/meanwhile", "192.0.2.2");
  source_->Follow(true);
  publisher_->MarkSynced();
  std::vector<std::string> told;
  UntilTold([&](int i) {
    told.insert(told.end(), told_.begin(), told_.end());
    publisher_->Hold("n/then", absl::StrCat("10.8.0.", i));
    return absl::StrCat("assigned n/then 10.8.0.", i);
  });
  for (const std::string& text : told) EXPECT_FALSE(absl::StrContains(text, "n/meanwhile"));
}

TEST_F(EventSourceTest, AnotherThresholdHoldsAtOnce) {
  publisher_->pools.Upsert(
      "p",
      Message<PoolState>("state: 'active' counts { family: 'ipv4' used: '5' available: '5' }"));
  Settle();
  source_->SetThreshold(50);
  EXPECT_THAT(Wait(1), ElementsAre("pool-nearly-full p ipv4 5 5 50"));
}

}  // namespace
}  // namespace portolan::config
