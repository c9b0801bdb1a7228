#include "services/base/yang/compare.h"

#include <libyang/libyang.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::yang {
namespace {

bool IsKey(const lyd_node* node) { return lysc_is_key(node->schema); }

// libyang's merge leaves the flag on a container when it changes a leaf below: containers are
// looked into, whatever they say.
bool IsDefault(const lyd_node* node) {
  return (node->flags & LYD_DEFAULT) != 0 && !lysc_is_np_cont(node->schema);
}

const lyd_node* SkipDefaults(const lyd_node* node) {
  while (node != nullptr && IsDefault(node)) node = node->next;
  return node;
}

const lyd_node* Next(const lyd_node* node) { return SkipDefaults(node->next); }

// What makes two siblings the same node: the schema, and keys or the value of a leaf-list.
std::string Identity(const lyd_node* node) {
  std::string identity(reinterpret_cast<const char*>(&node->schema), sizeof(node->schema));
  if (node->schema->nodetype == LYS_LIST) {
    for (const lyd_node* key = lyd_child(node); key != nullptr && IsKey(key); key = key->next) {
      absl::StrAppend(&identity, lyd_get_value(key), absl::string_view("\0", 1));
    }
  } else if (node->schema->nodetype == LYS_LEAFLIST) {
    absl::StrAppend(&identity, lyd_get_value(node));
  }
  return identity;
}

// Values of one context are mostly one text in its dictionary.
bool HasSameValue(const lyd_node* a, const lyd_node* b) {
  const char* value_a = lyd_get_value(a);
  const char* value_b = lyd_get_value(b);
  return value_a == value_b || std::strcmp(value_a, value_b) == 0;
}

// As Identity(), without making text.
bool IsSame(const lyd_node* a, const lyd_node* b) {
  if (a->schema != b->schema) return false;
  if (a->schema->nodetype == LYS_LEAFLIST) return HasSameValue(a, b);
  if (a->schema->nodetype != LYS_LIST) return true;
  const lyd_node* key_a = lyd_child(a);
  const lyd_node* key_b = lyd_child(b);
  while (key_a != nullptr && key_b != nullptr && IsKey(key_a)) {
    if (!HasSameValue(key_a, key_b)) return false;
    key_a = key_a->next;
    key_b = key_b->next;
  }
  return true;
}

class Comparer {
 public:
  using Kind = Difference::Kind;
  // False: no more.
  using Report = std::function<bool(Kind kind, const lyd_node* before, const lyd_node* after)>;

  explicit Comparer(Report report) : report_(std::move(report)) {}

  void Siblings(const lyd_node* from, const lyd_node* to) {
    from = SkipDefaults(from);
    to = SkipDefaults(to);
    // Mostly both have the same nodes in the same order, from the beginning on.
    while (from != nullptr && to != nullptr && IsSame(from, to)) {
      Pair(from, to);
      from = Next(from);
      to = Next(to);
    }
    if (from == nullptr && to == nullptr) return;
    Rest(from, to);
  }

 private:
  void Tell(Kind kind, const lyd_node* before, const lyd_node* after) {
    if (!ended_) ended_ = !report_(kind, before, after);
  }

  void Pair(const lyd_node* from, const lyd_node* to) {
    if ((from->schema->nodetype & LYD_NODE_INNER) != 0) {
      Siblings(lyd_child(from), lyd_child(to));
    } else if (!HasSameValue(from, to)) {
      Tell(Kind::kChanged, from, to);
    }
  }

  // `node` is on one side only.
  void Alone(Kind kind, const lyd_node* node) {
    if (IsKey(node) || ended_) return;
    if (!lysc_is_np_cont(node->schema)) {
      const bool added = kind == Kind::kAdded;
      Tell(kind, added ? nullptr : node, added ? node : nullptr);
    }
    for (const lyd_node* child = SkipDefaults(lyd_child(node)); child != nullptr;
         child = Next(child)) {
      Alone(kind, child);
    }
  }

  void Rest(const lyd_node* from, const lyd_node* to) {
    struct Old {
      const lyd_node* node;
      size_t place;
    };
    std::unordered_map<std::string, Old> old;
    std::vector<const lyd_node*> in_order;
    for (; from != nullptr; from = Next(from)) {
      old.emplace(Identity(from), Old{from, in_order.size()});
      in_order.push_back(from);
    }
    std::vector<bool> matched(in_order.size(), false);
    std::unordered_map<const lysc_node*, size_t> reached;  // last place in `from`, by schema
    std::unordered_set<const lysc_node*> reordered;
    for (; to != nullptr; to = Next(to)) {
      const auto it = old.find(Identity(to));
      if (it == old.end()) {
        Alone(Kind::kAdded, to);
        continue;
      }
      const Old& was = it->second;
      matched[was.place] = true;
      size_t& last = reached.emplace(to->schema, was.place).first->second;
      const bool ordered = (to->schema->flags & LYS_ORDBY_USER) != 0;
      if (ordered && was.place < last && reordered.insert(to->schema).second) {
        Tell(Kind::kReordered, was.node, to);
      }
      last = std::max(last, was.place);
      Pair(was.node, to);
    }
    for (size_t i = 0; i < in_order.size(); ++i) {
      if (!matched[i]) Alone(Kind::kRemoved, in_order[i]);
    }
  }

  const Report report_;
  bool ended_ = false;
};

std::string ValueOf(Node node) {
  if (!node) return "";
  return node.is_secret() ? "***" : node.value();
}

std::string PathOf(const NodeDifference& difference) {
  const Node node = difference.after ? difference.after : difference.before;
  if (difference.kind != Difference::Kind::kReordered) return node.path();
  const Node parent = node.parent();
  return absl::StrCat(parent ? parent.path() : "", "/", node.name());
}

}  // namespace

void VisitDifferences(const Tree& from, const Tree& to,
                      const std::function<bool(const NodeDifference&)>& visit) {
  Comparer comparer([&](Difference::Kind kind, const lyd_node* before, const lyd_node* after) {
    return visit({kind, Node(before), Node(after)});
  });
  comparer.Siblings(from.root_, to.root_);
}

Comparison Compare(const Tree& from, const Tree& to, size_t limit) {
  Comparison comparison;
  VisitDifferences(from, to, [&](const NodeDifference& found) {
    if (comparison.differences.size() >= limit) {
      ++comparison.more;
      return true;
    }
    Difference difference{found.kind, PathOf(found), "", ""};
    if (found.kind != Difference::Kind::kReordered) {
      difference.before = ValueOf(found.before);
      difference.after = ValueOf(found.after);
    }
    comparison.differences.push_back(std::move(difference));
    return true;
  });
  return comparison;
}

std::string ToText(const Difference& difference) {
  const absl::string_view path = difference.path;
  switch (difference.kind) {
    case Difference::Kind::kAdded:
      return absl::StrCat("+ ", path, difference.after.empty() ? "" : ": ", difference.after);
    case Difference::Kind::kRemoved:
      return absl::StrCat("- ", path, difference.before.empty() ? "" : ": ", difference.before);
    case Difference::Kind::kChanged:
      return absl::StrCat("~ ", path, ": ", difference.before, " -> ", difference.after);
    case Difference::Kind::kReordered:
      break;
  }
  return absl::StrCat("^ ", path, ": order");
}

}  // namespace portolan::yang
