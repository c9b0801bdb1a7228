#include "services/config-service/shell/access_rules.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"

namespace portolan::config {
namespace {

bool IsTrue(yang::Node parent, absl::string_view leaf, absl::string_view value, bool otherwise) {
  const yang::Node node = parent.Child(leaf);
  return node ? node.value() == value : otherwise;
}

std::vector<std::string> Values(const std::vector<yang::Node>& nodes) {
  std::vector<std::string> values;
  values.reserve(nodes.size());
  for (const yang::Node& node : nodes) values.push_back(node.value());
  return values;
}

uint8_t OperationsOf(absl::string_view text) {
  uint8_t operations = 0;
  for (const absl::string_view name : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (name == "*") return kAccessAll;
    if (name == "create") operations |= kAccessCreate;
    if (name == "read") operations |= kAccessRead;
    if (name == "update") operations |= kAccessUpdate;
    if (name == "delete") operations |= kAccessDelete;
    if (name == "exec") operations |= kAccessExec;
  }
  return operations;
}

NacmRule RuleOf(yang::Node node) {
  NacmRule rule;
  rule.name = node.Child("name").value();
  rule.permit = IsTrue(node, "action", "permit", false);
  if (const yang::Node module = node.Child("module-name")) rule.module = module.value();
  if (const yang::Node leaf = node.Child("access-operations")) {
    rule.operations = OperationsOf(leaf.value());
  }
  if (const yang::Node name = node.Child("rpc-name")) {
    rule.kind = NacmRule::Kind::kOperation;
    rule.target = name.value();
  } else if (const yang::Node notification = node.Child("notification-name")) {
    rule.kind = NacmRule::Kind::kNotification;
    rule.target = notification.value();
  } else if (const yang::Node path = node.Child("path")) {
    rule.kind = NacmRule::Kind::kData;
    // Of a valid tree it is what we parse: libyang has compiled it against the modules.
    rule.path = ParseNacmPath(path.value()).value();
  }
  return rule;
}

}  // namespace

NacmRules AccessRulesOf(const yang::Tree& tree) {
  NacmRules rules;
  if (const yang::Node nacm = tree.Top("ietf-netconf-acm", "nacm")) {
    rules.enabled = IsTrue(nacm, "enable-nacm", "true", rules.enabled);
    rules.read_default = IsTrue(nacm, "read-default", "permit", rules.read_default);
    rules.write_default = IsTrue(nacm, "write-default", "permit", rules.write_default);
    rules.exec_default = IsTrue(nacm, "exec-default", "permit", rules.exec_default);
    rules.external_groups = IsTrue(nacm, "enable-external-groups", "true", rules.external_groups);
    if (const yang::Node groups = nacm.Child("groups")) {
      for (const yang::Node& group : groups.Children("group")) {
        rules.groups[group.Child("name").value()] = Values(group.Children("user-name"));
      }
    }
    for (const yang::Node& list : nacm.Children("rule-list")) {
      NacmRuleList& added = rules.rule_lists.emplace_back();
      added.name = list.Child("name").value();
      added.groups = Values(list.Children("group"));
      for (const yang::Node& rule : list.Children("rule")) added.rules.push_back(RuleOf(rule));
    }
  }
  return WithAdminGroup(std::move(rules));
}

}  // namespace portolan::config
