// When Apply answers, with what, and what the journal has of it.
#include "services/datapath-loader/shell/applied.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace portolan::datapath {
namespace {

class FakeReply : public wire::Reply<v1alpha1::ApplyResponse> {
 public:
  void Send(const absl::Status& status, v1alpha1::ApplyResponse response) override {
    this->status = status;
    this->response = std::move(response);
  }
  std::optional<absl::Status> status;
  v1alpha1::ApplyResponse response;
};

class AppliedTest : public testing::Test {
 protected:
  AppliedTest() { std::filesystem::remove(path_); }

  v1alpha1::ApplyRequest Request(uint64_t generation, const std::vector<std::string>& names) {
    v1alpha1::ApplyRequest request;
    request.set_owner("edge");
    request.set_generation(generation);
    for (const std::string& name : names) {
      v1alpha1::DesiredService* service = request.add_services();
      service->set_name(name);
      service->add_addresses("192.0.2.1");
      service->mutable_intent()->add_ports()->set_port(80 + request.services_size());
    }
    return request;
  }
  std::shared_ptr<FakeReply> Apply(const v1alpha1::ApplyRequest& request) {
    auto reply = std::make_shared<FakeReply>();
    applied_.Apply(request, reply);
    return reply;
  }
  void Say(const std::string& name, uint64_t generation) {
    applied_.Said({.key = AppliedKey("edge", name),
                   .generation = generation,
                   .state = State::kReady,
                   .reason = "programmed"});
  }

  const std::string path_ = absl::StrCat(
      testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name());
  std::unique_ptr<Loop> loop_ = NewLoop();
  Journal journal_{path_};
  std::vector<AppliedChange> changes_;
  Applied applied_{loop_.get(), &SystemClock(), &journal_, "a",
                   [this](AppliedChange change) { changes_.push_back(std::move(change)); }};
};

TEST_F(AppliedTest, AnswersWhenTheEngineHasSpokenOfEveryService) {
  const auto reply = Apply(Request(1, {"web", "dns"}));
  ASSERT_EQ(changes_.size(), 1u);
  EXPECT_EQ(changes_[0].services.size(), 2u);
  Say("web", 1);
  EXPECT_FALSE(reply->status.has_value());
  Say("dns", 0);  // of a life before
  EXPECT_FALSE(reply->status.has_value());
  Say("dns", 1);
  ASSERT_TRUE(reply->status.has_value());
  EXPECT_TRUE(reply->status->ok());
  EXPECT_TRUE(reply->response.changed());
  ASSERT_EQ(reply->response.services_size(), 2);
  EXPECT_EQ(reply->response.services(0).key(), "apply/edge/web");
  EXPECT_EQ(reply->response.services(0).state(), status::v1alpha1::STATE_READY);
  EXPECT_EQ(reply->response.services(0).node(), "a");
}

TEST_F(AppliedTest, TheSameAgainIsAnsweredAtOnceAndChangesNothing) {
  Apply(Request(1, {"web"}));
  Say("web", 1);
  const auto again = Apply(Request(1, {"web"}));
  ASSERT_TRUE(again->status.has_value());
  EXPECT_FALSE(again->response.changed());
  EXPECT_EQ(again->response.services(0).state(), status::v1alpha1::STATE_READY);
  EXPECT_EQ(changes_.size(), 1u);
}

TEST_F(AppliedTest, WhatIsNotNamedAnyMoreIsTakenBack) {
  Apply(Request(1, {"web", "dns"}));
  const auto reply = Apply(Request(2, {}));
  ASSERT_TRUE(reply->status.has_value()) << "there is nothing to wait for";
  EXPECT_EQ(changes_.back().removed,
            (std::vector<std::string>{"apply/edge/dns", "apply/edge/web"}));
}

TEST_F(AppliedTest, ARefusedServiceIsRejectedAndTheOthersAreApplied) {
  v1alpha1::ApplyRequest request = Request(1, {"web", "bad"});
  request.mutable_services(1)->clear_addresses();
  const auto reply = Apply(request);
  Say("web", 1);
  ASSERT_TRUE(reply->status.has_value());
  EXPECT_EQ(reply->response.services(0).state(), status::v1alpha1::STATE_READY);
  const auto& bad = reply->response.services(1);
  EXPECT_EQ(bad.state(), status::v1alpha1::STATE_REJECTED);
  EXPECT_EQ(bad.reason(), "not-usable");
  EXPECT_TRUE(absl::StartsWith(bad.message(), "addresses: ")) << bad.message();
  EXPECT_FALSE(bad.remedy().empty());
}

TEST_F(AppliedTest, AnOldGenerationChangesNothing) {
  Apply(Request(2, {"web"}));
  const auto reply = Apply(Request(1, {"dns"}));
  EXPECT_TRUE(absl::IsAborted(*reply->status)) << *reply->status;
  EXPECT_EQ(changes_.size(), 1u);
}

TEST_F(AppliedTest, WhatCannotBeKeptIsNotApplied) {
  Journal nowhere("/nowhere/journal");
  Applied applied(loop_.get(), &SystemClock(), &nowhere, "a",
                  [this](AppliedChange change) { changes_.push_back(std::move(change)); });
  auto reply = std::make_shared<FakeReply>();
  applied.Apply(Request(1, {"web"}), reply);
  ASSERT_TRUE(reply->status.has_value());
  EXPECT_FALSE(reply->status->ok());
  EXPECT_TRUE(absl::StrContains(reply->status->message(), "/nowhere/journal")) << *reply->status;
  EXPECT_TRUE(changes_.empty());
}

TEST_F(AppliedTest, AnotherLifeKnowsWhatWasAppliedAndOrdered) {
  Apply(Request(3, {"web"}));
  ASSERT_TRUE(journal_.PutInterface("eth0", {.mode = "tc", .inside = true}).ok());
  ASSERT_TRUE(journal_.PutInterface("eth1", {.detached = true}).ok());
  ASSERT_TRUE(journal_.PutInterface("eth2", {}).ok());
  ASSERT_TRUE(journal_.EraseInterface("eth2").ok());
  const auto kept = journal_.Read();
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->interfaces.size(), 2u);
  EXPECT_EQ(kept->interfaces.at("eth0"), (InterfaceOrder{.mode = "tc", .inside = true}));
  EXPECT_TRUE(kept->interfaces.at("eth1").detached);
  Applied next(loop_.get(), &SystemClock(), &journal_, "a",
               [this](AppliedChange change) { changes_.push_back(std::move(change)); });
  next.Begin(kept->owners);
  auto reply = std::make_shared<FakeReply>();
  next.Apply(Request(2, {"web"}), reply);
  EXPECT_TRUE(absl::IsAborted(*reply->status)) << *reply->status;
  const std::vector<AppliedService> all = MessagesOf("edge", kept->owners.at("edge"));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].intent.generation(), 3u);
}

TEST_F(AppliedTest, ALoaderThatWasNeverToldAnythingMakesNoFile) {
  EXPECT_TRUE(journal_.Read()->owners.empty());
  EXPECT_FALSE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace portolan::datapath
