#include "services/base/process/metrics_endpoint.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>

#include "absl/strings/str_cat.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "services/base/wire/server.h"

namespace portolan::process {
namespace {

using status::v1alpha1::ObjectStatus;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Wanted = config::v1alpha1::MetricsEndpoint;

constexpr char kKey[] = "metrics/n/endpoint/portolan";

class MetricsEndpointTest : public testing::Test {
 protected:
  MetricsEndpointTest() {
    server_ = wire::Server::Start("", {hub_.service()}).value();
    configured_.MarkSynced();
    endpoint_->Start(server_->InProcessChannel());
    statuses_.emplace(loop_.get(), server_->InProcessChannel(),
                      wire::Handlers<ObjectStatus>{
                          .on_upsert = [this](const std::string& key,
                                              const ObjectStatus& status) { told_[key] = status; },
                          .on_remove = [this](const std::string& key) { told_.erase(key); }});
  }
  ~MetricsEndpointTest() override {
    statuses_.reset();
    endpoint_.reset();
    hub_.Shutdown();
  }

  void Configure(const std::string& process, const std::string& address, int port) {
    Wanted wanted;
    wanted.set_process(process);
    wanted.set_address(address);
    wanted.set_port(static_cast<uint32_t>(port));
    configured_.Upsert(process, wanted);
  }

  // False after ten seconds.
  bool RunUntil(const std::function<bool()>& wish) {
    bool fulfilled = false;
    const absl::Time deadline = SystemClock().Now() + absl::Seconds(10);
    std::function<void()> look = [&] {
      fulfilled = wish();
      if (fulfilled || SystemClock().Now() > deadline) return loop_->Stop();
      loop_->RunAfter(absl::Milliseconds(1), look);
    };
    loop_->Post(look);
    loop_->Run();
    return fulfilled;
  }
  bool RunUntilState(status::v1alpha1::State state) {
    return RunUntil([&] { return told_.contains(kKey) && told_[kKey].state() == state; });
  }
  int ToldPort() {
    std::smatch match;
    const std::string message = told_[kKey].message();
    return std::regex_search(message, match, std::regex("port ([0-9]+)")) ? std::stoi(match[1]) : 0;
  }

  const Log log_{"test", Log::Level::kError};
  const std::unique_ptr<Loop> loop_ = NewLoop();
  wire::Hub hub_;
  metrics::Exporter exporter_{&SystemClock()};
  wire::Writer configured_ = hub_.NewWriter<Wanted>();
  std::optional<MetricsEndpoint> endpoint_{std::in_place,
                                           Context{.node = "n",
                                                   .loop = loop_.get(),
                                                   .hub = &hub_,
                                                   .clock = &SystemClock(),
                                                   .log = &log_,
                                                   .metrics = &exporter_},
                                           "portolan"};
  std::unique_ptr<wire::Server> server_;
  std::map<std::string, ObjectStatus> told_;
  std::optional<wire::TypedReader<ObjectStatus>> statuses_;
};

TEST_F(MetricsEndpointTest, ListensWhereItsOwnEntrySaysAndTellsThePort) {
  Configure("ipam-service", "192.0.2.1", 1);  // somebody else's
  Configure("portolan", "127.0.0.1", 0);
  ASSERT_TRUE(RunUntilState(status::v1alpha1::STATE_READY)) << told_[kKey].DebugString();
  EXPECT_EQ(told_[kKey].reason(), "listening");
  EXPECT_GT(ToldPort(), 0);
  EXPECT_EQ(told_.size(), 1u);
  metrics::Exporter other(&SystemClock());
  EXPECT_FALSE(other.Listen("127.0.0.1", ToldPort()).ok());
}

TEST_F(MetricsEndpointTest, AnOccupiedPortIsAStatusWithARemedyAndWorksWhenThePortIsFree) {
  metrics::Exporter other(&SystemClock());
  const int port = other.Listen("127.0.0.1", 0).value();
  Configure("portolan", "127.0.0.1", port);
  ASSERT_TRUE(RunUntilState(status::v1alpha1::STATE_FAILED));
  EXPECT_EQ(told_[kKey].reason(), "not-listening");
  EXPECT_THAT(told_[kKey].message(),
              AllOf(HasSubstr(absl::StrCat("port ", port, " of 127.0.0.1")), HasSubstr("in use")));
  EXPECT_THAT(told_[kKey].remedy(), HasSubstr("metrics/endpoint[process='portolan']"));
  other.Close();
  EXPECT_TRUE(RunUntilState(status::v1alpha1::STATE_READY));
}

TEST_F(MetricsEndpointTest, AnEntryThatGoesClosesThePortAndTakesTheStatusBack) {
  Configure("portolan", "127.0.0.1", 0);
  ASSERT_TRUE(RunUntilState(status::v1alpha1::STATE_READY));
  const int port = ToldPort();
  configured_.Remove("portolan");
  ASSERT_TRUE(RunUntil([&] { return !told_.contains(kKey); }));
  metrics::Exporter other(&SystemClock());
  EXPECT_TRUE(other.Listen("127.0.0.1", port).ok());
}

TEST_F(MetricsEndpointTest, AScrapeTellsWhatEachStreamCarries) {
  Configure("portolan", "127.0.0.1", 0);
  ASSERT_TRUE(RunUntilState(status::v1alpha1::STATE_READY));
  const std::string text = exporter_.Scrape().ToText();
  const std::string label = absl::StrCat("{type=\"", Wanted::descriptor()->full_name(), "\"} ");
  EXPECT_THAT(text, HasSubstr(absl::StrCat("portolan_stream_readers", label, "1\n")));
  EXPECT_THAT(text, HasSubstr(absl::StrCat("portolan_stream_entries", label, "1\n")));
  EXPECT_THAT(text, HasSubstr(absl::StrCat("portolan_stream_revisions_total", label, "1\n")));
  configured_.Remove("portolan");
  EXPECT_THAT(exporter_.Scrape().ToText(),
              AllOf(HasSubstr(absl::StrCat("portolan_stream_entries", label, "0\n")),
                    HasSubstr(absl::StrCat("portolan_stream_revisions_total", label, "2\n"))));
}

}  // namespace
}  // namespace portolan::process
