#include "services/config-service/core/nacm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace portolan::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

using Kind = NacmRule::Kind;

// A data node: names with the values of its keys.
struct Step {
  std::string module;
  std::string name;
  std::map<std::string, std::string> values;
};

NacmPolicy::Position At(const NacmPolicy& policy, const std::vector<Step>& steps) {
  NacmPolicy::Position position = policy.Root();
  for (const Step& step : steps) {
    position = policy.Enter(position, step.module, step.name, [&](absl::string_view key) {
      const auto it = step.values.find(std::string(key));
      return it == step.values.end() ? "" : it->second;
    });
  }
  return position;
}

NacmRule Data(const std::string& path, uint8_t operations, bool permit) {
  return {.name = path,
          .kind = Kind::kData,
          .path = ParseNacmPath(path).value(),
          .operations = operations,
          .permit = permit};
}

NacmRules RulesOfOps(std::vector<NacmRule> rules) {
  NacmRules all;
  all.groups["ops"] = {"ann"};
  all.rule_lists = {{"ops-rules", {"ops"}, std::move(rules)}};
  return all;
}

const std::vector<Step> kPools = {{"ipam", "pools", {}}};
const std::vector<Step> kPoolA = {{"ipam", "pools", {}}, {"ipam", "pool", {{"name", "a"}}}};
const std::vector<Step> kPoolB = {{"ipam", "pools", {}}, {"ipam", "pool", {{"name", "b"}}}};
const std::vector<Step> kPriorityOfA = {
    {"ipam", "pools", {}}, {"ipam", "pool", {{"name", "a"}}}, {"ipam", "priority", {}}};
const std::vector<Step> kPluginOfA = {
    {"ipam", "pools", {}}, {"ipam", "pool", {{"name", "a"}}}, {"plugin", "priority", {}}};

bool May(const NacmPolicy& policy, const std::vector<Step>& steps, AccessOperation operation,
         DenyByDefault model = DenyByDefault::kNothing) {
  return policy.OnData(At(policy, steps), operation, model).permitted;
}

// ---- defaults ----

TEST(Nacm, WithoutARuleReadingAndCallingArePermittedAndWritingIsNot) {
  const NacmPolicy policy(RulesOfOps({}), {.user = "ann"});
  EXPECT_TRUE(May(policy, kPoolA, kAccessRead));
  EXPECT_FALSE(May(policy, kPoolA, kAccessCreate));
  EXPECT_FALSE(May(policy, kPoolA, kAccessUpdate));
  EXPECT_FALSE(May(policy, kPoolA, kAccessDelete));
  EXPECT_TRUE(policy.OnOperation("ietf-netconf", "get", DenyByDefault::kNothing).permitted);
  EXPECT_TRUE(policy.OnNotification("m", "n", DenyByDefault::kNothing).permitted);
}

TEST(Nacm, TheDefaultsAreAsConfigured) {
  NacmRules rules = RulesOfOps({});
  rules.read_default = false;
  rules.write_default = true;
  rules.exec_default = false;
  const NacmPolicy policy(rules, {.user = "ann"});
  EXPECT_FALSE(May(policy, kPoolA, kAccessRead));
  EXPECT_TRUE(May(policy, kPoolA, kAccessCreate));
  EXPECT_FALSE(May(policy, kPoolA, kAccessExec));
  EXPECT_FALSE(policy.OnOperation("ietf-netconf", "get", DenyByDefault::kNothing).permitted);
  EXPECT_FALSE(policy.OnNotification("m", "n", DenyByDefault::kNothing).permitted);
}

TEST(Nacm, DefaultDenyAllOfTheModelDeniesEverythingThatNoRulePermits) {
  NacmRules rules = RulesOfOps({});
  rules.write_default = true;
  const NacmPolicy policy(rules, {.user = "ann"});
  EXPECT_FALSE(May(policy, kPoolA, kAccessRead, DenyByDefault::kAll));
  EXPECT_FALSE(May(policy, kPoolA, kAccessUpdate, DenyByDefault::kAll));
  EXPECT_FALSE(May(policy, kPoolA, kAccessExec, DenyByDefault::kAll));
  EXPECT_FALSE(policy.OnOperation("m", "restart", DenyByDefault::kAll).permitted);
  EXPECT_FALSE(policy.OnNotification("m", "n", DenyByDefault::kAll).permitted);
}

TEST(Nacm, DefaultDenyWriteOfTheModelLeavesReading) {
  NacmRules rules = RulesOfOps({});
  rules.write_default = true;
  const NacmPolicy policy(rules, {.user = "ann"});
  EXPECT_TRUE(May(policy, kPoolA, kAccessRead, DenyByDefault::kWrite));
  EXPECT_FALSE(May(policy, kPoolA, kAccessCreate, DenyByDefault::kWrite));
  EXPECT_FALSE(May(policy, kPoolA, kAccessUpdate, DenyByDefault::kWrite));
  EXPECT_FALSE(May(policy, kPoolA, kAccessDelete, DenyByDefault::kWrite));
}

TEST(Nacm, ARuleOutweighsWhatTheModelDenies) {
  const NacmPolicy policy(RulesOfOps({Data("/ipam:pools", kAccessAll, true)}), {.user = "ann"});
  EXPECT_TRUE(May(policy, kPoolA, kAccessRead, DenyByDefault::kAll));
  EXPECT_TRUE(May(policy, kPoolA, kAccessUpdate, DenyByDefault::kWrite));
}

// ---- who ----

TEST(Nacm, TheRecoverySessionMayEverything) {
  NacmRules rules = RulesOfOps({Data("/", kAccessAll, false)});
  rules.read_default = rules.exec_default = false;
  const NacmPolicy policy(rules, {.user = "ann", .recovery = true});
  EXPECT_TRUE(policy.unlimited());
  EXPECT_TRUE(May(policy, kPoolA, kAccessUpdate, DenyByDefault::kAll));
  EXPECT_TRUE(policy.OnOperation("ietf-netconf", "kill-session", DenyByDefault::kAll).permitted);
  EXPECT_TRUE(policy.OnNotification("m", "n", DenyByDefault::kAll).permitted);
}

TEST(Nacm, NotEnabledItDeniesNothing) {
  NacmRules rules = RulesOfOps({Data("/", kAccessAll, false)});
  rules.enabled = false;
  EXPECT_TRUE(NacmPolicy(rules, {.user = "ann"}).unlimited());
}

TEST(Nacm, RulesAreForTheGroupsOfTheirList) {
  NacmRules rules = RulesOfOps({Data("/ipam:pools", kAccessUpdate, true)});
  rules.groups["guests"] = {"bob"};
  EXPECT_TRUE(May(NacmPolicy(rules, {.user = "ann"}), kPoolA, kAccessUpdate));
  EXPECT_FALSE(May(NacmPolicy(rules, {.user = "bob"}), kPoolA, kAccessUpdate));
  EXPECT_FALSE(May(NacmPolicy(rules, {.user = "eve"}), kPoolA, kAccessUpdate));
}

TEST(Nacm, AStarIsForEverybodyWhoIsInAGroup) {
  NacmRules rules = RulesOfOps({Data("/ipam:pools", kAccessUpdate, true)});
  rules.rule_lists[0].groups = {"*"};
  EXPECT_TRUE(May(NacmPolicy(rules, {.user = "ann"}), kPoolA, kAccessUpdate));
  EXPECT_FALSE(May(NacmPolicy(rules, {.user = "eve"}), kPoolA, kAccessUpdate));
  EXPECT_TRUE(
      May(NacmPolicy(rules, {.user = "eve", .external_groups = {"users"}}), kPoolA, kAccessUpdate));
}

TEST(Nacm, GroupsOfTheTransportCountUnlessSwitchedOff) {
  NacmRules rules = RulesOfOps({Data("/ipam:pools", kAccessUpdate, true)});
  const Subject eve{.user = "eve", .external_groups = {"users", "ops"}};
  EXPECT_TRUE(May(NacmPolicy(rules, eve), kPoolA, kAccessUpdate));
  rules.external_groups = false;
  EXPECT_FALSE(May(NacmPolicy(rules, eve), kPoolA, kAccessUpdate));
}

TEST(Nacm, WithoutAnyRuleListTheAdminGroupMayEverything) {
  const NacmRules rules = WithAdminGroup({});
  EXPECT_TRUE(May(NacmPolicy(rules, {.user = "root"}), kPoolA, kAccessUpdate, DenyByDefault::kAll));
  EXPECT_TRUE(May(NacmPolicy(rules, {.user = "ann", .external_groups = {kAdminGroup}}), kPoolA,
                  kAccessUpdate));
  EXPECT_FALSE(May(NacmPolicy(rules, {.user = "ann"}), kPoolA, kAccessUpdate));
}

TEST(Nacm, MembersOfTheAdminGroupAreAsConfigured) {
  NacmRules configured;
  configured.groups[kAdminGroup] = {"ann"};
  const NacmRules rules = WithAdminGroup(configured);
  EXPECT_TRUE(May(NacmPolicy(rules, {.user = "ann"}), kPoolA, kAccessUpdate));
  EXPECT_FALSE(May(NacmPolicy(rules, {.user = "root"}), kPoolA, kAccessUpdate));
}

TEST(Nacm, ARuleListOfOnesOwnReplacesTheAdminGroups) {
  const NacmRules configured = RulesOfOps({});
  EXPECT_EQ(WithAdminGroup(configured), configured);
}

// ---- which rule ----

TEST(Nacm, TheFirstRuleThatMatchesDecides) {
  NacmRules rules = RulesOfOps({Data("/ipam:pools/pool[name='a']", kAccessUpdate, false),
                                Data("/ipam:pools", kAccessUpdate, true)});
  rules.rule_lists.push_back({"later", {"ops"}, {Data("/", kAccessAll, false)}});
  const NacmPolicy policy(rules, {.user = "ann"});
  EXPECT_FALSE(May(policy, kPoolA, kAccessUpdate));
  EXPECT_TRUE(May(policy, kPoolB, kAccessUpdate));
  EXPECT_FALSE(May(policy, kPoolB, kAccessDelete));
  EXPECT_TRUE(May(policy, kPools, kAccessUpdate));
}

TEST(Nacm, APathIsForItsNodeAndAllBelowButNothingAbove) {
  const NacmPolicy policy(RulesOfOps({Data("/ipam:pools/pool[name='a']", kAccessUpdate, true)}),
                          {.user = "ann"});
  EXPECT_FALSE(May(policy, kPools, kAccessUpdate));
  EXPECT_TRUE(May(policy, kPoolA, kAccessUpdate));
  EXPECT_TRUE(May(policy, kPriorityOfA, kAccessUpdate));
  EXPECT_FALSE(May(policy, kPoolB, kAccessUpdate));
}

TEST(Nacm, AListWithoutPredicatesIsAllItsEntries) {
  const NacmPolicy policy(RulesOfOps({Data("/ipam:pools/pool/priority", kAccessUpdate, true)}),
                          {.user = "ann"});
  EXPECT_TRUE(May(policy, kPriorityOfA, kAccessUpdate));
  EXPECT_FALSE(May(policy, kPoolA, kAccessUpdate));
}

TEST(Nacm, APredicateOfOneKeyLeavesTheOthersOpen) {
  const NacmPolicy policy(
      RulesOfOps({Data("/s:services/service[namespace='x']", kAccessUpdate, true)}),
      {.user = "ann"});
  const auto service = [](const char* ns, const char* name) -> std::vector<Step> {
    return {{"s", "services", {}}, {"s", "service", {{"namespace", ns}, {"name", name}}}};
  };
  EXPECT_TRUE(May(policy, service("x", "a"), kAccessUpdate));
  EXPECT_TRUE(May(policy, service("x", "b"), kAccessUpdate));
  EXPECT_FALSE(May(policy, service("y", "a"), kAccessUpdate));
}

TEST(Nacm, ANodeOfAnotherModuleIsNotTheOneOfThePath) {
  const NacmPolicy policy(RulesOfOps({Data("/ipam:pools/pool/priority", kAccessUpdate, true)}),
                          {.user = "ann"});
  EXPECT_FALSE(May(policy, kPluginOfA, kAccessUpdate));
}

TEST(Nacm, AModuleNameIsOfTheNodeItself) {
  NacmRule rule = Data("/", kAccessUpdate, true);
  rule.module = "plugin";
  const NacmPolicy policy(RulesOfOps({rule}), {.user = "ann"});
  EXPECT_TRUE(May(policy, kPluginOfA, kAccessUpdate));
  EXPECT_FALSE(May(policy, kPriorityOfA, kAccessUpdate));
}

TEST(Nacm, ARuleIsForTheOperationsThatItNames) {
  const NacmPolicy policy(RulesOfOps({Data("/ipam:pools", kAccessCreate | kAccessUpdate, true)}),
                          {.user = "ann"});
  EXPECT_TRUE(May(policy, kPoolA, kAccessCreate));
  EXPECT_TRUE(May(policy, kPoolA, kAccessUpdate));
  EXPECT_FALSE(May(policy, kPoolA, kAccessDelete));
}

TEST(Nacm, ARuleOfOneKindIsForNoOther) {
  const NacmPolicy policy(RulesOfOps({{.name = "op", .kind = Kind::kOperation, .target = "*"},
                                      {.name = "note", .kind = Kind::kNotification, .target = "n"},
                                      {.name = "data", .kind = Kind::kData}}),
                          {.user = "ann"});
  EXPECT_EQ(policy.OnOperation("m", "x", DenyByDefault::kNothing).rule, 0u);
  EXPECT_EQ(policy.OnNotification("m", "n", DenyByDefault::kNothing).rule, 1u);
  EXPECT_TRUE(policy.OnNotification("m", "other", DenyByDefault::kNothing).permitted);
  EXPECT_EQ(policy.OnData(At(policy, kPoolA), kAccessRead, DenyByDefault::kNothing).rule, 2u);
}

TEST(Nacm, ARuleWithoutAKindIsForAll) {
  const NacmPolicy policy(RulesOfOps({{.name = "nothing at all"}}), {.user = "ann"});
  EXPECT_FALSE(policy.OnOperation("m", "x", DenyByDefault::kNothing).permitted);
  EXPECT_FALSE(policy.OnNotification("m", "n", DenyByDefault::kNothing).permitted);
  EXPECT_FALSE(May(policy, kPoolA, kAccessRead));
}

TEST(Nacm, AnActionIsExecutedByARuleForDataAndByNoneForOperations) {
  const std::vector<Step> action = {
      {"ipam", "pools", {}}, {"ipam", "pool", {{"name", "a"}}}, {"ipam", "drain", {}}};
  const NacmRule operation{.name = "o", .kind = Kind::kOperation, .target = "*", .permit = true};
  const NacmPolicy by_operation(RulesOfOps({operation}), {.user = "ann"});
  EXPECT_FALSE(May(by_operation, action, kAccessExec, DenyByDefault::kAll));
  EXPECT_TRUE(May(by_operation, action, kAccessExec, DenyByDefault::kWrite));
  const NacmPolicy by_data(RulesOfOps({Data("/ipam:pools/pool[name='a']", kAccessExec, true)}),
                           {.user = "ann"});
  EXPECT_TRUE(May(by_data, action, kAccessExec, DenyByDefault::kAll));
  EXPECT_FALSE(May(by_data, action, kAccessRead, DenyByDefault::kAll));
}

TEST(Nacm, AnOperationIsMatchedByModuleAndName) {
  const NacmPolicy policy(RulesOfOps({{.name = "r",
                                       .module = "ietf-netconf",
                                       .kind = Kind::kOperation,
                                       .target = "edit-config",
                                       .operations = kAccessExec}}),
                          {.user = "ann"});
  const auto may = [&](const char* module, const char* name) {
    return policy.OnOperation(module, name, DenyByDefault::kNothing).permitted;
  };
  EXPECT_FALSE(may("ietf-netconf", "edit-config"));
  EXPECT_TRUE(may("ietf-netconf", "get"));
  EXPECT_TRUE(may("other", "edit-config"));
}

// ---- what RFC 8341 says of single operations ----

TEST(Nacm, CloseSessionIsAlwaysPermitted) {
  NacmRules rules = RulesOfOps({{.name = "nothing at all"}});
  rules.exec_default = false;
  const NacmPolicy policy(rules, {.user = "ann"});
  EXPECT_TRUE(
      policy.OnOperation("ietf-netconf", "close-session", DenyByDefault::kNothing).permitted);
  EXPECT_FALSE(policy.OnOperation("other", "close-session", DenyByDefault::kNothing).permitted);
}

TEST(Nacm, KillSessionAndDeleteConfigNeedARule) {
  const NacmPolicy without(RulesOfOps({}), {.user = "ann"});
  const NacmPolicy with(RulesOfOps({{.name = "all", .permit = true}}), {.user = "ann"});
  for (const char* name : {"kill-session", "delete-config"}) {
    EXPECT_FALSE(without.OnOperation("ietf-netconf", name, DenyByDefault::kNothing).permitted);
    EXPECT_TRUE(with.OnOperation("ietf-netconf", name, DenyByDefault::kNothing).permitted);
    EXPECT_TRUE(without.OnOperation("other", name, DenyByDefault::kNothing).permitted);
  }
}

TEST(Nacm, TheEndOfAReplayIsAlwaysHeard) {
  NacmRules rules = RulesOfOps({{.name = "nothing at all"}});
  rules.read_default = false;
  const NacmPolicy policy(rules, {.user = "ann"});
  for (const char* name : {"replayComplete", "notificationComplete"}) {
    EXPECT_TRUE(policy.OnNotification("nc-notifications", name, DenyByDefault::kNothing).permitted);
    EXPECT_FALSE(policy.OnNotification("other", name, DenyByDefault::kNothing).permitted);
  }
}

// ---- words ----

TEST(Nacm, ADenialNamesUserGroupsRuleAndRemedy) {
  NacmRules rules = RulesOfOps({Data("/ipam:pools", kAccessUpdate, false)});
  const NacmPolicy policy(rules, {.user = "ann"});
  const Verdict by_rule = policy.OnData(At(policy, kPoolA), kAccessUpdate, DenyByDefault::kNothing);
  EXPECT_THAT(policy.Explain(by_rule, "change /x"),
              AllOf(HasSubstr("user \"ann\" (groups: ops) may not change /x"),
                    HasSubstr("rule \"/ipam:pools\" of the rule-list \"ops-rules\""),
                    Not(HasSubstr(kAdminGroup))));
  const Verdict by_default =
      policy.OnData(At(policy, kPoolA), kAccessDelete, DenyByDefault::kNothing);
  EXPECT_THAT(policy.Explain(by_default, "x"), HasSubstr("what no rule permits is denied"));
  const Verdict by_model = policy.OnData(At(policy, kPoolA), kAccessDelete, DenyByDefault::kAll);
  EXPECT_THAT(policy.Explain(by_model, "x"), HasSubstr("denied by default"));
}

TEST(Nacm, ADenialNamesTheAdminGroupWhereThatHelps) {
  const NacmPolicy policy(WithAdminGroup({}), {.user = "ann"});
  const Verdict verdict = policy.OnData(At(policy, kPoolA), kAccessUpdate, DenyByDefault::kNothing);
  EXPECT_THAT(policy.Explain(verdict, "x"),
              AllOf(HasSubstr("(in no group)"), HasSubstr("member of the group portolan-admin")));
}

}  // namespace
}  // namespace portolan::config
