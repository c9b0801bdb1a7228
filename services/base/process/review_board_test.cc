#include "services/base/process/review_board.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "services/base/wire/server.h"

namespace portolan::process {
namespace {

using review::v1alpha1::ReviewRequest;
using review::v1alpha1::ReviewResponse;

class ReviewBoardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = wire::Server::Start("", {&board_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = review::v1alpha1::Reviewer::NewStub(server_->InProcessChannel());
    thread_ = std::thread([this] { loop_->Run(); });
  }
  void TearDown() override {
    OnLoop([this] {
      seat_.reset();
      loop_->Stop();
    });
    thread_.join();
  }
  void OnLoop(std::function<void()> call) { loop_->Post(std::move(call)); }

  grpc::Status Ask(const std::string& component, ReviewResponse* response) {
    ReviewRequest request;
    request.set_component(component);
    grpc::ClientContext context;
    return stub_->Review(&context, request, response);
  }

  ReviewBoard board_;
  const std::unique_ptr<Loop> loop_ = NewLoop();
  std::unique_ptr<ReviewBoard::Seat> seat_;
  std::unique_ptr<wire::Server> server_;
  std::unique_ptr<review::v1alpha1::Reviewer::Stub> stub_;
  std::thread thread_;
};

TEST_F(ReviewBoardTest, AsksTheComponentOnItsLoop) {
  std::thread::id asked_on;
  seat_ = board_.Take("bgp", loop_.get(), [&](const ReviewRequest& request) {
    asked_on = std::this_thread::get_id();
    ReviewResponse response;
    response.add_findings()->set_message(request.component());
    return response;
  });
  ReviewResponse response;
  ASSERT_TRUE(Ask("bgp", &response).ok());
  ASSERT_EQ(response.findings_size(), 1);
  EXPECT_EQ(response.findings(0).message(), "bgp");
  EXPECT_EQ(asked_on, thread_.get_id());
}

TEST_F(ReviewBoardTest, AComponentThatIsNotHereOrHasLeftIsNotFound) {
  ReviewResponse response;
  EXPECT_EQ(Ask("bgp", &response).error_code(), grpc::StatusCode::NOT_FOUND);
  seat_ = board_.Take("bgp", loop_.get(), [](const ReviewRequest&) { return ReviewResponse(); });
  EXPECT_EQ(Ask("l2", &response).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(Ask("bgp", &response).ok());
  OnLoop([this] { seat_.reset(); });
  grpc::Status status;
  do {
    status = Ask("bgp", &response);
  } while (status.ok() || status.error_code() == grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "bgp does not run in this process");
}

TEST_F(ReviewBoardTest, WhatTheComponentCannotAnswerIsToldAsItSaysIt) {
  seat_ =
      board_.Take("bgp", loop_.get(), [](const ReviewRequest&) -> absl::StatusOr<ReviewResponse> {
        return absl::UnavailableError("it is starting");
      });
  ReviewResponse response;
  const grpc::Status status = Ask("bgp", &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "it is starting");
}

}  // namespace
}  // namespace portolan::process
