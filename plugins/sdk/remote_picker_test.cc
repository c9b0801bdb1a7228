#include "plugins/sdk/remote_picker.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "api/proto/plugin/v1alpha1/address_picker.grpc.pb.h"
#include "plugins/sdk/testing_free_space.h"

namespace portolan::plugin {
namespace {

using ::testing::HasSubstr;

// A plugin that does what the Service's name says.
class FakePlugin : public v1alpha1::AddressPicker::CallbackService {
 public:
  grpc::ServerUnaryReactor* Pick(grpc::CallbackServerContext* context,
                                 const v1alpha1::PickRequest* request,
                                 v1alpha1::PickResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (request->service() == "do/sleep") {
      absl::MutexLock lock(&mutex_);
      sleeping_.push_back(reactor);
      return reactor;
    }
    if (request->service() == "do/decline") response->set_message("not today");
    if (request->service() == "do/garbage") response->set_address("xyz");
    if (request->service() == "do/first") response->set_address(request->free(0).first());
    reactor->Finish(request->service() == "do/fail"
                        ? grpc::Status(grpc::StatusCode::INTERNAL, "it broke")
                        : grpc::Status::OK);
    return reactor;
  }

  // Lets the sleepers answer, so that the server can stop.
  void Wake() {
    absl::MutexLock lock(&mutex_);
    for (grpc::ServerUnaryReactor* reactor : sleeping_) reactor->Finish(grpc::Status::CANCELLED);
    sleeping_.clear();
  }

 private:
  absl::Mutex mutex_;
  std::vector<grpc::ServerUnaryReactor*> sleeping_;
};

class RemotePickerTest : public testing::Test {
 protected:
  RemotePickerTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(endpoint_, grpc::InsecureServerCredentials());
    builder.RegisterService(&plugin_);
    server_ = builder.BuildAndStart();
  }
  ~RemotePickerTest() override {
    plugin_.Wake();
    server_->Shutdown();
  }

  RemotePicker::Answer Ask(RemotePicker& picker, const std::string& service) {
    RemotePicker::Answer result{std::optional<net::IpAddress>(), ""};
    absl::Notification done;
    picker.Pick({service, "p", {TestRange("10.0.0.3", "10.0.0.9")}},
                [&](RemotePicker::Answer answer) {
                  result = std::move(answer);
                  done.Notify();
                });
    done.WaitForNotification();
    return result;
  }

  const std::string endpoint_ =
      absl::StrCat("unix-abstract:portolan-remote-picker-test-", getpid());
  FakePlugin plugin_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(RemotePickerTest, AnswersDeclinesAndErrorsArriveAsTheyAre) {
  RemotePicker picker(endpoint_, absl::Seconds(10));
  EXPECT_EQ(Ask(picker, "do/first").address.value(), TestAddress("10.0.0.3"));
  RemotePicker::Answer declined = Ask(picker, "do/decline");
  EXPECT_EQ(declined.address.value(), std::nullopt);
  EXPECT_EQ(declined.message, "not today");
  EXPECT_THAT(Ask(picker, "do/fail").address.status().ToString(), HasSubstr("it broke"));
  EXPECT_THAT(Ask(picker, "do/garbage").address.status().ToString(), HasSubstr("3 octets"));
}

TEST_F(RemotePickerTest, ASilentPluginEndsAtTheDeadline) {
  RemotePicker picker(endpoint_, absl::Milliseconds(20));
  RemotePicker::Answer answer = Ask(picker, "do/sleep");
  EXPECT_EQ(answer.address.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(answer.address.status().ToString(), HasSubstr("did not answer in 20ms"));
}

TEST_F(RemotePickerTest, AnAbsentPluginIsAnErrorThatNamesTheEndpoint) {
  RemotePicker picker("unix:/nowhere/picker.sock", absl::Seconds(10));
  EXPECT_THAT(Ask(picker, "do/first").address.status().ToString(),
              HasSubstr("unix:/nowhere/picker.sock"));
}

TEST_F(RemotePickerTest, MoreQuestionsThanSlotsAreAllAnswered) {
  RemotePicker picker(endpoint_, absl::Seconds(30));
  constexpr int kQuestions = 5 * RemotePicker::kMaxInFlight;
  absl::Mutex mutex;
  int answered = 0;
  for (int i = 0; i < kQuestions; ++i) {
    picker.Pick({"do/first", "p", {TestRange("10.0.0.3", "10.0.0.9")}},
                [&](const RemotePicker::Answer& answer) {
                  absl::MutexLock lock(&mutex);
                  if (answer.address.ok()) ++answered;
                });
  }
  absl::MutexLock lock(&mutex);
  mutex.Await(absl::Condition(
      +[](int* n) { return *n == kQuestions; }, &answered));
}

TEST_F(RemotePickerTest, DestroyingItAnswersEveryQuestion) {
  absl::Mutex mutex;
  int answered = 0;
  {
    RemotePicker picker(endpoint_, absl::Hours(1));
    for (int i = 0; i < 2 * RemotePicker::kMaxInFlight; ++i) {
      picker.Pick({"do/sleep", "p", {}}, [&](const RemotePicker::Answer&) {
        absl::MutexLock lock(&mutex);
        ++answered;
      });
    }
  }
  absl::MutexLock lock(&mutex);
  EXPECT_EQ(answered, 2 * RemotePicker::kMaxInFlight);
}

}  // namespace
}  // namespace portolan::plugin
