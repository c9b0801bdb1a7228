#include "services/config-service/shell/access.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/yang/compare.h"
#include "services/config-service/shell/access_rules.h"

namespace portolan::config {
namespace {

using Position = NacmPolicy::Position;

DenyByDefault FromYang(yang::Deny deny) {
  if (deny == yang::Deny::kAll) return DenyByDefault::kAll;
  return deny == yang::Deny::kWrite ? DenyByDefault::kWrite : DenyByDefault::kNothing;
}

RpcErrors Denied(const NacmPolicy& policy, const Verdict& verdict, absl::string_view what,
                 const std::string& path, const char* type) {
  return {{.type = type,
           .tag = "access-denied",
           .path = path,
           .message = policy.Explain(verdict, what)}};
}

// One walk over one tree, or up and down its branches.
class Walk {
 public:
  explicit Walk(const NacmPolicy& policy) : policy_(policy) {}

  Position Enter(const Position& parent, yang::Node node) const {
    return policy_.Enter(parent, node.module(), node.name(), [&](absl::string_view key) {
      if (key == ".") return node.value();
      const yang::Node child = node.Child(key);
      return child ? child.value() : "";
    });
  }

  Position At(yang::Node node) const {
    const yang::Node parent = node.parent();
    return Enter(parent ? At(parent) : policy_.Root(), node);
  }

  bool MayRead(const Position& position, yang::Node node) const {
    return policy_.OnData(position, kAccessRead, FromYang(node.deny())).permitted;
  }

  // About the topmost of the node and its ancestors that may not be read; nothing: all may.
  std::optional<Verdict> Unreadable(yang::Node node) const {
    if (const yang::Node parent = node.parent()) {
      if (std::optional<Verdict> verdict = Unreadable(parent)) return verdict;
    }
    const Position position = At(node);
    const Verdict verdict = policy_.OnData(position, kAccessRead, FromYang(node.deny()));
    if (!verdict.permitted) return verdict;
    for (yang::Node key = node.first_child(); key && key.is_key(); key = key.next_sibling()) {
      const Verdict of_key =
          policy_.OnData(Enter(position, key), kAccessRead, FromYang(key.deny()));
      if (!of_key.permitted) return of_key;
    }
    return std::nullopt;
  }

  // Collects the tops of what may not be read, of `node` and its siblings. `parent` may be read;
  // `deny` is its.
  void FindUnreadable(const Position& parent, yang::Deny deny, yang::Node node,
                      std::vector<yang::Node>* found) const {
    for (; node; node = node.next_sibling()) {
      if (parent.settled() && node.deny() == deny && node.module() == parent.module()) {
        FindUnreadable(parent, deny, node.first_child(), found);
        continue;
      }
      const Position position = Enter(parent, node);
      if (!MayRead(position, node) || HasUnreadableKey(position, node)) {
        found->push_back(node);
      } else {
        FindUnreadable(position, node.deny(), node.first_child(), found);
      }
    }
  }

  // The nearest of the node and its ancestors that may be read; empty: none.
  std::string ReadablePath(yang::Node node) const {
    std::vector<yang::Node> line;
    for (; node; node = node.parent()) line.push_back(node);
    Position position = policy_.Root();
    yang::Node readable;
    for (; !line.empty(); line.pop_back()) {
      position = Enter(position, line.back());
      if (!MayRead(position, line.back()) || HasUnreadableKey(position, line.back())) break;
      readable = line.back();
    }
    return readable ? readable.path() : "";
  }

 private:
  bool HasUnreadableKey(const Position& position, yang::Node node) const {
    for (yang::Node key = node.first_child(); key && key.is_key(); key = key.next_sibling()) {
      if (!MayRead(Enter(position, key), key)) return true;
    }
    return false;
  }

  const NacmPolicy& policy_;
};

}  // namespace

Access::Access() : rules_(std::make_shared<NacmRules>(WithAdminGroup({}))) {}

void Access::Load(const yang::Tree& running) {
  auto rules = std::make_shared<const NacmRules>(AccessRulesOf(running));
  absl::MutexLock lock(&mutex_);
  rules_.swap(rules);
}

std::shared_ptr<const NacmRules> Access::rules() const {
  absl::MutexLock lock(&mutex_);
  return rules_;
}

RpcErrors Access::MayCall(const Subject& subject, absl::string_view module,
                          absl::string_view operation, yang::Deny model) {
  const NacmPolicy policy(*rules(), subject);
  const Verdict verdict = policy.OnOperation(module, operation, FromYang(model));
  if (verdict.permitted) return {};
  ++denied_operations_;
  return Denied(policy, verdict, absl::StrCat("call ", module, ":", operation), "", "protocol");
}

RpcErrors Access::MayAct(const Subject& subject, yang::Node action) {
  const NacmPolicy policy(*rules(), subject);
  if (policy.unlimited()) return {};
  const Walk walk(policy);
  const std::string path = action.parent().path();
  if (const std::optional<Verdict> verdict = walk.Unreadable(action.parent())) {
    ++denied_operations_;
    return Denied(policy, *verdict, absl::StrCat("read ", path), walk.ReadablePath(action.parent()),
                  "protocol");
  }
  const Verdict verdict = policy.OnData(walk.At(action), kAccessExec, FromYang(action.deny()));
  if (verdict.permitted) return {};
  ++denied_operations_;
  return Denied(policy, verdict, absl::StrCat("call the action ", action.name(), " of ", path),
                path, "protocol");
}

void Access::FilterRead(const Subject& subject, yang::Tree* tree) const {
  const NacmPolicy policy(*rules(), subject);
  if (policy.unlimited()) return;
  std::vector<yang::Node> unreadable;
  Walk(policy).FindUnreadable(policy.Root(), yang::Deny::kNothing, tree->first(), &unreadable);
  tree->Remove(unreadable);
}

RpcErrors Access::CheckWrite(const Subject& subject, const yang::Tree& before,
                             const yang::Tree& after) {
  const NacmPolicy policy(*rules(), subject);
  if (policy.unlimited()) return {};
  const Walk walk(policy);
  RpcErrors errors;
  yang::VisitDifferences(before, after, [&](const yang::NodeDifference& difference) {
    const yang::Node node = difference.after ? difference.after : difference.before;
    AccessOperation operation = kAccessUpdate;
    absl::string_view verb = "change";
    if (difference.kind == yang::Difference::Kind::kAdded) {
      operation = kAccessCreate;
      verb = "create";
    } else if (difference.kind == yang::Difference::Kind::kRemoved) {
      operation = kAccessDelete;
      verb = "delete";
    }
    const Verdict verdict = policy.OnData(walk.At(node), operation, FromYang(node.deny()));
    if (verdict.permitted) return true;
    const std::string path = walk.ReadablePath(node);
    errors = Denied(policy, verdict,
                    absl::StrCat(verb, " ",
                                 path.empty()          ? "what is there"
                                 : path == node.path() ? path
                                                       : absl::StrCat("what is below ", path)),
                    path, "application");
    return false;
  });
  if (!errors.empty()) ++denied_data_writes_;
  return errors;
}

bool Access::MayNotify(const Subject& subject, absl::string_view module,
                       absl::string_view notification, yang::Deny model) {
  const NacmPolicy policy(*rules(), subject);
  if (policy.OnNotification(module, notification, FromYang(model)).permitted) return true;
  ++denied_notifications_;
  return false;
}

Access::Counters Access::counters() const {
  return {denied_operations_, denied_data_writes_, denied_notifications_};
}

}  // namespace portolan::config
