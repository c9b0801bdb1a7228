// The matrix of access: users x operations x nodes, on our own modules. Each row is a test.
#include "services/config-service/shell/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/config-service/shell/model.h"

namespace portolan::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const Model& TheModel() {
  static const std::shared_ptr<const Model> model = Model::Create().value();
  return *model;
}

Configuration Load(const std::string& json) {
  Prepared prepared = TheModel().Replace(json, yang::Format::kJson, "");
  EXPECT_TRUE(prepared.candidate.has_value())
      << (prepared.problems.empty() ? "" : prepared.problems[0].message);
  return *std::move(prepared.candidate);
}

yang::Tree Valid(const std::string& json) { return Load(json).ToTree(); }

constexpr char kData[] = R"({
  "portolan-ipam:ipam": {"pools": {"pool": [{"name": "a", "priority": 1}, {"name": "b"}]}},
  "portolan-datapath:datapath": {"interfaces": {"interface": [{"name": "eth0"}]}},
  "portolan-bgp:bgp": {"instances": {"instance": [{"name": "i", "local-as": 65000, "peers": {"peer": [
    {"name": "tor", "address": "10.0.0.1", "remote-as": 65001, "password": "secret"}]}}]}},
  "portolan-service:services": {"service": [
    {"namespace": "shop", "name": "web", "port": [{"name": "http", "port": 80}]},
    {"namespace": "bank", "name": "web", "port": [{"name": "http", "port": 80}]}]}
})";

// Of the matrix: admin may all, net what concerns routing, shop its Service, guest reads a bit.
constexpr char kRules[] = R"("ietf-netconf-acm:nacm": {
  "groups": {"group": [
    {"name": "admin", "user-name": ["alice"]}, {"name": "net", "user-name": ["nina"]},
    {"name": "shop", "user-name": ["sam"]}, {"name": "guest", "user-name": ["greta"]}]},
  "rule-list": [
    {"name": "admin", "group": ["admin"], "rule": [{"name": "all", "action": "permit"}]},
    {"name": "net", "group": ["net"], "rule": [
      {"name": "no-kill", "module-name": "ietf-netconf", "rpc-name": "kill-session", "action": "permit"},
      {"name": "secrets", "path": "/portolan-bgp:bgp/instances/instance/peers/peer/password",
       "access-operations": "read", "action": "deny"},
      {"name": "bgp", "path": "/portolan-bgp:bgp", "action": "permit"},
      {"name": "pools", "module-name": "portolan-ipam", "access-operations": "create update",
       "action": "permit"}]},
    {"name": "shop", "group": ["shop"], "rule": [
      {"name": "own", "path": "/portolan-service:services/service[namespace='shop'][name='web']",
       "action": "permit"},
      {"name": "others", "path": "/portolan-service:services/service", "action": "deny"}]},
    {"name": "guest", "group": ["guest"], "rule": [
      {"name": "no-edit", "rpc-name": "edit-config", "action": "deny"},
      {"name": "no-news", "notification-name": "netconf-config-change", "action": "deny"},
      {"name": "no-name", "path": "/portolan-datapath:datapath/interfaces/interface/name",
       "action": "deny"},
      {"name": "pool-b", "path": "/portolan-ipam:ipam/pools/pool[name='b']", "action": "deny"},
      {"name": "services", "module-name": "portolan-service", "access-operations": "read",
       "action": "deny"}]}]}
)";

std::string WithRules(const std::string& rules) {
  std::string text = kData;
  return text.insert(text.find('{') + 1, absl::StrCat(rules, ","));
}

class AccessTest : public ::testing::Test {
 protected:
  AccessTest() { access_.Load(Valid(WithRules(kRules))); }
  Access access_;
};

// ---- reading ----

struct ReadRow {
  const char* name;
  Subject subject;
  const char* path;  // XPath into the data with its rules
  bool readable;
};

class ReadMatrix : public AccessTest, public ::testing::WithParamInterface<ReadRow> {};

TEST_P(ReadMatrix, Holds) {
  yang::Tree tree = Valid(WithRules(kRules));
  ASSERT_TRUE(tree.Select(GetParam().path)->first()) << "the row names nothing";
  access_.FilterRead(GetParam().subject, &tree);
  EXPECT_EQ(static_cast<bool>(tree.Select(GetParam().path)->first()), GetParam().readable);
}

constexpr char kPassword[] = "/portolan-bgp:bgp/instances/instance/peers/peer/password";
constexpr char kPeer[] = "/portolan-bgp:bgp/instances/instance/peers/peer";
constexpr char kPoolB[] = "/portolan-ipam:ipam/pools/pool[name='b']";
constexpr char kPoolA[] = "/portolan-ipam:ipam/pools/pool[name='a']/priority";
constexpr char kInterface[] = "/portolan-datapath:datapath/interfaces/interface";
constexpr char kShop[] = "/portolan-service:services/service[namespace='shop']";
constexpr char kBank[] = "/portolan-service:services/service[namespace='bank']";
constexpr char kNacm[] = "/ietf-netconf-acm:nacm";

INSTANTIATE_TEST_SUITE_P(
    Nacm, ReadMatrix,
    ::testing::ValuesIn(std::vector<ReadRow>{
        {"RecoveryReadsThePassword", {.user = "root", .recovery = true}, kPassword, true},
        {"RecoveryReadsTheRules", {.user = "root", .recovery = true}, kNacm, true},
        {"AdminReadsThePassword", {.user = "alice"}, kPassword, true},
        {"AdminReadsTheRules", {.user = "alice"}, kNacm, true},
        {"ADeniedLeafIsLeftOut", {.user = "nina"}, kPassword, false},
        {"TheRestOfItsEntryIsNot", {.user = "nina"}, kPeer, true},
        {"RulesAreDeniedByDefault", {.user = "nina"}, kNacm, false},
        {"ASecretIsDeniedByDefault", {.user = "sam"}, kPassword, false},
        {"WhatNoRuleNamesIsRead", {.user = "sam"}, kPoolB, true},
        {"OnesOwnEntryIsRead", {.user = "sam"}, kShop, true},
        {"TheEntriesOfOthersAreLeftOut", {.user = "sam"}, kBank, false},
        {"ADeniedEntryIsLeftOut", {.user = "greta"}, kPoolB, false},
        {"ItsNeighbourIsNot", {.user = "greta"}, kPoolA, true},
        {"AModuleIsLeftOut", {.user = "greta"}, kShop, false},
        {"AnEntryWhoseKeyIsDeniedIsLeftOut", {.user = "greta"}, kInterface, false},
        {"AStrangerReadsByDefault", {.user = "eve"}, kPoolB, true},
        {"AStrangerReadsNoSecret", {.user = "eve"}, kPassword, false},
        {"AGroupOfTheTransportCounts",
         {.user = "eve", .external_groups = {"admin"}},
         kPassword,
         true},
    }),
    [](const auto& row) { return row.param.name; });

// ---- writing ----

struct WriteRow {
  const char* name;
  Subject subject;
  const char* path;    // what is deleted, or empty
  const char* edit;    // what is merged, JSON without its braces, or empty
  const char* denied;  // path of the error; null: permitted
};

class WriteMatrix : public AccessTest, public ::testing::WithParamInterface<WriteRow> {};

TEST_P(WriteMatrix, Holds) {
  const WriteRow& row = GetParam();
  const Configuration running = Load(WithRules(kRules));
  const yang::Tree before = running.ToTree();
  Prepared prepared =
      *row.path != '\0'
          ? TheModel().Delete(running, row.path)
          : TheModel().Merge(running, absl::StrCat("{", row.edit, "}"), yang::Format::kJson, "");
  ASSERT_TRUE(prepared.candidate.has_value()) << prepared.problems[0].message;
  const RpcErrors errors = access_.CheckWrite(row.subject, before, prepared.candidate->ToTree());
  if (row.denied == nullptr) {
    EXPECT_THAT(errors, IsEmpty());
    EXPECT_EQ(access_.counters().denied_data_writes, 0u);
    return;
  }
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].tag, "access-denied");
  EXPECT_EQ(errors[0].path, row.denied);
  EXPECT_THAT(errors[0].message, HasSubstr(absl::StrCat("\"", row.subject.user, "\"")));
  EXPECT_EQ(access_.counters().denied_data_writes, 1u);
}

constexpr char kNewPool[] = R"("portolan-ipam:ipam": {"pools": {"pool": [{"name": "c"}]}})";
constexpr char kPriority[] =
    R"("portolan-ipam:ipam": {"pools": {"pool": [{"name": "a", "priority": 7}]}})";
constexpr char kNewPassword[] = R"("portolan-bgp:bgp": {"instances": {"instance": [{"name": "i",
    "peers": {"peer": [{"name": "tor", "password": "other"}]}}]}})";
constexpr char kMode[] = R"("portolan-datapath:datapath": {"interfaces": {"interface": [
    {"name": "eth0", "mode": "tc"}]}})";
constexpr char kFlows[] = R"("portolan-datapath:datapath": {"settings": {"max-flows": 2048}})";
constexpr char kShopPort[] = R"("portolan-service:services": {"service": [
    {"namespace": "shop", "name": "web", "port": [{"name": "http", "port": 81}]}]})";
constexpr char kBankPort[] = R"("portolan-service:services": {"service": [
    {"namespace": "bank", "name": "web", "port": [{"name": "http", "port": 81}]}]})";
constexpr char kOpenUp[] = R"("ietf-netconf-acm:nacm": {"write-default": "permit"})";
constexpr char kSame[] =
    R"("portolan-ipam:ipam": {"pools": {"pool": [{"name": "a", "priority": 1}]}})";

INSTANTIATE_TEST_SUITE_P(
    Nacm, WriteMatrix,
    ::testing::ValuesIn(std::vector<WriteRow>{
        {"RecoveryChangesTheRules", {.user = "root", .recovery = true}, "", kOpenUp, nullptr},
        {"AdminChangesTheRules", {.user = "alice"}, "", kOpenUp, nullptr},
        {"AdminDeletesThem", {.user = "alice"}, kNacm, "", nullptr},
        {"AdminChangesAnInterface", {.user = "alice"}, "", kMode, nullptr},
        {"CreateIsPermittedByItsBit", {.user = "nina"}, "", kNewPool, nullptr},
        {"UpdateIsPermittedByItsBit", {.user = "nina"}, "", kPriority, nullptr},
        {"DeleteWithoutItsBitIsNot", {.user = "nina"}, kPoolB, "", kPoolB},
        {"ALeafThatMayNotBeReadMayBeWritten", {.user = "nina"}, "", kNewPassword, nullptr},
        {"APathPermitsToDelete", {.user = "nina"}, kPeer, "", nullptr},
        {"RulesAreDeniedByDefault", {.user = "nina"}, "", kOpenUp, ""},
        {"InterfacesAreDeniedByDefault",
         {.user = "nina"},
         "",
         kMode,
         "/portolan-datapath:datapath/interfaces/interface[name='eth0']/mode"},
        {"OnesOwnEntryIsChanged", {.user = "sam"}, "", kShopPort, nullptr},
        {"OnesOwnEntryIsDeleted", {.user = "sam"}, kShop, "", nullptr},
        {"AnInvisibleEntryIsNotNamed",
         {.user = "sam"},
         "",
         kBankPort,
         "/portolan-service:services"},
        {"WritingIsDeniedByDefault",
         {.user = "greta"},
         "",
         kFlows,
         "/portolan-datapath:datapath/settings/max-flows"},
        {"DeletingIsDeniedByDefault", {.user = "eve"}, kPoolA, "", kPoolA},
        {"ASecretBelowIsNotDeletedWithItsEntry",
         {.user = "eve"},
         kPassword,
         "",
         "/portolan-bgp:bgp/instances/instance[name='i']/peers/peer[name='tor']"},
        {"WhatChangesNothingNeedsNothing", {.user = "eve"}, "", kSame, nullptr},
    }),
    [](const auto& row) { return row.param.name; });

TEST_F(AccessTest, DeletingAnEntryNeedsTheRightToDeleteAllInIt) {
  access_.Load(Valid(WithRules(R"("ietf-netconf-acm:nacm": {
    "groups": {"group": [{"name": "ops", "user-name": ["ann"]}]},
    "rule-list": [{"name": "ops", "group": ["ops"], "rule": [
      {"name": "password", "path": "/portolan-bgp:bgp/instances/instance/peers/peer/password",
       "access-operations": "delete", "action": "deny"},
      {"name": "rest", "action": "permit"}]}]})")));
  const Configuration running = Load(kData);
  const yang::Tree before = running.ToTree();
  Prepared after = TheModel().Delete(running, kPeer);
  const RpcErrors errors = access_.CheckWrite({.user = "ann"}, before, after.candidate->ToTree());
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_THAT(errors[0].message, AllOf(HasSubstr("may not delete"), HasSubstr("\"password\"")));
}

TEST_F(AccessTest, MovingAnEntryOfAUsersOrderIsAnUpdate) {
  access_.Load(Valid(WithRules(R"("ietf-netconf-acm:nacm": {
    "groups": {"group": [{"name": "ops", "user-name": ["ann"]}]},
    "rule-list": [{"name": "ops", "group": ["ops"], "rule": [
      {"name": "r", "path": "/ietf-netconf-acm:nacm/rule-list", "access-operations": "read create delete",
       "action": "permit"}]}]})")));
  const auto rules = [](const char* first, const char* second) {
    return Valid(absl::StrCat(R"({"ietf-netconf-acm:nacm": {"rule-list": [{"name": ")", first,
                              R"("}, {"name": ")", second, R"("}]}})"));
  };
  const RpcErrors errors = access_.CheckWrite({.user = "ann"}, rules("x", "y"), rules("y", "x"));
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_THAT(errors[0].message, HasSubstr("may not change"));
}

TEST_F(AccessTest, ADenialShowsNoValue) {
  const Configuration running = Load(kData);
  const yang::Tree before = running.ToTree();
  Prepared after =
      TheModel().Merge(running, absl::StrCat("{", kNewPassword, "}"), yang::Format::kJson, "");
  const RpcErrors errors = access_.CheckWrite({.user = "eve"}, before, after.candidate->ToTree());
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_THAT(errors[0].message, AllOf(Not(HasSubstr("secret")), Not(HasSubstr("other"))));
}

// ---- operations and notifications ----

struct CallRow {
  const char* name;
  Subject subject;
  const char* operation;
  bool permitted;
};

class CallMatrix : public AccessTest, public ::testing::WithParamInterface<CallRow> {};

TEST_P(CallMatrix, Holds) {
  const CallRow& row = GetParam();
  const RpcErrors errors = access_.MayCall(row.subject, "ietf-netconf", row.operation);
  EXPECT_EQ(errors.empty(), row.permitted);
  EXPECT_EQ(access_.counters().denied_operations, row.permitted ? 0u : 1u);
  if (row.permitted) return;
  EXPECT_EQ(errors[0].tag, "access-denied");
  EXPECT_THAT(errors[0].message,
              HasSubstr(absl::StrCat("may not call ietf-netconf:", row.operation)));
}

INSTANTIATE_TEST_SUITE_P(
    Nacm, CallMatrix,
    ::testing::ValuesIn(std::vector<CallRow>{
        {"RecoveryKills", {.user = "root", .recovery = true}, "kill-session", true},
        {"AdminKills", {.user = "alice"}, "kill-session", true},
        {"ARulePermitsToKill", {.user = "nina"}, "kill-session", true},
        {"WithoutARuleNobodyKills", {.user = "sam"}, "kill-session", false},
        {"NorDeletesADatastore", {.user = "nina"}, "delete-config", false},
        {"ARuleForbidsToEdit", {.user = "greta"}, "edit-config", false},
        {"OthersEdit", {.user = "sam"}, "edit-config", true},
        {"AStrangerReads", {.user = "eve"}, "get-config", true},
        {"EverybodyLeaves", {.user = "greta"}, "close-session", true},
    }),
    [](const auto& row) { return row.param.name; });

TEST_F(AccessTest, AnOperationThatItsModelDeniesNeedsARule) {
  EXPECT_THAT(access_.MayCall({.user = "sam"}, "m", "restart", yang::Deny::kAll), Not(IsEmpty()));
  EXPECT_THAT(access_.MayCall({.user = "alice"}, "m", "restart", yang::Deny::kAll), IsEmpty());
}

TEST_F(AccessTest, ANotificationThatARuleDeniesIsNotHeardByItsGroup) {
  const std::string module = "ietf-netconf-notifications";
  EXPECT_FALSE(access_.MayNotify({.user = "greta"}, module, "netconf-config-change"));
  EXPECT_EQ(access_.counters().denied_notifications, 1u);
  EXPECT_TRUE(access_.MayNotify({.user = "greta"}, module, "netconf-session-start"));
  EXPECT_TRUE(access_.MayNotify({.user = "sam"}, module, "netconf-config-change"));
  EXPECT_EQ(access_.counters().denied_notifications, 1u);
}

// ---- the rules that hold ----

TEST(Access, BeforeAnythingIsConfiguredTheAdminGroupWritesAndOthersAreToldSo) {
  Access access;
  access.Load(Valid(kData));
  const Configuration running = Load(kData);
  const yang::Tree before = running.ToTree();
  Prepared after =
      TheModel().Merge(running, absl::StrCat("{", kPriority, "}"), yang::Format::kJson, "");
  const yang::Tree changed = after.candidate->ToTree();
  EXPECT_THAT(access.CheckWrite({.user = "root"}, before, changed), IsEmpty());
  EXPECT_THAT(
      access.CheckWrite({.user = "ann", .external_groups = {"portolan-admin"}}, before, changed),
      IsEmpty());
  const RpcErrors errors = access.CheckWrite({.user = "ann"}, before, changed);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_THAT(errors[0].message, AllOf(HasSubstr("member of the group portolan-admin"),
                                       HasSubstr("/ietf-netconf-acm:nacm")));
}

TEST(Access, WithNacmSwitchedOffNobodyIsAsked) {
  Access access;
  access.Load(Valid(WithRules(R"("ietf-netconf-acm:nacm": {"enable-nacm": false})")));
  yang::Tree tree = Valid(kData);
  access.FilterRead({.user = "eve"}, &tree);
  EXPECT_TRUE(tree.Select(kPassword)->first());
}

TEST(Access, DefaultsAreReadFromTheConfiguration) {
  Access access;
  access.Load(Valid(WithRules(R"("ietf-netconf-acm:nacm": {"read-default": "deny",
    "exec-default": "deny", "enable-external-groups": false})")));
  yang::Tree tree = Valid(kData);
  access.FilterRead({.user = "eve", .external_groups = {"portolan-admin"}}, &tree);
  EXPECT_FALSE(tree.first());
  EXPECT_THAT(access.MayCall({.user = "eve"}, "ietf-netconf", "get"), Not(IsEmpty()));
}

TEST(Access, APathThatTheModulesDoNotHaveIsRefusedWhenItIsConfigured) {
  Prepared prepared = TheModel().Replace(
      R"({"ietf-netconf-acm:nacm": {"rule-list": [{"name": "l", "rule": [{"name": "r",
          "path": "/portolan-ipam:ipam/no-such-node", "action": "permit"}]}]}})",
      yang::Format::kJson, "");
  EXPECT_FALSE(prepared.candidate.has_value());
}

}  // namespace
}  // namespace portolan::config
