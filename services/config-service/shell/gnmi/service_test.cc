// gNMI on a config-service that runs, over its UNIX socket, with the client that protoc makes.
#include "services/config-service/shell/gnmi/service.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "api/proto/gnmi/gnmi.grpc.pb.h"
#include "services/config-service/shell/gnmi/path.h"
#include "services/config-service/shell/service_harness.h"

namespace portolan::config {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr char kOn[] = R"({"portolan-system:system": {"gnmi": {"enabled": true}}})";
constexpr char kPools[] = "elem { name: 'portolan-ipam:ipam' } elem { name: 'pools' } ";

std::string Pool(const std::string& name) {
  return absl::StrCat(kPools, "elem { name: 'pool' key { key: 'name' value: '", name, "' } } ");
}
std::string Priority(const std::string& pool) {
  return absl::StrCat(Pool(pool), "elem { name: 'priority' } ");
}
std::string PriorityText(const std::string& pool) {
  return absl::StrCat("/portolan-ipam:ipam/pools/pool[name=", pool, "]/priority");
}

template <typename M>
M Parse(const std::string& text) {
  M message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

using Values = std::map<std::string, std::string>;

Values ValuesOf(const ::gnmi::Notification& notification) {
  Values values;
  for (const ::gnmi::Update& update : notification.update()) {
    values[ToText(update.path())] = update.val().json_ietf_val();
  }
  return values;
}

class GnmiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/portolan-config-XXXXXX";  // a socket path is at most 107 bytes
    directory_ = mkdtemp(pattern.data());
    process_ = std::make_unique<Process>(directory_, "", nullptr);
    ASSERT_TRUE(process_->started.ok()) << process_->started;
    stub_ = ::gnmi::gNMI::NewStub(process_->channel);
    Merge(kOn);
    Merge(R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "a", "priority": 1},
        {"name": "b", "priority": 2}]}}})");
  }
  void TearDown() override {
    process_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Merge(const std::string& data) {
    const auto response = process_->Merge(data);
    EXPECT_TRUE(response.problems().empty()) << response.DebugString();
  }

  grpc::Status Get(const std::string& request, ::gnmi::GetResponse* response) {
    grpc::ClientContext context;
    return stub_->Get(&context, Parse<::gnmi::GetRequest>(request + " encoding: JSON_IETF"),
                      response);
  }
  // Of one path.
  Values Read(const std::string& path, const std::string& rest = "") {
    ::gnmi::GetResponse response;
    const grpc::Status status = Get(absl::StrCat("path { ", path, "} ", rest), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.notification_size(), 1);
    return status.ok() ? ValuesOf(response.notification(0)) : Values();
  }
  grpc::Status Set(const std::string& request, ::gnmi::SetResponse* response = nullptr) {
    ::gnmi::SetResponse unused;
    grpc::ClientContext context;
    return stub_->Set(&context, Parse<::gnmi::SetRequest>(request),
                      response == nullptr ? &unused : response);
  }
  int Commits() { return process_->History().commits_size(); }

  std::string directory_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<::gnmi::gNMI::Stub> stub_;
};

// One call of Subscribe, on the caller's thread; what does not come in ten seconds does not come.
class Subscriber {
 public:
  Subscriber(::gnmi::gNMI::Stub* stub, const std::string& list) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    stream_ = stub->Subscribe(&context_);
    Send(absl::StrCat("subscribe { encoding: JSON_IETF ", list, " }"));
  }
  ~Subscriber() { context_.TryCancel(); }

  void Send(const std::string& request) {
    stream_->Write(Parse<::gnmi::SubscribeRequest>(request));
  }
  ::gnmi::SubscribeResponse Next() {
    ::gnmi::SubscribeResponse response;
    EXPECT_TRUE(stream_->Read(&response)) << "the call ended";
    return response;
  }
  // Of the updates up to the mark.
  Values UntilSynced() {
    Values values;
    while (true) {
      const ::gnmi::SubscribeResponse response = Next();
      if (!response.has_update()) return values;
      values.merge(ValuesOf(response.update()));
    }
  }
  grpc::Status End() {
    ::gnmi::SubscribeResponse response;
    while (stream_->Read(&response)) {
    }
    return stream_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<::gnmi::SubscribeRequest, ::gnmi::SubscribeResponse>>
      stream_;
};

std::string Subscribe(const std::string& mode, const std::string& path,
                      const std::string& rest = "") {
  return absl::StrCat("mode: ", mode, " subscription { path { ", path, "} ", rest, "}");
}

// ---- whether it is there ----

TEST_F(GnmiTest, AnswersNothingUntilItIsSwitchedOn) {
  Merge(R"({"portolan-system:system": {"gnmi": {"enabled": false}}})");
  ::gnmi::GetResponse response;
  const grpc::Status status = Get("", &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("/portolan-system:system/gnmi/enabled"));
  EXPECT_EQ(Set("").error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Subscriber(stub_.get(), "mode: ONCE").End().error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  ::gnmi::CapabilityResponse capabilities;
  grpc::ClientContext context;
  EXPECT_FALSE(stub_->Capabilities(&context, {}, &capabilities).ok());
}

TEST_F(GnmiTest, SaysItsModelsAndEncodings) {
  ::gnmi::CapabilityResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stub_->Capabilities(&context, {}, &response).ok());
  EXPECT_EQ(response.gnmi_version(), "0.10.0");
  EXPECT_THAT(response.supported_encodings(), Contains(::gnmi::JSON_IETF));
  std::map<std::string, std::string> versions;
  for (const auto& model : response.supported_models()) versions[model.name()] = model.version();
  EXPECT_THAT(versions, Contains(Pair("ietf-netconf-acm", "2018-02-14")));
  EXPECT_NE(versions["portolan-ipam"], "");
}

// ---- Get ----

TEST_F(GnmiTest, GetsALeafAnEntryAndWhatAWildcardMatches) {
  EXPECT_THAT(Read(Priority("a")), ElementsAre(Pair(PriorityText("a"), "1")));
  const Values entry = Read(Pool("a"));
  ASSERT_EQ(entry.size(), 1u);
  EXPECT_THAT(entry.begin()->second,
              AllOf(HasSubstr(R"("name":"a")"), HasSubstr(R"("priority":1)")));
  EXPECT_THAT(Read(Priority("*")),
              UnorderedElementsAre(Pair(PriorityText("a"), "1"), Pair(PriorityText("b"), "2")));
  EXPECT_THAT(Read(absl::StrCat(Pool("*"), "elem { name: 'namespace' }")), IsEmpty());
}

TEST_F(GnmiTest, GetsEverythingWithoutAPathAndNoSecrets) {
  Merge(R"({"portolan-bgp:bgp": {"instances": {"instance": [{"name": "i", "local-as": 1, "peers":
      {"peer": [{"name": "p", "address": "10.0.0.1", "remote-as": 2, "password": "a-secret"}]}}]}}})");
  ::gnmi::GetResponse response;
  ASSERT_TRUE(Get("", &response).ok());
  EXPECT_THAT(response.DebugString(), AllOf(HasSubstr("10.0.0.1"), Not(HasSubstr("a-secret"))));
}

// What this service says of itself.
constexpr char kComponents[] =
    "elem { name: 'portolan-system:system' } elem { name: 'portolan-state:components' } ";
constexpr char kAnswering[] =
    "/portolan-system:system/portolan-state:components/component[name=config-service]/answering";

TEST_F(GnmiTest, StateIsToldWhereItIsAskedFor) {
  const std::string all =
      absl::StrCat(kComponents, "elem { name: 'component' } ", "elem { name: 'answering' } ");
  for (const char* type : {"type: STATE", "type: OPERATIONAL", "type: ALL"}) {
    EXPECT_THAT(Read(all, type), ElementsAre(Pair(kAnswering, "true"))) << type;
    const std::string system =
        Read("elem { name: 'portolan-system:system' }", type).begin()->second;
    EXPECT_THAT(system, HasSubstr("portolan-state:components")) << type;
    EXPECT_EQ(system.find("\"gnmi\"") != std::string::npos, std::string(type) == "type: ALL");
  }
  EXPECT_THAT(Read("elem { name: 'portolan-system:system' }", "type: CONFIG").begin()->second,
              Not(HasSubstr("portolan-state")));
  ::gnmi::GetResponse response;
  EXPECT_EQ(Get(absl::StrCat("type: CONFIG path { ", kComponents, "}"), &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(GnmiTest, WhatIsConfiguredIsNoState) {
  for (const char* type : {"type: STATE", "type: OPERATIONAL"}) {
    EXPECT_THAT(Read(Priority("a"), type), IsEmpty());
  }
  EXPECT_THAT(Read(Priority("a"), "type: CONFIG").size(), 1u);
}

TEST_F(GnmiTest, AGetThatCannotBeIsRefusedWithItsPath) {
  ::gnmi::GetResponse response;
  grpc::Status status = Get(absl::StrCat("path { ", Pool("z"), "}"), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("pool[name='z']"));
  status = Get("path { elem { name: 'ipam' } }", &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("name the module"));
  grpc::ClientContext context;
  EXPECT_EQ(
      stub_->Get(&context, Parse<::gnmi::GetRequest>("encoding: PROTO"), &response).error_code(),
      grpc::StatusCode::UNIMPLEMENTED);
}

// ---- Set ----

TEST_F(GnmiTest, ASetIsOneCommit) {
  const int before = Commits();
  ::gnmi::SetResponse response;
  const grpc::Status status =
      Set(absl::StrCat("delete { ", Pool("b"), "} replace { path { ", Pool("a"),
                       "} val { json_ietf_val: '{\"auto-assign\": false}' } } update { path { ",
                       Priority("c"), "} val { uint_val: 9 } }"),
          &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(Commits(), before + 1);
  EXPECT_EQ(process_->History().commits(0).author().origin(), "gnmi");
  ASSERT_EQ(response.response_size(), 3);
  EXPECT_EQ(response.response(0).op(), ::gnmi::UpdateResult::DELETE);
  EXPECT_EQ(response.response(1).op(), ::gnmi::UpdateResult::REPLACE);
  EXPECT_EQ(response.response(2).op(), ::gnmi::UpdateResult::UPDATE);
  const std::string data = process_->Get().data();
  EXPECT_THAT(data, AllOf(HasSubstr("\"auto-assign\": false"), HasSubstr("\"priority\": 9"),
                          Not(HasSubstr("\"priority\": 1")), Not(HasSubstr("\"b\""))));
}

TEST_F(GnmiTest, ASetThatFailsInOnePartChangesNothing) {
  const int before = Commits();
  const grpc::Status status = Set(absl::StrCat("delete { ", Pool("b"), "} update { path { ",
                                               Priority("a"), "} val { string_val: 'high' } }"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("/priority"));
  EXPECT_EQ(Commits(), before);
  EXPECT_EQ(Read(Pool("b")).size(), 1u);
}

TEST_F(GnmiTest, RulesBetweenEntriesHold) {
  const std::string blocks = R"([{"id": "1", "cidr": "20.0.0.0/24"},
      {"id": "2", "cidr": "20.0.0.0/25"}])";
  ::gnmi::SetRequest request;
  ::gnmi::Update* update = request.add_update();
  *update->mutable_path() = Parse<::gnmi::Path>(Pool("x"));
  update->mutable_val()->set_json_ietf_val(absl::StrCat(R"({"blocks": {"block": )", blocks, "}}"));
  const grpc::Status status = Set(request.ShortDebugString());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("[block-overlap]"));
}

TEST_F(GnmiTest, DeletingWhatIsNotThereIsNoError) {
  EXPECT_TRUE(Set(absl::StrCat("delete { ", Pool("z"), "}")).ok());
}

TEST_F(GnmiTest, ReplacingTheRootReplacesEverything) {
  const grpc::Status status =
      Set(absl::StrCat("replace { path {} val { json_ietf_val: '", kOn, "' } }"));
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(process_->Get().data(), Not(HasSubstr("pool")));
}

TEST_F(GnmiTest, ASetDuringALockOrATrialIsAFailedPrecondition) {
  const std::string request =
      absl::StrCat("update { path { ", Priority("a"), "} val { uint_val: 5 } }");
  Datastores& data = process_->datastores();
  data.OpenSession(1, {.user = "ann"});
  ASSERT_TRUE(data.Lock(1, Datastore::kRunning).empty());
  EXPECT_EQ(Set(request).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  data.CloseSession(1);
  EXPECT_TRUE(Set(request).ok());
  v1alpha1::EditRequest trial;
  trial.set_operation(v1alpha1::EDIT_OPERATION_MERGE);
  trial.set_data(kOn);
  trial.set_confirm_within_s(600);
  process_->Send(trial);
  EXPECT_EQ(Set(request).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(GnmiTest, SetsAtTheSameTimeAllCount) {
  const auto set = [&](const std::string& pool) {
    for (int i = 0; i < 20; ++i) {
      const grpc::Status status = Set(
          absl::StrCat("update { path { ", Priority(pool), "} val { uint_val: ", 100 + i, " } }"));
      EXPECT_TRUE(status.ok()) << status.error_message();
    }
  };
  std::thread other([&] { set("b"); });
  set("a");
  other.join();
  EXPECT_THAT(Read(Priority("*")),
              UnorderedElementsAre(Pair(PriorityText("a"), "119"), Pair(PriorityText("b"), "119")));
}

TEST_F(GnmiTest, UnionReplaceIsNotKnown) {
  EXPECT_EQ(Set("union_replace { path {} val { json_ietf_val: '{}' } }").error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

// ---- Subscribe ----

TEST_F(GnmiTest, OnceTellsTheLeavesAndEnds) {
  Subscriber subscriber(stub_.get(), Subscribe("ONCE", Pool("a")));
  EXPECT_THAT(subscriber.UntilSynced(), Contains(Pair(PriorityText("a"), "1")));
  EXPECT_TRUE(subscriber.End().ok());
}

TEST_F(GnmiTest, APollTellsThemAnew) {
  Subscriber subscriber(stub_.get(), Subscribe("POLL", Priority("a")));
  EXPECT_THAT(subscriber.UntilSynced(), ElementsAre(Pair(PriorityText("a"), "1")));
  subscriber.Send("poll {}");
  EXPECT_THAT(subscriber.UntilSynced(), ElementsAre(Pair(PriorityText("a"), "1")));
}

TEST_F(GnmiTest, AStreamTellsWhatACommitChanged) {
  Subscriber subscriber(stub_.get(), Subscribe("STREAM", Priority("*"), "mode: ON_CHANGE"));
  EXPECT_EQ(subscriber.UntilSynced().size(), 2u);
  Merge(R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "b", "priority": 7}]}}})");
  EXPECT_THAT(ValuesOf(subscriber.Next().update()), ElementsAre(Pair(PriorityText("b"), "7")));
  process_->Delete("/portolan-ipam:ipam/pools/pool[name='a']");
  const ::gnmi::SubscribeResponse response = subscriber.Next();
  EXPECT_THAT(response.update().update(), IsEmpty());
  ASSERT_EQ(response.update().delete__size(), 1);
  EXPECT_EQ(ToText(response.update().delete_(0)), PriorityText("a"));
}

TEST_F(GnmiTest, AStreamOfUpdatesOnlyBeginsWithTheMark) {
  Subscriber subscriber(stub_.get(),
                        absl::StrCat("updates_only: true ", Subscribe("STREAM", Priority("a"))));
  EXPECT_THAT(subscriber.UntilSynced(), IsEmpty());
  Merge(R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "a", "priority": 7}]}}})");
  EXPECT_THAT(ValuesOf(subscriber.Next().update()), ElementsAre(Pair(PriorityText("a"), "7")));
}

TEST_F(GnmiTest, ASampleComesAgainWithoutAChange) {
  Subscriber subscriber(
      stub_.get(), Subscribe("STREAM", Priority("a"), "mode: SAMPLE sample_interval: 100000000 "));
  EXPECT_EQ(subscriber.UntilSynced().size(), 1u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(ValuesOf(subscriber.Next().update()), ElementsAre(Pair(PriorityText("a"), "1")));
  }
}

TEST_F(GnmiTest, ASampleThatSuppressesWhatIsRedundantTellsChanges) {
  Subscriber subscriber(stub_.get(), Subscribe("STREAM", Priority("a"),
                                               "mode: SAMPLE sample_interval: 100000000 "
                                               "suppress_redundant: true "));
  EXPECT_EQ(subscriber.UntilSynced().size(), 1u);
  Merge(R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "a", "priority": 7}]}}})");
  EXPECT_THAT(ValuesOf(subscriber.Next().update()), ElementsAre(Pair(PriorityText("a"), "7")));
}

TEST_F(GnmiTest, StateIsToldOnceByPollAndBySample) {
  const auto answering = Contains(Pair(kAnswering, "true"));
  EXPECT_THAT(Subscriber(stub_.get(), Subscribe("ONCE", kComponents)).UntilSynced(), answering);
  Subscriber poll(stub_.get(), Subscribe("POLL", kComponents));
  EXPECT_THAT(poll.UntilSynced(), answering);
  poll.Send("poll {}");
  EXPECT_THAT(poll.UntilSynced(), answering);
  Subscriber sample(stub_.get(),
                    Subscribe("STREAM", kComponents, "mode: SAMPLE sample_interval: 1000000000 "));
  EXPECT_THAT(sample.UntilSynced(), answering);
  EXPECT_THAT(ValuesOf(sample.Next().update()), answering);
  // Who leaves the mode to us, hears it by sample, too.
  EXPECT_THAT(Subscriber(stub_.get(), Subscribe("STREAM", kComponents)).UntilSynced(), answering);
}

TEST_F(GnmiTest, ChangesOfStateAloneAreRefused) {
  Subscriber subscriber(stub_.get(), Subscribe("STREAM", kComponents, "mode: ON_CHANGE"));
  const grpc::Status status = subscriber.End();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("SAMPLE"));
  // Beside configuration, that is what changes are told of.
  Subscriber both(stub_.get(), Subscribe("STREAM", "elem { name: 'portolan-system:system' }",
                                         "mode: ON_CHANGE"));
  EXPECT_THAT(both.UntilSynced(), Not(Contains(Pair(kAnswering, "true"))));
}

TEST_F(GnmiTest, ASubscriptionThatCannotBeEndsWithItsReason) {
  const auto code = [&](const std::string& list) {
    return Subscriber(stub_.get(), list).End().error_code();
  };
  EXPECT_EQ(code("mode: ONCE"), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(Subscribe("ONCE", "elem { name: 'ipam' }")), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(Subscribe("STREAM", Priority("a"), "heartbeat_interval: 1 ")),
            grpc::StatusCode::UNIMPLEMENTED);
  Subscriber twice(stub_.get(), Subscribe("STREAM", Priority("a")));
  twice.Send("poll {}");
  EXPECT_EQ(twice.End().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(GnmiTest, AStreamEndsWithTheProcess) {
  Subscriber subscriber(stub_.get(), Subscribe("STREAM", Priority("a")));
  EXPECT_EQ(subscriber.UntilSynced().size(), 1u);
  process_.reset();
  EXPECT_FALSE(subscriber.End().ok());
}

}  // namespace
}  // namespace portolan::config
