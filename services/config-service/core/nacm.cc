#include "services/config-service/core/nacm.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace portolan::config {
namespace {

constexpr uint16_t kNowhere = std::numeric_limits<uint16_t>::max();

bool Contains(const std::vector<std::string>& list, absl::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

bool IsNamed(const std::string& pattern, absl::string_view name) {
  return pattern == "*" || pattern == name;
}

bool IsFor(const NacmRule& rule, NacmRule::Kind kind, AccessOperation operation,
           absl::string_view module) {
  return (rule.kind == NacmRule::Kind::kAny || rule.kind == kind) &&
         (rule.operations & operation) != 0 && IsNamed(rule.module, module);
}

Verdict By(size_t rule, bool permit) { return {permit, Verdict::By::kRule, rule}; }

}  // namespace

NacmRules WithAdminGroup(NacmRules rules) {
  if (!rules.rule_lists.empty()) return rules;
  rules.groups.emplace(kAdminGroup, std::vector<std::string>{"root"});
  rules.rule_lists.push_back({.name = kAdminGroup,
                              .groups = {kAdminGroup},
                              .rules = {{.name = "everything", .permit = true}}});
  return rules;
}

NacmPolicy::NacmPolicy(const NacmRules& rules, const Subject& subject)
    : user_(subject.user),
      unlimited_(subject.recovery || !rules.enabled),
      read_default_(rules.read_default),
      write_default_(rules.write_default),
      exec_default_(rules.exec_default) {
  if (unlimited_) return;
  for (const auto& [group, users] : rules.groups) {
    if (Contains(users, subject.user)) groups_.push_back(group);
  }
  if (rules.external_groups) {
    for (const std::string& group : subject.external_groups) {
      if (!Contains(groups_, group)) groups_.push_back(group);
    }
  }
  for (const NacmRuleList& list : rules.rule_lists) {
    admin_group_helps_ = admin_group_helps_ || Contains(list.groups, kAdminGroup);
    const bool applies =
        std::any_of(list.groups.begin(), list.groups.end(), [&](const std::string& group) {
          return group == "*" ? !groups_.empty() : Contains(groups_, group);
        });
    if (!applies) continue;
    for (const NacmRule& rule : list.rules) rules_.push_back({rule, list.name});
  }
}

Verdict NacmPolicy::Otherwise(bool denied_by_model, bool permitted) const {
  if (denied_by_model) return {false, Verdict::By::kModel};
  return {permitted, Verdict::By::kDefault};
}

Verdict NacmPolicy::OnOperation(absl::string_view module, absl::string_view name,
                                DenyByDefault model) const {
  const bool base = module == "ietf-netconf";
  if (unlimited_ || (base && name == "close-session")) return {};
  for (size_t i = 0; i < rules_.size(); ++i) {
    const NacmRule& rule = rules_[i].rule;
    if (!IsFor(rule, NacmRule::Kind::kOperation, kAccessExec, module)) continue;
    if (rule.kind == NacmRule::Kind::kOperation && !IsNamed(rule.target, name)) continue;
    return By(i, rule.permit);
  }
  const bool dangerous = base && (name == "kill-session" || name == "delete-config");
  return Otherwise(dangerous || model == DenyByDefault::kAll, exec_default_);
}

Verdict NacmPolicy::OnNotification(absl::string_view module, absl::string_view name,
                                   DenyByDefault model) const {
  const bool of_stream = name == "replayComplete" || name == "notificationComplete";
  if (unlimited_ || (module == "nc-notifications" && of_stream)) return {};
  for (size_t i = 0; i < rules_.size(); ++i) {
    const NacmRule& rule = rules_[i].rule;
    if (!IsFor(rule, NacmRule::Kind::kNotification, kAccessRead, module)) continue;
    if (rule.kind == NacmRule::Kind::kNotification && !IsNamed(rule.target, name)) continue;
    return By(i, rule.permit);
  }
  return Otherwise(model == DenyByDefault::kAll, read_default_);
}

NacmPolicy::Position NacmPolicy::Root() const {
  Position root;
  root.reached_.assign(rules_.size(), 0);
  return root;
}

NacmPolicy::Position NacmPolicy::Enter(
    const Position& parent, absl::string_view module, absl::string_view name,
    absl::FunctionRef<std::string(absl::string_view key)> value_of) const {
  Position position = parent;
  position.module_ = module;
  position.settled_ = true;
  for (size_t i = 0; i < rules_.size(); ++i) {
    const std::vector<PathStep>& path = rules_[i].rule.path;
    uint16_t& reached = position.reached_[i];
    // Below the end of its path a rule holds, too.
    if (reached == kNowhere || reached == path.size()) continue;
    const PathStep& step = path[reached];
    const bool leads_here = step.name == name && step.module == module &&
                            std::all_of(step.predicates.begin(), step.predicates.end(),
                                        [&](const KeyPredicate& predicate) {
                                          return value_of(predicate.key) == predicate.value;
                                        });
    reached = leads_here ? reached + 1 : kNowhere;
    if (leads_here && reached < path.size()) position.settled_ = false;
  }
  return position;
}

Verdict NacmPolicy::OnData(const Position& position, AccessOperation operation,
                           DenyByDefault model) const {
  if (unlimited_) return {};
  for (size_t i = 0; i < rules_.size(); ++i) {
    const NacmRule& rule = rules_[i].rule;
    if (!IsFor(rule, NacmRule::Kind::kData, operation, position.module_)) continue;
    if (position.reached_[i] != rule.path.size()) continue;
    return By(i, rule.permit);
  }
  if (operation == kAccessRead) return Otherwise(model == DenyByDefault::kAll, read_default_);
  if (operation == kAccessExec) return Otherwise(model == DenyByDefault::kAll, exec_default_);
  return Otherwise(model != DenyByDefault::kNothing, write_default_);
}

std::string NacmPolicy::Explain(const Verdict& verdict, absl::string_view what) const {
  std::string why;
  if (verdict.by == Verdict::By::kRule) {
    const Applied& applied = rules_[verdict.rule];
    why = absl::StrCat("the rule \"", applied.rule.name, "\" of the rule-list \"",
                       applied.rule_list, "\" denies it");
  } else if (verdict.by == Verdict::By::kModel) {
    why = "no rule permits it, and it is denied by default";
  } else {
    why = "no rule permits it, and what no rule permits is denied";
  }
  return absl::StrCat("user \"", user_, "\" (",
                      groups_.empty() ? "in no group" : "groups: ", absl::StrJoin(groups_, ", "),
                      ") may not ", what, ": ", why, "; remedy: ",
                      admin_group_helps_ ? absl::StrCat("make the user a member of the group ",
                                                        kAdminGroup, ", or ")
                                         : "",
                      "permit it with a rule in a rule-list of a group that the user is in "
                      "(/ietf-netconf-acm:nacm)");
}

}  // namespace portolan::config
