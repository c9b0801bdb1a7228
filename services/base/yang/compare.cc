#include "services/base/yang/compare.h"

#include <libyang/libyang.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/yang/libyang_errors.h"

namespace portolan::yang {
namespace {

bool IsKey(const lyd_node* node) { return lysc_is_key(node->schema); }

const lyd_node* SkipDefaults(const lyd_node* node) {
  while (node != nullptr && (node->flags & LYD_DEFAULT) != 0) node = node->next;
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
  explicit Comparer(size_t limit) : limit_(limit) {}

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

  Comparison Take() { return std::move(comparison_); }

 private:
  void Report(Difference::Kind kind, const lyd_node* node, const char* before, const char* after) {
    if (comparison_.differences.size() >= limit_) {
      ++comparison_.more;
      return;
    }
    comparison_.differences.push_back(
        {kind, PathOf(node), before == nullptr ? "" : before, after == nullptr ? "" : after});
  }

  void Pair(const lyd_node* from, const lyd_node* to) {
    if ((from->schema->nodetype & LYD_NODE_INNER) != 0) {
      Siblings(lyd_child(from), lyd_child(to));
    } else if (!HasSameValue(from, to)) {
      Report(Difference::Kind::kChanged, to, lyd_get_value(from), lyd_get_value(to));
    }
  }

  // `node` is on one side only.
  void Alone(Difference::Kind kind, const lyd_node* node) {
    if ((node->schema->nodetype & LYD_NODE_INNER) == 0) {
      if (IsKey(node)) return;
      const char* value = lyd_get_value(node);
      const bool added = kind == Difference::Kind::kAdded;
      return Report(kind, node, added ? nullptr : value, added ? value : nullptr);
    }
    if (node->schema->nodetype == LYS_LIST || lysc_is_np_cont(node->schema) == 0) {
      Report(kind, node, nullptr, nullptr);
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
        Alone(Difference::Kind::kAdded, to);
        continue;
      }
      const Old& was = it->second;
      matched[was.place] = true;
      size_t& last = reached.emplace(to->schema, was.place).first->second;
      const bool ordered = (to->schema->flags & LYS_ORDBY_USER) != 0;
      if (ordered && was.place < last && reordered.insert(to->schema).second) Reordered(to);
      last = std::max(last, was.place);
      Pair(was.node, to);
    }
    for (size_t i = 0; i < in_order.size(); ++i) {
      if (!matched[i]) Alone(Difference::Kind::kRemoved, in_order[i]);
    }
  }

  void Reordered(const lyd_node* node) {
    if (comparison_.differences.size() >= limit_) {
      ++comparison_.more;
      return;
    }
    const lyd_node* parent = lyd_parent(node);
    comparison_.differences.push_back(
        {Difference::Kind::kReordered,
         absl::StrCat(parent == nullptr ? "" : PathOf(parent), "/", node->schema->name), "", ""});
  }

  const size_t limit_;
  Comparison comparison_;
};

}  // namespace

Comparison Compare(const Tree& from, const Tree& to, size_t limit) {
  Comparer comparer(limit);
  comparer.Siblings(from.root_, to.root_);
  return comparer.Take();
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
