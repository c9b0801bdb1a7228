// config-service over a real UNIX socket: what clients send, what readers see, what a restart
// finds.
#include "services/config-service/shell/service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "services/config-service/shell/fake_files.h"
#include "services/config-service/shell/service_harness.h"

namespace portolan::config {
namespace {

using status::v1alpha1::ObjectStatus;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using v1alpha1::EditRequest;
using v1alpha1::EditResponse;
using v1alpha1::GetResponse;

std::string Pool1(const std::string& name, const std::string& cidr) {
  return absl::StrCat(R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": ")", name,
                      R"(", "blocks": {"block": [{"id": "a", "cidr": ")", cidr, R"("}]}}]}}})");
}

std::string Service1(const std::string& name, int port) {
  return absl::StrCat(
      R"({"portolan-service:services": {"service": [{"namespace": "default", "name": ")", name,
      R"(", "port": [{"name": "http", "port": )", port,
      R"(}], "backend": [{"id": "1", "address": "10.0.0.1"}]}]}})");
}

class ServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/portolan-config-XXXXXX";  // a socket path is at most 107 bytes
    directory_ = mkdtemp(pattern.data());
    file_ = directory_ + "/portolan.json";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Process> Run(bool with_file = false, FakeFiles* files = nullptr) {
    return std::make_unique<Process>(directory_, with_file ? file_ : "", files);
  }
  void WriteFile(const std::string& text) { std::ofstream(file_) << text; }

  std::string directory_, file_;
};

TEST_F(ServiceTest, EditsReachReadersAndGet) {
  const auto process = Run();
  ASSERT_TRUE(process->started.ok()) << process->started;
  World world(*process);
  ASSERT_TRUE(world.Until([] { return true; }));
  EXPECT_TRUE(world.pools.empty());

  EXPECT_EQ(process->Merge(Pool1("primary", "20.0.10.0/24")).revision(), 1u);
  EXPECT_EQ(process->Merge(Service1("web", 80)).revision(), 2u);
  ASSERT_TRUE(world.Until([&] {
    return world.pools.size() == 1 && world.backends.size() == 1 &&
           world.intents.count("default/web") > 0;
  }));
  EXPECT_EQ(world.pools["primary"].blocks(0).last(), "20.0.10.255");
  EXPECT_EQ(world.intents["default/web"].generation(), 2u);
  EXPECT_EQ(world.backends["default/web"].backends(0).ports(0).port(), 80u);

  const GetResponse whole = process->Get();
  EXPECT_EQ(whole.revision(), 2u);
  EXPECT_THAT(whole.data(), AllOf(HasSubstr("primary"), HasSubstr("web")));
  EXPECT_THAT(process->Get("/portolan-ipam:ipam/pools/pool[name='primary']").data(),
              AllOf(HasSubstr("20.0.10.0/24"), Not(HasSubstr("web"))));

  EXPECT_EQ(process->Delete("/portolan-ipam:ipam/pools/pool[name='primary']").problems_size(), 0);
  EXPECT_TRUE(world.Until([&] { return world.pools.empty(); }));
}

TEST_F(ServiceTest, ReplaceTakesXmlAndForgetsTheRest) {
  const auto process = Run();
  process->Merge(Pool1("primary", "20.0.10.0/24"));
  EXPECT_EQ(process
                ->Replace("<services xmlns='urn:portolan:yang:portolan-service'><service>"
                          "<namespace>x</namespace><name>y</name><port><name>a</name>"
                          "<port>1</port></port></service></services>")
                .problems_size(),
            0);
  World world(*process);
  ASSERT_TRUE(world.Until([&] { return world.intents.count("x/y") > 0; }));
  EXPECT_TRUE(world.pools.empty());
}

TEST_F(ServiceTest, RefusedEditSaysAllAndChangesNothing) {
  const auto process = Run();
  process->Merge(Pool1("primary", "20.0.10.0/24"));
  const EditResponse overlap = process->Merge(Pool1("other", "20.0.10.0/25"));
  ASSERT_EQ(overlap.problems_size(), 1);
  EXPECT_EQ(overlap.problems(0).rule(), "pool-overlap");
  EXPECT_EQ(overlap.problems(0).source(), "edit");
  EXPECT_EQ(overlap.revision(), 1u);
  EXPECT_EQ(process->Merge("{\"portolan-ipam:ipam\": {\"colour\": 1}}").problems(0).rule(),
            "unknown-node");
  EXPECT_EQ(process->Delete("/portolan-ipam:ipam/pools/pool[name='x']").problems(0).rule(),
            "data-missing");
  EXPECT_EQ(process->Get().revision(), 1u);
  EXPECT_THAT(process->Get().data(), Not(HasSubstr("other")));
}

TEST_F(ServiceTest, CheckSaysTheSameAndChangesNothing) {
  const auto process = Run();
  EXPECT_EQ(process->Edit(v1alpha1::EDIT_OPERATION_MERGE, Pool1("p", "20.0.0.0/24"), true)
                .problems_size(),
            0);
  EXPECT_EQ(process->Edit(v1alpha1::EDIT_OPERATION_MERGE, Pool1("p", "20.0.0.1/24"), true)
                .problems(0)
                .rule(),
            "cidr");
  EXPECT_EQ(process->Get().data(), "{}\n");
  EXPECT_EQ(process->Get().revision(), 0u);
}

TEST_F(ServiceTest, WrongCallsAreSaidSo) {
  const auto process = Run();
  grpc::ClientContext edit_context;
  EditResponse response;
  EXPECT_EQ(process->stub->Apply(&edit_context, EditRequest(), &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  grpc::ClientContext get_context;
  v1alpha1::GetRequest request;
  request.set_path("/a[");
  GetResponse got;
  EXPECT_EQ(process->stub->Get(&get_context, request, &got).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServiceTest, RestartKeepsConfigurationRevisionAndGenerations) {
  {
    const auto process = Run();
    process->Merge(Service1("a", 80));
    process->Merge(Service1("b", 80));
    process->Merge(Pool1("p", "20.0.0.0/24"));
  }
  const auto process = Run();
  ASSERT_TRUE(process->started.ok()) << process->started;
  EXPECT_EQ(process->Get().revision(), 3u);
  World world(*process);
  ASSERT_TRUE(world.Until([&] { return world.intents.size() == 2; }));
  EXPECT_EQ(world.intents["default/a"].generation(), 1u);
  EXPECT_EQ(world.intents["default/b"].generation(), 2u);
  process->Merge(Service1("a", 81));
  EXPECT_TRUE(world.Until([&] { return world.intents["default/a"].generation() == 4; }));
}

TEST_F(ServiceTest, FileIsLoadedOnceAndAgainWhenItChangesAndLaterCommitsStand) {
  WriteFile(Pool1("p", "20.0.0.0/24"));
  {
    const auto process = Run(true);
    ASSERT_TRUE(process->started.ok()) << process->started;
    EXPECT_THAT(process->Get().data(), HasSubstr("20.0.0.0/24"));
    process->Merge(Pool1("later", "20.0.1.0/24"));
  }
  {
    const auto process = Run(true);
    EXPECT_THAT(process->Get().data(), HasSubstr("later"));
  }
  WriteFile(Pool1("changed", "20.0.2.0/24"));
  const auto process = Run(true);
  EXPECT_THAT(process->Get().data(), AllOf(HasSubstr("changed"), HasSubstr("later")));
  World world(*process);
  const std::string key = "config//configuration/" + file_;
  ASSERT_TRUE(world.Until([&] { return world.statuses.count(key) > 0; }));
  EXPECT_EQ(world.statuses[key].state(), status::v1alpha1::STATE_READY);
}

TEST_F(ServiceTest, BadFileWithoutAnythingBeforeStopsTheStart) {
  WriteFile(
      "{\"portolan-ipam:ipam\": {\"pools\": {\"pool\": [\n{\"name\": \"p\", \"colour\": 1}]}}}");
  const auto process = Run(true);
  EXPECT_EQ(process->started.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(process->started.message()),
              AllOf(HasSubstr(file_ + ":2"), HasSubstr("/portolan-ipam:ipam/pools/pool[name='p']"),
                    HasSubstr("[unknown-node]"), HasSubstr("remedy: remove it")));
}

TEST_F(ServiceTest, MissingFileWithoutAnythingBeforeStopsTheStart) {
  const auto process = Run(true);
  EXPECT_THAT(std::string(process->started.message()),
              AllOf(HasSubstr(file_), HasSubstr("No such file"), HasSubstr("remedy")));
}

TEST_F(ServiceTest, BadFileKeepsTheLastGoodConfigurationAndSaysSo) {
  WriteFile(Pool1("p", "20.0.0.0/24"));
  Run(true);
  WriteFile(Pool1("p", "20.0.0.1/24"));
  const auto process = Run(true);
  ASSERT_TRUE(process->started.ok()) << process->started;
  EXPECT_THAT(process->Get().data(), HasSubstr("20.0.0.0/24"));
  World world(*process);
  const std::string key = "config//configuration/" + file_;
  ASSERT_TRUE(world.Until([&] { return world.statuses.count(key) > 0; }));
  const ObjectStatus& status = world.statuses[key];
  EXPECT_EQ(status.state(), status::v1alpha1::STATE_REJECTED);
  EXPECT_EQ(status.reason(), "cidr");
  EXPECT_THAT(status.message(), HasSubstr("revision 1 stays in force"));
  ASSERT_EQ(status.findings_size(), 1);
  EXPECT_THAT(status.findings(0).subject(),
              AllOf(HasSubstr(file_), HasSubstr("/portolan-ipam:ipam/pools/pool[name='p']")));
  EXPECT_EQ(status.findings(0).reason(), "cidr");
}

TEST_F(ServiceTest, ReloadTakesTheFileAgainOrSaysWhyNot) {
  WriteFile(Pool1("p", "20.0.0.0/24"));
  const auto process = Run(true);
  World world(*process);
  const std::string key = "config//configuration/" + file_;
  ASSERT_TRUE(world.Until([&] { return world.statuses.count(key) > 0; }));

  WriteFile(Pool1("q", "20.0.9.0/24"));
  process->Reload();
  ASSERT_TRUE(world.Until([&] { return world.pools.count("q") > 0 && world.pools.size() == 1; }));

  WriteFile("{");
  process->Reload();
  ASSERT_TRUE(
      world.Until([&] { return world.statuses[key].state() == status::v1alpha1::STATE_REJECTED; }));
  EXPECT_EQ(world.pools.count("q"), 1u);

  WriteFile(Pool1("r", "20.0.9.0/24"));
  process->Reload();
  ASSERT_TRUE(world.Until([&] {
    return world.statuses[key].state() == status::v1alpha1::STATE_READY &&
           world.pools.count("r") > 0;
  }));
}

TEST_F(ServiceTest, FullDiskRefusesTheEditAndTheNextOneGoesOn) {
  FakeFiles files;
  const auto process = Run(false, &files);
  process->Merge(Pool1("p", "20.0.0.0/24"));
  files.fail_from = files.operations();
  const EditResponse full = process->Merge(Pool1("q", "20.0.1.0/24"));
  ASSERT_EQ(full.problems_size(), 1);
  EXPECT_EQ(full.problems(0).rule(), "journal");
  EXPECT_THAT(full.problems(0).message(), HasSubstr("No space left on device"));
  EXPECT_EQ(full.revision(), 1u);
  EXPECT_THAT(process->Get().data(), Not(HasSubstr("20.0.1.0")));
  files.fail_from.reset();
  World world(*process);
  ASSERT_TRUE(world.Until([&] { return world.pools.size() == 1; }));
  EXPECT_EQ(process->Merge(Pool1("q", "20.0.1.0/24")).revision(), 2u);
  EXPECT_TRUE(world.Until([&] { return world.pools.size() == 2; }));
}

TEST_F(ServiceTest, DeathAtAnyStepOfACommitIsBeforeOrAfter) {
  for (int step = 0; step < 4; ++step) {
    FakeFiles files;
    {
      const auto process = Run(false, &files);
      process->Merge(Service1("web", 80));
      files.die_at = files.operations() + step;
      process->Merge(Service1("web", 81));
      ASSERT_TRUE(files.dead());
    }
    for (FakeFiles found : {files.AfterKill(), files.AfterPowerCut()}) {
      const auto process = Run(false, &found);
      ASSERT_TRUE(process->started.ok()) << process->started;
      World world(*process);
      ASSERT_TRUE(world.Until([&] { return world.intents.size() == 1; }));
      const auto& intent = world.intents["default/web"];
      EXPECT_THAT(std::make_pair(intent.ports(0).port(), intent.generation()),
                  AnyOf(std::make_pair(80u, uint64_t{1}), std::make_pair(81u, uint64_t{2})));
      EXPECT_EQ(process->Get().revision(), intent.generation());
    }
  }
}

TEST_F(ServiceTest, DamagedJournalStopsTheStartWithTheRemedy) {
  std::ofstream(directory_ + "/running.json") << "{ half";
  const auto process = Run();
  EXPECT_EQ(process->started.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(process->started.message()), HasSubstr("restore it from a backup"));
}

TEST_F(ServiceTest, JournalOfANewerModelStopsTheStartWithTheRemedy) {
  std::ofstream(directory_ + "/running.json")
      << R"({"version": 1, "revision": 3, "loaded-file": "", "generations": {},
             "configuration": {"portolan-ipam:ipam": {"future": 1}}})";
  const auto process = Run();
  EXPECT_THAT(std::string(process->started.message()),
              AllOf(HasSubstr("start the one that wrote it"), HasSubstr("future")));
}

TEST_F(ServiceTest, SecondProcessOnTheSameStateIsRefused) {
  const auto process = Run();
  ASSERT_TRUE(process->started.ok());
  const auto lock = DirectoryLock::Take(directory_);
  EXPECT_EQ(lock.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ServiceTest, EditsOfManyClientsAllArrive) {
  const auto process = Run();
  constexpr int kClients = 16;
  std::vector<std::thread> clients;
  clients.reserve(kClients);
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&, i] {
      EXPECT_EQ(process->Merge(Pool1(absl::StrCat("p", i), absl::StrCat("20.0.", i, ".0/24")))
                    .problems_size(),
                0);
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(process->Get().revision(), 16u);
  World world(*process);
  EXPECT_TRUE(world.Until([&] { return world.pools.size() == 16; }));
}

TEST_F(ServiceTest, CallsUnderWayEndWhenTheProcessStops) {
  auto process = Run();
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientAsyncResponseReader<EditResponse>>> calls;
  std::vector<EditResponse> responses(32);
  std::vector<grpc::Status> statuses(32);
  grpc::CompletionQueue queue;
  for (size_t i = 0; i < responses.size(); ++i) {
    EditRequest request;
    request.set_operation(v1alpha1::EDIT_OPERATION_MERGE);
    request.set_data(Pool1(absl::StrCat("p", i), absl::StrCat("20.0.", i, ".0/24")));
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    calls.push_back(process->stub->AsyncApply(contexts.back().get(), request, &queue));
    calls.back()->Finish(&responses[i], &statuses[i], nullptr);
  }
  process.reset();
  void* tag = nullptr;
  bool ok = false;
  for (size_t i = 0; i < responses.size(); ++i) ASSERT_TRUE(queue.Next(&tag, &ok));
  // Whoever was told yes finds it again.
  process = Run();
  const std::string data = process->Get().data();
  for (size_t i = 0; i < responses.size(); ++i) {
    if (statuses[i].ok() && responses[i].problems_size() == 0) {
      EXPECT_THAT(data, HasSubstr(absl::StrCat("\"p", i, "\"")));
    }
  }
}

}  // namespace
}  // namespace portolan::config
