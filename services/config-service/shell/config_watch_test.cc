// Config.Watch on a config-service that runs, over its UNIX socket.
#include "services/config-service/shell/config_watch.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/config-service/shell/service_harness.h"

namespace portolan::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kPriority[] = "/portolan-ipam:ipam/pools/pool[name='a']/priority";

std::string Pool(const std::string& name, int priority) {
  return absl::StrCat(R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": ")", name,
                      R"(", "priority": )", priority, "}]}}}");
}

// What does not come in thirty seconds does not come.
class Watch {
 public:
  explicit Watch(v1alpha1::Config::Stub* stub, const std::string& path = "",
                 v1alpha1::Format format = v1alpha1::FORMAT_JSON) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    v1alpha1::WatchRequest request;
    request.set_path(path);
    request.set_format(format);
    stream_ = stub->Watch(&context_, request);
  }
  ~Watch() { context_.TryCancel(); }

  v1alpha1::WatchResponse Next() {
    v1alpha1::WatchResponse response;
    EXPECT_TRUE(stream_->Read(&response)) << "the call ended";
    return response;
  }
  grpc::Status End() {
    v1alpha1::WatchResponse response;
    while (stream_->Read(&response)) {
    }
    return stream_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1alpha1::WatchResponse>> stream_;
};

class ConfigWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/portolan-config-XXXXXX";  // a socket path is at most 107 bytes
    directory_ = mkdtemp(pattern.data());
    process_ = std::make_unique<Process>(directory_, "", nullptr);
    ASSERT_TRUE(process_->started.ok()) << process_->started;
  }
  void TearDown() override {
    process_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Merge(const std::string& data) {
    const auto response = process_->Merge(data);
    EXPECT_TRUE(response.problems().empty()) << response.DebugString();
  }

  std::string directory_;
  std::unique_ptr<Process> process_;
};

TEST_F(ConfigWatchTest, TellsWhatRunsThenEachCommitWithItsDifferences) {
  Merge(Pool("a", 1));
  Watch watch(process_->stub.get());
  const auto snapshot = watch.Next();
  EXPECT_TRUE(snapshot.snapshot());
  EXPECT_EQ(snapshot.revision(), 1u);
  EXPECT_THAT(snapshot.data(), HasSubstr(R"("priority": 1)"));
  EXPECT_FALSE(snapshot.has_commit());

  v1alpha1::EditRequest request;
  request.set_operation(v1alpha1::EDIT_OPERATION_MERGE);
  request.set_data(Pool("a", 2));
  request.mutable_author()->set_user("ann");
  request.mutable_author()->set_comment("why");
  process_->Send(request);
  const auto commit = watch.Next();
  EXPECT_FALSE(commit.snapshot());
  EXPECT_EQ(commit.data(), "");
  EXPECT_EQ(commit.revision(), 2u);
  EXPECT_EQ(commit.from_revision(), 1u);
  EXPECT_EQ(commit.commit().revision(), 2u);
  EXPECT_EQ(commit.commit().author().user(), "ann");
  EXPECT_EQ(commit.commit().author().comment(), "why");
  EXPECT_EQ(commit.commit().operation(), "merge");
  ASSERT_EQ(commit.commit().differences_size(), 1);
  const v1alpha1::Difference& difference = commit.commit().differences(0);
  EXPECT_EQ(difference.kind(), v1alpha1::DIFFERENCE_KIND_CHANGED);
  EXPECT_EQ(difference.path(), kPriority);
  EXPECT_EQ(difference.before(), "1");
  EXPECT_EQ(difference.after(), "2");
}

TEST_F(ConfigWatchTest, BeforeTheFirstCommitTheDefaultsRun) {
  Watch watch(process_->stub.get());
  EXPECT_EQ(watch.Next().revision(), 0u);
  Merge(Pool("a", 1));
  const auto commit = watch.Next();
  EXPECT_EQ(commit.revision(), 1u);
  EXPECT_EQ(commit.from_revision(), 0u);
  EXPECT_FALSE(commit.snapshot());
}

TEST_F(ConfigWatchTest, AnEditThatIsRefusedIsNotTold) {
  Merge(Pool("a", 1));
  Watch watch(process_->stub.get());
  watch.Next();
  EXPECT_FALSE(process_->Merge(R"({"a:b": 1})").problems().empty());
  Merge(Pool("a", 2));
  EXPECT_EQ(watch.Next().revision(), 2u);
}

TEST_F(ConfigWatchTest, OfAPathOnlyWhatChangesItIsTold) {
  Merge(Pool("a", 1));
  Watch watch(process_->stub.get(), "/portolan-ipam:ipam/pools/pool[name='b']");
  EXPECT_THAT(watch.Next().data(), Not(HasSubstr("\"a\"")));
  Merge(Pool("a", 2));
  Merge(Pool("b", 7));
  const auto commit = watch.Next();
  EXPECT_EQ(commit.revision(), 3u);
  EXPECT_EQ(commit.from_revision(), 1u);
  for (const auto& difference : commit.commit().differences()) {
    EXPECT_THAT(difference.path(), HasSubstr("'b'"));
  }
  EXPECT_GT(commit.commit().differences_size(), 0);
}

TEST_F(ConfigWatchTest, APathThatIsNoneEndsTheCall) {
  Watch watch(process_->stub.get(), "/a:b[");
  EXPECT_EQ(watch.End().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ConfigWatchTest, PasswordsAreNotTold) {
  const auto peer = [](const std::string& password) {
    return absl::StrCat(
        R"({"portolan-bgp:bgp": {"instances": {"instance": [{"name": "i", "local-as": 1,
        "peers": {"peer": [{"name": "p", "address": "10.0.0.1", "remote-as": 2, "password": ")",
        password, R"("}]}}]}}})");
  };
  Merge(peer("old-secret"));
  Watch watch(process_->stub.get());
  EXPECT_THAT(watch.Next().data(), Not(HasSubstr("old-secret")));
  Merge(peer("new-secret"));
  const auto commit = watch.Next();
  EXPECT_THAT(commit.DebugString(), HasSubstr("***"));
  EXPECT_THAT(commit.DebugString(), Not(HasSubstr("secret")));
}

TEST_F(ConfigWatchTest, DataCanBeXml) {
  Merge(Pool("a", 1));
  Watch watch(process_->stub.get(), "", v1alpha1::FORMAT_XML);
  EXPECT_THAT(watch.Next().data(), HasSubstr("<priority>1</priority>"));
}

TEST_F(ConfigWatchTest, AReaderThatIsSlowSkipsToWhatRuns) {
  // A commit tells two of these; what gRPC holds back is soon full.
  const auto plugin = [](int number) {
    return absl::StrCat(
        R"({"portolan-system:system": {"plugins": {"plugin": [{"extension-point": "address-picker",
        "name": "p", "path": "/p.so", "settings": ")",
        number, std::string(60'000, 'x'), R"("}]}}})");
  };
  Merge(plugin(0));
  // A window that does not grow.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4096);
  const auto stub = v1alpha1::Config::NewStub(grpc::CreateCustomChannel(
      absl::StrCat("unix:", directory_, "/s.sock"), grpc::InsecureChannelCredentials(), arguments));
  Watch watch(stub.get());
  constexpr uint64_t kCommits = 60;
  for (uint64_t i = 1; i <= kCommits; ++i) Merge(plugin(static_cast<int>(i)));
  uint64_t told = watch.Next().revision();
  uint64_t responses = 0;
  while (told < kCommits + 1) {
    const auto commit = watch.Next();
    EXPECT_EQ(commit.from_revision(), told) << "nothing is missing between two responses";
    EXPECT_EQ(commit.commit().differences_size(), 1);
    told = commit.revision();
    ++responses;
  }
  EXPECT_LT(responses, kCommits);
}

TEST_F(ConfigWatchTest, EndsWithTheService) {
  Watch watch(process_->stub.get());
  watch.Next();
  process_.reset();
  EXPECT_FALSE(watch.End().ok());
}

}  // namespace
}  // namespace portolan::config
