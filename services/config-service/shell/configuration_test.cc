#include "services/config-service/shell/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "services/config-service/core/diff.h"
#include "services/config-service/shell/model.h"
#include "services/config-service/shell/problems.h"

namespace portolan::config {
namespace {

using ::testing::IsEmpty;

constexpr char kEveryLeaf[] = "services/config-service/testdata/every-leaf.json";

const Model& TheModel() {
  static const auto model = Model::Create().value();
  return *model;
}

Configuration Load(const std::string& text) {
  Prepared prepared = TheModel().Replace(text, yang::Format::kJson, "test");
  EXPECT_TRUE(prepared.candidate.has_value()) << ToText(prepared.problems);
  return *std::move(prepared.candidate);
}

std::string Everything() {
  std::ifstream in(kEveryLeaf);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string Text(const yang::Tree& tree) {
  return tree.Print(yang::Format::kJson, yang::Defaults::kAll);
}

// Services s0 to s3 of the pools p0 and p1; s2 refers to none.
constexpr char kServices[] = R"({
  "portolan-ipam:ipam": {"pools": {"pool": [
    {"name": "p0", "blocks": {"block": [{"id": "a", "cidr": "20.0.0.0/24"}]}},
    {"name": "p1", "blocks": {"block": [{"id": "a", "cidr": "20.0.1.0/24"}]}}]}},
  "portolan-service:services": {"namespace": [{"name": "d"}], "service": [
    {"namespace": "d", "name": "s0", "port": [{"name": "a", "port": 80}], "requested-pool": "p0"},
    {"namespace": "d", "name": "s1", "port": [{"name": "a", "port": 80}], "requested-pool": "p0"},
    {"namespace": "d", "name": "s2", "port": [{"name": "a", "port": 80}]},
    {"namespace": "d", "name": "s3", "port": [{"name": "a", "port": 80}],
     "requested-pool": "p1"}]}})";

TEST(ConfigurationTest, ItsTextIsItself) {
  for (const std::string& text : {Everything(), std::string(kServices), std::string("{}")}) {
    const Configuration configuration = Load(text);
    const Configuration again = Load(configuration.ToJson());
    EXPECT_EQ(Text(again.ToTree()), Text(configuration.ToTree()));
    EXPECT_EQ(again.snapshot(), configuration.snapshot());
    EXPECT_THAT(Compare(configuration, again, 10).differences, IsEmpty());
  }
}

class Merges : public testing::TestWithParam<const char*> {};

// Merging into the parts that the edit names is merging into everything.
TEST_P(Merges, TouchNothingElse) {
  const Configuration running = Load(kServices);
  const Prepared merged = TheModel().Merge(running, GetParam(), yang::Format::kJson, "");
  ASSERT_TRUE(merged.candidate.has_value()) << ToText(merged.problems);
  yang::Tree whole = running.ToTree();
  std::vector<yang::Finding> findings;
  const auto edit = yang::Tree::Parse(whole.context(), GetParam(), yang::Format::kJson, &findings);
  ASSERT_TRUE(whole.Merge(*edit).ok());
  ASSERT_THAT(whole.Validate(), IsEmpty());
  const Configuration expected = Configuration::Of(std::move(whole));
  EXPECT_THAT(Compare(*merged.candidate, expected, 10).differences, IsEmpty());
  EXPECT_EQ(merged.candidate->snapshot(), expected.snapshot());
  // What it did not name is shared, not copied.
  for (const std::string& key : running.ServiceKeys()) {
    const bool same =
        *running.snapshot().services.at(key) == *merged.candidate->snapshot().services.at(key);
    EXPECT_EQ(running.service(key) == merged.candidate->service(key), same) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Configuration, Merges,
    testing::Values(
        R"({"portolan-service:services": {"service": [{"namespace": "d", "name": "s1",
            "requested-pool": "p1"}]}})",
        R"({"portolan-service:services": {"service": [{"namespace": "d", "name": "new",
            "port": [{"name": "a", "port": 80}]}]}})",
        R"({"portolan-service:services": {"namespace": [{"name": "e"}]}})",
        R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "p0", "priority": 7}]}}})",
        R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "p2"}]}},
            "portolan-service:services": {"service": [{"namespace": "d", "name": "s1",
            "requested-pool": "p2"}]}})"));

struct Refusal {
  const char* path;
  const char* edit;  // empty: the path is deleted
  const char* rule;
};

class Refusals : public testing::TestWithParam<Refusal> {};

// What an edit breaks elsewhere is found although nothing else is looked at.
TEST_P(Refusals, NameWhatWouldBreak) {
  const Refusal& refusal = GetParam();
  const Configuration running = Load(kServices);
  const Prepared prepared = std::string(refusal.edit).empty()
                                ? TheModel().Delete(running, refusal.path)
                                : TheModel().Merge(running, refusal.edit, yang::Format::kJson, "");
  ASSERT_FALSE(prepared.candidate.has_value());
  EXPECT_EQ(prepared.problems.front().rule, refusal.rule);
  EXPECT_THAT(Compare(running, Load(kServices), 10).differences, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Configuration, Refusals,
    testing::Values(
        Refusal{"/portolan-ipam:ipam/pools/pool[name='p0']", "", "instance-required"},
        Refusal{"/portolan-ipam:ipam/pools/pool[name='p1']", "", "instance-required"},
        Refusal{"/portolan-ipam:ipam/pools", "", "instance-required"},
        Refusal{"/portolan-ipam:ipam/pools/pool[name='none']", "", "data-missing"},
        Refusal{"/portolan-service:services/service[namespace='d'][name='none']", "",
                "data-missing"},
        Refusal{"/portolan-service:services/service[namespace='d'][name='s0']/port", "",
                "too-few-elements"},
        Refusal{"", R"({"portolan-service:services": {"service": [{"namespace": "d", "name": "s0",
            "requested-pool": "none"}]}})",
                "instance-required"},
        Refusal{"", R"({"portolan-service:services": {"service": [{"namespace": "d",
            "name": "new"}]}})",
                "too-few-elements"}));

TEST(ConfigurationTest, PoolThatNobodyRefersToCanGo) {
  const Configuration running = Load(kServices);
  const Prepared freed =
      TheModel().Delete(running, "/portolan-service:services/service[namespace='d'][name='s3']");
  ASSERT_TRUE(freed.candidate.has_value()) << ToText(freed.problems);
  EXPECT_EQ(freed.candidate->service("d/s3"), nullptr);
  const Prepared gone =
      TheModel().Delete(*freed.candidate, "/portolan-ipam:ipam/pools/pool[name='p1']");
  ASSERT_TRUE(gone.candidate.has_value()) << ToText(gone.problems);
  const std::vector<Change> changes = Diff(running.snapshot(), gone.candidate->snapshot());
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].key, "p1");
  EXPECT_EQ(changes[1].key, "d/s3");
}

TEST(ConfigurationTest, WhatTwoDraftsDoNotShareIsWhereTheyCanDiffer) {
  const Draft before{Load(kServices)};
  EXPECT_FALSE(before.ChangedFrom(before).rest);
  EXPECT_THAT(before.ChangedFrom(before).keys, IsEmpty());
  const auto edited = [&](const char* json) {
    Edited edit =
        TheModel().ApplyOperations(before, json, yang::Format::kJson, yang::Operation::kMerge);
    EXPECT_TRUE(edit.draft.has_value());
    return *std::move(edit.draft);
  };
  const Draft service = edited(R"({"portolan-service:services": {"service": [{"namespace": "d",
      "name": "s1", "requested-pool": "p1"}, {"namespace": "d", "name": "new"}]}})");
  EXPECT_EQ(service.ChangedFrom(before).keys, (std::set<std::string>{"d/new", "d/s1"}));
  EXPECT_EQ(before.ChangedFrom(service).keys, (std::set<std::string>{"d/new", "d/s1"}));
  EXPECT_FALSE(service.ChangedFrom(before).rest);
  const Draft pool =
      edited(R"({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "p0", "priority": 7}]}}})");
  EXPECT_TRUE(pool.ChangedFrom(before).rest);
  EXPECT_THAT(pool.ChangedFrom(before).keys, IsEmpty());
  const Draft other{Load(kServices)};
  EXPECT_EQ(other.ChangedFrom(before).keys.size(), 4u) << "nothing is shared";
}

struct Scope {
  const char* path;
  bool everything;
  bool rest;
  const char* service;  // null: none
};

class Scopes : public testing::TestWithParam<Scope> {};

TEST_P(Scopes, OfAPathIsNoLessThanWhatItCanSelect) {
  const yang::Touched scope = ScopeOf(GetParam().path);
  EXPECT_EQ(scope.everything, GetParam().everything);
  EXPECT_EQ(scope.rest, GetParam().rest);
  EXPECT_EQ(scope.keys, GetParam().service == nullptr
                            ? std::set<std::string>()
                            : std::set<std::string>({GetParam().service}));
}

constexpr char kOneService[] = "/portolan-service:services/service[namespace='d'][name='s1']";
INSTANTIATE_TEST_SUITE_P(
    Configuration, Scopes,
    testing::Values(
        Scope{kOneService, false, false, "d/s1"},
        Scope{
            "/portolan-service:services/portolan-service:service[name=\"s1\"][namespace='d']/port",
            false, false, "d/s1"},
        Scope{"/portolan-service:services/service[namespace='d'][name='s1'][1]", true, false,
              nullptr},
        Scope{"/portolan-service:services/service[namespace='d']", true, false, nullptr},
        Scope{"/portolan-service:services/service", true, false, nullptr},
        Scope{"/portolan-service:services", true, false, nullptr},
        Scope{"/portolan-service:services/namespace[name='d']", false, true, nullptr},
        Scope{"/portolan-service:services/*", true, false, nullptr},
        Scope{"/portolan-ipam:ipam/pools/pool[name='p']", false, true, nullptr},
        Scope{"/portolan-ipam:ipam/..", true, false, nullptr},
        Scope{"/portolan-ipam:ipam | /portolan-service:services", true, false, nullptr},
        Scope{"/portolan-ipam:ipam/pools/pool[name=/portolan-service:services/service/name]", true,
              false, nullptr},
        Scope{"//service", true, false, nullptr}, Scope{"", true, false, nullptr},
        Scope{"count(/portolan-ipam:ipam)", true, false, nullptr},
        Scope{"/portolan-ipam:ipam/text()", true, false, nullptr},
        Scope{"/", true, false, nullptr}));

TEST(ConfigurationTest, SelectsTheSameAsTheWholeTree) {
  const Configuration running = Load(kServices);
  for (const char* path :
       {"/portolan-service:services/service[namespace='d'][name='s1']",
        "/portolan-service:services/service[name='s1'][namespace='d']/port",
        "/portolan-service:services/service[namespace='d'][name='none']",
        "/portolan-service:services/service[namespace='d']", "/portolan-service:services",
        "/portolan-service:services/namespace", "/portolan-ipam:ipam/pools/pool[name='p1']",
        "//service[name='s3']", "/portolan-service:services/service[2]",
        "/portolan-service:services/*", "/portolan-ipam:ipam/../portolan-service:services",
        "/portolan-ipam:ipam | /portolan-service:services/service[name='s0']"}) {
    const auto selected = running.Select(path);
    ASSERT_TRUE(selected.ok()) << selected.status();
    EXPECT_EQ(Text(*selected), Text(*running.ToTree().Select(path))) << path;
  }
  EXPECT_FALSE(running.Select("/portolan-service:services/service[").ok());
}

}  // namespace
}  // namespace portolan::config
