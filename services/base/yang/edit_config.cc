#include "services/base/yang/edit_config.h"

#include <libyang/libyang.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/yang/libyang_errors.h"
#include "services/base/yang/opaque_node.h"

namespace portolan::yang {
namespace {

constexpr char kMissing[] = "it is to be deleted and does not exist";
constexpr const char* kNames[] = {"merge", "replace", "create", "delete", "remove", "none"};

const lyd_meta* MetaOf(const lyd_node* node, const char* name) {
  return lyd_find_meta(node->meta, nullptr, name);
}

Finding Failed(const lyd_node* node, std::string tag, std::string message) {
  return {.path = PathOf(node), .rule = std::move(tag), .message = std::move(message)};
}

bool IsInner(const lyd_node* node) { return (node->schema->nodetype & LYD_NODE_INNER) != 0; }

// A container that is only there for what it holds.
bool IsFrame(const lyd_node* node) { return lysc_is_np_cont(node->schema) != 0; }

class Applier {
 public:
  explicit Applier(lyd_node** root) : root_(root) {}

  // `edits` and what follows it, to the children of `parent` (null: to the top).
  std::optional<Finding> Siblings(const lyd_node* edits, Operation inherited, lyd_node* parent) {
    for (const lyd_node* edit = edits; edit != nullptr; edit = edit->next) {
      if (std::optional<Finding> failed = One(edit, inherited, parent)) return failed;
    }
    return std::nullopt;
  }

 private:
  std::optional<Finding> One(const lyd_node* edit, Operation inherited, lyd_node* parent) {
    if (edit->schema == nullptr) return DeleteLeaf(edit, parent);
    Operation operation = inherited;
    if (const lyd_meta* meta = MetaOf(edit, "ietf-netconf:operation"); meta != nullptr) {
      for (int i = 0; i < 5; ++i) {
        if (std::string(lyd_get_meta_value(meta)) == kNames[i]) {
          operation = static_cast<Operation>(i);
        }
      }
      if (lysc_is_key(edit->schema)) {
        return Failed(edit, "bad-attribute", "a list key has no operation of its own");
      }
    }
    if (MetaOf(edit, "yang:insert") != nullptr) {
      return Failed(edit, "bad-attribute",
                    "the attribute insert is not supported; replace the whole list instead");
    }
    if (lysc_is_key(edit->schema)) return std::nullopt;  // came with its entry
    lyd_node* found = Find(edit, parent);
    switch (operation) {
      case Operation::kMerge:
        return Merge(edit, found, parent);
      case Operation::kReplace:
        return Replace(edit, found, parent);
      case Operation::kCreate:
        return Create(edit, found, parent);
      case Operation::kDelete:
        if (!IsGiven(found)) {
          return Failed(edit, "data-missing", kMissing);
        }
        Remove(found);
        return std::nullopt;
      case Operation::kRemove:
        if (IsGiven(found)) Remove(found);
        return std::nullopt;
      case Operation::kNone:
        break;
    }
    return None(edit, found, parent);
  }

  // ParseEdit() lets nothing else pass that has no schema.
  std::optional<Finding> DeleteLeaf(const lyd_node* edit, lyd_node* parent) {
    const OpaqueNode opaque(edit);
    const lyd_node* siblings = parent == nullptr ? *root_ : lyd_child(parent);
    lyd_node* found = nullptr;
    if (siblings != nullptr) {
      lyd_find_sibling_val(siblings, opaque.Schema(), nullptr, 0, &found);
    }
    if (IsGiven(found)) {
      Remove(found);
    } else if (opaque.Operation() == "delete") {
      return Finding{
          .path = absl::StrCat(parent == nullptr ? "" : PathOf(parent), "/", opaque.Schema()->name),
          .rule = "data-missing",
          .message = kMissing};
    }
    return std::nullopt;
  }

  lyd_node* Find(const lyd_node* edit, lyd_node* parent) const {
    const lyd_node* siblings = parent == nullptr ? *root_ : lyd_child(parent);
    lyd_node* found = nullptr;
    if (siblings == nullptr) return nullptr;
    if (edit->schema->nodetype == LYS_LIST || edit->schema->nodetype == LYS_LEAFLIST) {
      lyd_find_sibling_first(siblings, edit, &found);
    } else {
      lyd_find_sibling_val(siblings, edit->schema, nullptr, 0, &found);
    }
    return found;
  }

  // What holds by default does not exist, as far as operations are concerned.
  static bool IsGiven(const lyd_node* node) {
    return node != nullptr && (node->flags & LYD_DEFAULT) == 0;
  }

  void Remove(lyd_node* node) {
    if (*root_ == node) *root_ = node->next;
    lyd_free_tree(node);
  }

  // `edit` without what is below it, but with the keys.
  lyd_node* Add(const lyd_node* edit, lyd_node* parent) {
    lyd_node* node = nullptr;
    if (lyd_dup_single(edit, nullptr, LYD_DUP_NO_META, &node) != LY_SUCCESS) return nullptr;
    if (parent != nullptr) {
      lyd_insert_child(parent, node);
    } else {
      lyd_insert_sibling(*root_, node, root_);
    }
    return node;
  }

  std::optional<Finding> AddAll(const lyd_node* edit, Operation operation, lyd_node* parent) {
    lyd_node* node = Add(edit, parent);
    if (node == nullptr) return Failed(edit, "operation-failed", "out of memory");
    return IsInner(edit) ? Siblings(lyd_child(edit), operation, node) : std::nullopt;
  }

  std::optional<Finding> Merge(const lyd_node* edit, lyd_node* found, lyd_node* parent) {
    if (found == nullptr) return AddAll(edit, Operation::kMerge, parent);
    if (IsInner(edit)) return Siblings(lyd_child(edit), Operation::kMerge, found);
    if (edit->schema->nodetype != LYS_LEAF) return std::nullopt;
    // LY_EEXIST: it has this value by default, which is now given. LY_ENOT: it has it already.
    const LY_ERR error = lyd_change_term(found, lyd_get_value(edit));
    if (error == LY_SUCCESS || error == LY_EEXIST || error == LY_ENOT) return std::nullopt;
    return Failed(edit, "operation-failed", "the value cannot be set");
  }

  std::optional<Finding> Replace(const lyd_node* edit, lyd_node* found, lyd_node* parent) {
    if (found == nullptr) return AddAll(edit, Operation::kReplace, parent);
    if (!IsInner(edit)) return Merge(edit, found, parent);
    // The node keeps its place among those that a user orders.
    for (lyd_node* child = lyd_child(found); child != nullptr;) {
      lyd_node* next = child->next;
      if (!lysc_is_key(child->schema)) lyd_free_tree(child);
      child = next;
    }
    return Siblings(lyd_child(edit), Operation::kReplace, found);
  }

  std::optional<Finding> Create(const lyd_node* edit, lyd_node* found, lyd_node* parent) {
    if (IsGiven(found)) return Failed(edit, "data-exists", "it is to be created and exists");
    if (found == nullptr) return AddAll(edit, Operation::kCreate, parent);
    return IsInner(edit) ? Siblings(lyd_child(edit), Operation::kCreate, found)
                         : Merge(edit, found, parent);
  }

  std::optional<Finding> None(const lyd_node* edit, lyd_node* found, lyd_node* parent) {
    if (found == nullptr && IsFrame(edit)) found = Add(edit, parent);
    if (found == nullptr) {
      return Failed(edit, "data-missing", "the edit leaves it as it is, and it does not exist");
    }
    return IsInner(edit) ? Siblings(lyd_child(edit), Operation::kNone, found) : std::nullopt;
  }

  lyd_node** const root_;
};

}  // namespace

std::optional<Tree> ParseEdit(std::shared_ptr<const Context> context, const std::string& text,
                              Format format, std::vector<Finding>* findings) {
  return Tree::ParseText(std::move(context), text, format, /*with_operations=*/true, findings);
}

std::optional<Finding> ApplyEdit(const Tree& edit, Operation default_operation, Tree* tree) {
  if (default_operation == Operation::kReplace) {
    lyd_free_all(tree->root_);
    tree->root_ = nullptr;
  }
  return Applier(&tree->root_).Siblings(edit.root_, default_operation, nullptr);
}

}  // namespace portolan::yang
