// The matrix of access to actions: users x actions of our own modules (RFC 8341, section 3.4.4).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "services/base/yang/testing_operation.h"
#include "services/config-service/shell/access.h"
#include "services/config-service/shell/model.h"

namespace portolan::config {
namespace {

using ::testing::HasSubstr;

const Model& TheModel() {
  static const std::shared_ptr<const Model> model = Model::Create().value();
  return *model;
}

// admin may all, net what concerns BGP, drain only drains, shop asks about its own Service, watch
// traces and does not see peers, blind sees no key of a peer.
constexpr char kRules[] = R"({"ietf-netconf-acm:nacm": {
  "groups": {"group": [
    {"name": "admin", "user-name": ["alice"]}, {"name": "net", "user-name": ["nina"]},
    {"name": "drain", "user-name": ["dora"]}, {"name": "shop", "user-name": ["sam"]},
    {"name": "watch", "user-name": ["wim"]}, {"name": "blind", "user-name": ["bo"]}]},
  "rule-list": [
    {"name": "admin", "group": ["admin"], "rule": [{"name": "all", "action": "permit"}]},
    {"name": "net", "group": ["net"], "rule": [
      {"name": "bgp", "path": "/portolan-bgp:bgp", "access-operations": "read exec",
       "action": "permit"}]},
    {"name": "drain", "group": ["drain"], "rule": [
      {"name": "drain", "path": "/portolan-bgp:bgp/drain", "access-operations": "exec",
       "action": "permit"}]},
    {"name": "shop", "group": ["shop"], "rule": [
      {"name": "own", "path": "/portolan-service:services/service[namespace='shop'][name='web']",
       "action": "permit"},
      {"name": "others", "path": "/portolan-service:services/service", "action": "deny"},
      {"name": "rpcs", "module-name": "portolan-datapath", "rpc-name": "*", "action": "permit"}]},
    {"name": "watch", "group": ["watch"], "rule": [
      {"name": "trace", "path": "/portolan-datapath:datapath/trace", "action": "permit"},
      {"name": "no-peers", "path": "/portolan-bgp:bgp/instances/instance/peers",
       "access-operations": "read", "action": "deny"},
      {"name": "bgp", "path": "/portolan-bgp:bgp", "action": "permit"},
      {"name": "no-explain", "module-name": "portolan-service", "access-operations": "exec",
       "action": "deny"}]},
    {"name": "blind", "group": ["blind"], "rule": [
      {"name": "no-name", "path": "/portolan-bgp:bgp/instances/instance/peers/peer/name",
       "action": "deny"},
      {"name": "bgp", "path": "/portolan-bgp:bgp", "action": "permit"}]}]}})";

constexpr char kReset[] = R"({"portolan-bgp:bgp": {"instances": {"instance": [
  {"name": "i", "peers": {"peer": [{"name": "tor", "reset": {}}]}}]}}})";
constexpr char kDrain[] = R"({"portolan-bgp:bgp": {"drain": {}}})";
constexpr char kUndrain[] = R"({"portolan-bgp:bgp": {"undrain": {}}})";
constexpr char kTrace[] = R"({"portolan-datapath:datapath": {"trace": {}}})";
constexpr char kFlush[] = R"({"portolan-datapath:datapath": {"flush-flows": {}}})";
constexpr char kExplainShop[] = R"({"portolan-service:services": {"service": [
  {"namespace": "shop", "name": "web", "explain": {}}]}})";
constexpr char kExplainBank[] = R"({"portolan-service:services": {"service": [
  {"namespace": "bank", "name": "web", "explain": {}}]}})";

class ActionTest : public ::testing::Test {
 protected:
  ActionTest() {
    Prepared prepared = TheModel().Replace(kRules, yang::Format::kJson, "");
    EXPECT_TRUE(prepared.candidate.has_value())
        << (prepared.problems.empty() ? "" : prepared.problems[0].message);
    access_.Load(prepared.candidate->ToTree());
  }
  RpcErrors Ask(const Subject& subject, const char* action) {
    const absl::StatusOr<yang::Call> operation = yang::ParseOperation(TheModel().context(), action);
    EXPECT_TRUE(operation.ok()) << operation.status();
    return access_.MayAct(subject, operation->node);
  }
  Access access_;
};

struct ActionRow {
  const char* name;
  Subject subject;
  const char* action;
  bool permitted;
  const char* path = "";     // of the error
  const char* message = "";  // a part of it
};

class ActionMatrix : public ActionTest, public ::testing::WithParamInterface<ActionRow> {};

TEST_P(ActionMatrix, Holds) {
  const ActionRow& row = GetParam();
  const RpcErrors errors = Ask(row.subject, row.action);
  EXPECT_EQ(errors.empty(), row.permitted);
  EXPECT_EQ(access_.counters().denied_operations, row.permitted ? 0u : 1u);
  if (errors.empty()) return;
  EXPECT_EQ(errors[0].tag, "access-denied");
  EXPECT_EQ(errors[0].type, "protocol");
  EXPECT_EQ(errors[0].path, row.path);
  EXPECT_THAT(errors[0].message, HasSubstr(row.message));
}

constexpr char kBgp[] = "/portolan-bgp:bgp";
constexpr char kPeers[] = "/portolan-bgp:bgp/instances/instance[name='i']/peers";

INSTANTIATE_TEST_SUITE_P(
    Nacm, ActionMatrix,
    ::testing::ValuesIn(std::vector<ActionRow>{
        {"RecoveryResets", {.user = "root", .recovery = true}, kReset, true},
        {"AdminResets", {.user = "alice"}, kReset, true},
        {"AdminTraces", {.user = "alice"}, kTrace, true},
        {"ARuleForASubtreePermitsTheActionsInIt", {.user = "nina"}, kReset, true},
        {"AndTheOnesAtItsTop", {.user = "nina"}, kUndrain, true},
        {"ButNoneElsewhere",
         {.user = "nina"},
         kFlush,
         false,
         "/portolan-datapath:datapath",
         "call the action flush-flows of /portolan-datapath:datapath"},
        {"ARuleForOneActionPermitsIt", {.user = "dora"}, kDrain, true},
        {"AndNoOther", {.user = "dora"}, kUndrain, false, kBgp, "denied by default"},
        {"WithoutARuleWhatTheModelDeniesIsDenied",
         {.user = "eve"},
         kDrain,
         false,
         kBgp,
         "denied by default"},
        {"WhatTheModelLeavesOpenIsPermitted", {.user = "eve"}, kExplainBank, true},
        {"OnesOwnEntryIsExplained", {.user = "sam"}, kExplainShop, true},
        {"AnEntryThatMayNotBeReadIsNot",
         {.user = "sam"},
         kExplainBank,
         false,
         "/portolan-service:services",
         "may not read /portolan-service:services/service"},
        {"ARuleForRpcsPermitsNoAction",
         {.user = "sam"},
         kTrace,
         false,
         "/portolan-datapath:datapath",
         "denied by default"},
        {"ExecOfOnePathIsEnough", {.user = "wim"}, kTrace, true},
        {"AnActionBelowWhatMayNotBeReadIsDenied",
         {.user = "wim"},
         kReset,
         false,
         "/portolan-bgp:bgp/instances/instance[name='i']",
         "no-peers"},
        {"ARuleForAModuleDeniesExec",
         {.user = "wim"},
         kExplainShop,
         false,
         "/portolan-service:services/service[namespace='shop'][name='web']",
         "no-explain"},
        {"AnEntryWithAKeyThatMayNotBeReadIsNotReset",
         {.user = "bo"},
         kReset,
         false,
         kPeers,
         "no-name"},
        {"TheSameUserDrains", {.user = "bo"}, kDrain, true},
    }),
    [](const auto& row) { return row.param.name; });

TEST_F(ActionTest, ExecDefaultHoldsForActionsToo) {
  Prepared prepared = TheModel().Replace(R"({"ietf-netconf-acm:nacm": {"exec-default": "deny"}})",
                                         yang::Format::kJson, "");
  access_.Load(prepared.candidate->ToTree());
  EXPECT_FALSE(Ask({.user = "eve"}, kExplainShop).empty());
}

}  // namespace
}  // namespace portolan::config
