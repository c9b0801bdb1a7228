// Who wrote what, over real sockets: files, operators and Kubernetes side by side.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "services/config-service/shell/service.h"
#include "services/config-service/shell/service_harness.h"

namespace portolan::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using v1alpha1::EditResponse;

std::string PathOf(const std::string& pool) {
  return absl::StrCat("/portolan-ipam:ipam/pools/pool[name='", pool, "']");
}

std::string Pool1(const std::string& name, const std::string& cidr) {
  return absl::StrCat(R"({"name": ")", name, R"(", "blocks": {"block": [{"id": "a", "cidr": ")",
                      cidr, R"("}]}})");
}

std::string Pools(const std::string& pools) {
  return absl::StrCat(R"({"portolan-ipam:ipam": {"pools": {"pool": [)", pools, "]}}}");
}

class OwnersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/portolan-config-XXXXXX";  // a socket path is at most 107 bytes
    directory_ = mkdtemp(pattern.data());
    file_ = directory_ + "/portolan.json";
    WriteFile(Pools(Pool1("of-file", "20.0.1.0/24")));
    Start();
  }
  void TearDown() override {
    process_.reset();
    std::filesystem::remove_all(directory_);
  }
  void Start() {
    process_.reset();
    process_ = std::make_unique<Process>(directory_, file_, nullptr);
    ASSERT_TRUE(process_->started.ok()) << process_->started;
  }
  void WriteFile(const std::string& text) { std::ofstream(file_) << text; }
  // Until the file has its answer: a commit, or a refusal.
  std::string Reload() {
    World world(*process_);
    const auto status = [&] {
      const auto it = world.statuses.find("config//configuration/" + file_);
      return it == world.statuses.end() ? std::string() : it->second.ShortDebugString();
    };
    EXPECT_TRUE(world.Until([&] { return !status().empty(); }));
    const std::string before = status();
    process_->Reload();
    EXPECT_TRUE(world.Until([&] { return status() != before; }));
    return status();
  }
  static v1alpha1::EditRequest Merge(const std::string& data, v1alpha1::Writer writer,
                                     bool take_over = false) {
    v1alpha1::EditRequest request;
    request.set_operation(v1alpha1::EDIT_OPERATION_MERGE);
    request.set_data(data);
    request.set_writer(writer);
    request.set_take_over(take_over);
    return request;
  }
  std::map<std::string, v1alpha1::Writer> Owners() {
    v1alpha1::GetRequest request;
    request.set_owners(true);
    v1alpha1::GetResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(process_->stub->Get(&context, request, &response).ok());
    std::map<std::string, v1alpha1::Writer> owners;
    for (const auto& entry : response.owners()) owners[entry.path()] = entry.owner();
    return owners;
  }

  std::string directory_, file_;
  std::unique_ptr<Process> process_;
};

TEST_F(OwnersTest, AnOperatorIsRefusedWhatTheFileWroteAndToldWhatToDo) {
  const EditResponse response = process_->Merge(Pools(Pool1("of-file", "20.0.0.0/16")));
  ASSERT_EQ(response.problems_size(), 1);
  EXPECT_EQ(response.problems(0).rule(), "owned");
  EXPECT_EQ(response.problems(0).path(), PathOf("of-file"));
  EXPECT_THAT(response.problems(0).message(), HasSubstr("the configuration file"));
  EXPECT_THAT(response.problems(0).remedy(), HasSubstr("--take-over"));
  EXPECT_EQ(process_->Delete(PathOf("of-file")).problems(0).rule(), "owned");
  EXPECT_THAT(process_->Get().data(), HasSubstr("20.0.1.0/24"));
}

TEST_F(OwnersTest, WhatIsTakenOverBelongsToTheOneWhoTookItAlsoAfterARestart) {
  EXPECT_EQ(process_
                ->Send(Merge(Pools(Pool1("of-file", "20.0.0.0/16")), v1alpha1::WRITER_OPERATOR,
                             /*take_over=*/true))
                .problems_size(),
            0);
  const auto mine = ElementsAre(Pair(PathOf("of-file"), v1alpha1::WRITER_OPERATOR));
  EXPECT_THAT(Owners(), mine);
  Start();
  EXPECT_THAT(Owners(), mine);
  // The file says something else of it than the operator.
  EXPECT_THAT(Reload(), HasSubstr("it belongs to operators"));
  EXPECT_THAT(process_->Get().data(), HasSubstr("20.0.0.0/16"));
}

TEST_F(OwnersTest, AReloadOfTheFileLeavesWhatOthersMade) {
  EXPECT_EQ(process_->Merge(Pools(Pool1("mine", "20.0.2.0/24"))).problems_size(), 0);
  EXPECT_EQ(process_->Send(Merge(Pools(Pool1("of-kube", "20.0.3.0/24")), v1alpha1::WRITER_KUBE))
                .problems_size(),
            0);
  WriteFile(Pools(Pool1("of-file-2", "20.0.4.0/24")));
  Reload();
  EXPECT_THAT(Owners(), ElementsAre(Pair(PathOf("mine"), v1alpha1::WRITER_OPERATOR),
                                    Pair(PathOf("of-file-2"), v1alpha1::WRITER_FILE),
                                    Pair(PathOf("of-kube"), v1alpha1::WRITER_KUBE)));
  // And the other way round.
  const EditResponse replaced = process_->Replace("{}");
  EXPECT_EQ(replaced.problems_size(), 0);
  EXPECT_THAT(replaced.warnings(0), HasSubstr("2 entries of other writers stay"));
  EXPECT_THAT(Owners(), ElementsAre(Pair(PathOf("of-file-2"), v1alpha1::WRITER_FILE),
                                    Pair(PathOf("of-kube"), v1alpha1::WRITER_KUBE)));
}

TEST_F(OwnersTest, AnEditOfOneSubtreeDoesNotDisturbAnother) {
  World world(*process_);
  ASSERT_TRUE(world.Until([&] { return world.pools.contains("of-file"); }));
  const std::string before = world.pools.at("of-file").SerializeAsString();
  const std::string statuses_before = world.statuses.begin()->second.SerializeAsString();
  EXPECT_EQ(process_->Merge(Pools(Pool1("mine", "20.0.2.0/24"))).problems_size(), 0);
  ASSERT_TRUE(world.Until([&] { return world.pools.contains("mine"); }));
  EXPECT_EQ(process_->Delete(PathOf("mine")).problems_size(), 0);
  ASSERT_TRUE(world.Until([&] { return !world.pools.contains("mine"); }));
  EXPECT_EQ(world.pools.at("of-file").SerializeAsString(), before);
  EXPECT_EQ(world.statuses.begin()->second.SerializeAsString(), statuses_before);
  EXPECT_THAT(Owners(), ElementsAre(Pair(PathOf("of-file"), v1alpha1::WRITER_FILE)));
}

TEST_F(OwnersTest, ARollbackBringsOwnersBack) {
  EXPECT_EQ(process_
                ->Send(Merge(Pools(Pool1("of-file", "20.0.0.0/16")), v1alpha1::WRITER_KUBE,
                             /*take_over=*/true))
                .problems_size(),
            0);
  v1alpha1::EditRequest rollback;
  rollback.set_operation(v1alpha1::EDIT_OPERATION_ROLLBACK);
  rollback.set_to_revision(1);
  EXPECT_EQ(process_->Send(rollback).problems_size(), 0);
  EXPECT_THAT(Owners(), ElementsAre(Pair(PathOf("of-file"), v1alpha1::WRITER_FILE)));
}

TEST_F(OwnersTest, NobodyMaySayThatHeIsTheFileAndKubernetesDoesNotRollBack) {
  const auto code = [&](v1alpha1::EditRequest request) {
    v1alpha1::EditResponse response;
    grpc::ClientContext context;
    return process_->stub->Apply(&context, request, &response).error_code();
  };
  EXPECT_EQ(code(Merge("{}", v1alpha1::WRITER_FILE)), grpc::StatusCode::INVALID_ARGUMENT);
  v1alpha1::EditRequest rollback;
  rollback.set_operation(v1alpha1::EDIT_OPERATION_ROLLBACK);
  rollback.set_to_revision(1);
  rollback.set_writer(v1alpha1::WRITER_KUBE);
  EXPECT_EQ(code(rollback), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace portolan::config
