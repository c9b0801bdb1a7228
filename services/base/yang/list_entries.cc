#include "services/base/yang/list_entries.h"

#include <libyang/libyang.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "services/base/yang/libyang_access.h"

namespace portolan::yang {
namespace {

bool Is(const lyd_node* node, absl::string_view name) {
  return node->schema != nullptr && name == node->schema->name;
}

lyd_node* FindContainer(lyd_node* root, const ListPath& path) {
  for (lyd_node* node = root; node != nullptr; node = node->next) {
    if (Is(node, path.container) && path.module == node->schema->module->name) return node;
  }
  return nullptr;
}

lyd_node* NextEntry(lyd_node* node, const ListPath& path) {
  while (node != nullptr && !Is(node, path.list)) node = node->next;
  return node;
}

lyd_node* FirstEntry(lyd_node* root, const ListPath& path) {
  const lyd_node* container = FindContainer(root, path);
  return container == nullptr ? nullptr : NextEntry(lyd_child(container), path);
}

std::string KeyOfEntry(const lyd_node* entry) {
  size_t expected = 0;
  for (const lysc_node* key = lysc_node_child(entry->schema); key != nullptr && lysc_is_key(key);
       key = key->next) {
    ++expected;
  }
  std::string text;
  for (const lyd_node* key = lyd_child(entry);
       key != nullptr && key->schema != nullptr && lysc_is_key(key->schema); key = key->next) {
    absl::StrAppend(&text, text.empty() ? "" : "/", lyd_get_value(key));
    --expected;
  }
  return expected == 0 ? text : "";
}

bool HoldsOnlyDefaults(const lyd_node* container) {
  for (const lyd_node* child = lyd_child(container); child != nullptr; child = child->next) {
    if ((child->flags & LYD_DEFAULT) == 0) return false;
  }
  return true;
}

// The operation of the node itself; empty: none.
absl::string_view OperationOf(const lyd_node* node) {
  const lyd_meta* meta = lyd_find_meta(node->meta, nullptr, "ietf-netconf:operation");
  return meta == nullptr ? "" : lyd_get_meta_value(meta);
}

std::string PrintJson(const lyd_node* node, uint32_t options) {
  char* text = nullptr;
  lyd_print_mem(&text, node, LYD_JSON, LYD_PRINT_SHRINK | LYD_PRINT_WD_EXPLICIT | options);
  std::string result = text == nullptr ? "" : text;
  std::free(text);
  return result.empty() ? "{}" : result;
}

void CollectReferences(const lyd_node* siblings, std::vector<std::string>* references) {
  for (const lyd_node* node = siblings; node != nullptr; node = node->next) {
    if (node->schema == nullptr) continue;
    if ((node->schema->nodetype & LYD_NODE_TERM) == 0) {
      CollectReferences(lyd_child(node), references);
      continue;
    }
    const lysc_type* type = reinterpret_cast<const lysc_node_leaf*>(node->schema)->type;
    if (type->basetype != LY_TYPE_LEAFREF) continue;
    std::string text(reinterpret_cast<const char*>(&node->schema), sizeof(node->schema));
    absl::StrAppend(&text, lyd_get_value(node));
    references->push_back(std::move(text));
  }
}

}  // namespace

std::string KeyOf(const Tree& entry, const ListPath& path) {
  const lyd_node* node = FirstEntry(LibyangAccess::Root(entry), path);
  return node == nullptr ? "" : KeyOfEntry(node);
}

std::vector<Tree> TakeEntries(const ListPath& path, Tree* tree) {
  std::vector<Tree> entries;
  lyd_node* container = FindContainer(LibyangAccess::Root(*tree), path);
  lyd_node* next = FirstEntry(LibyangAccess::Root(*tree), path);
  while (next != nullptr) {
    lyd_node* const entry = next;
    next = NextEntry(entry->next, path);
    lyd_unlink_tree(entry);
    lyd_node* frame = nullptr;
    lyd_dup_single(container, nullptr, LYD_DUP_WITH_FLAGS | LYD_DUP_NO_META, &frame);
    lyd_insert_child(frame, entry);
    entries.push_back(LibyangAccess::Adopt(*tree, frame));
  }
  if (!entries.empty() && HoldsOnlyDefaults(container)) container->flags |= LYD_DEFAULT;
  return entries;
}

void AddEntries(const std::vector<const Tree*>& entries, const ListPath& path, Tree* tree) {
  lyd_node* container = FindContainer(LibyangAccess::Root(*tree), path);
  for (const Tree* entry : entries) {
    const lyd_node* node = FirstEntry(LibyangAccess::Root(*entry), path);
    if (node == nullptr) continue;
    if (container == nullptr) {
      lyd_dup_single(lyd_parent(node), nullptr, LYD_DUP_WITH_FLAGS, &container);
      lyd_insert_sibling(LibyangAccess::Root(*tree), container, LibyangAccess::RootOf(tree));
    }
    lyd_dup_single(node, reinterpret_cast<lyd_node_inner*>(container),
                   LYD_DUP_RECURSIVE | LYD_DUP_WITH_FLAGS, nullptr);
  }
  // What holds only by default holds no longer when it has entries.
  if (container != nullptr && !entries.empty()) container->flags &= ~LYD_DEFAULT;
}

Touched TouchedBy(const Tree& edit, const ListPath& path) {
  Touched touched;
  for (lyd_node* top = LibyangAccess::Root(edit); top != nullptr; top = top->next) {
    if (top != FindContainer(top, path) || top->schema == nullptr) {
      touched.rest = true;
      continue;
    }
    const absl::string_view operation = OperationOf(top);
    if (!operation.empty() && operation != "merge") touched.everything = true;
    for (const lyd_node* child = lyd_child(top); child != nullptr; child = child->next) {
      const std::string key = Is(child, path.list) ? KeyOfEntry(child) : "";
      if (child->schema == nullptr || (Is(child, path.list) && key.empty())) {
        touched.everything = true;
      } else if (key.empty()) {
        touched.rest = true;
      } else {
        touched.keys.insert(key);
      }
    }
  }
  return touched;
}

std::vector<std::string> References(const Tree& entry) {
  std::vector<std::string> references;
  CollectReferences(LibyangAccess::Root(entry), &references);
  return references;
}

std::string EntryToJson(const Tree& entry, const ListPath& path) {
  // {"module:list":[{...}]}
  const std::string text = PrintJson(FirstEntry(LibyangAccess::Root(entry), path), 0);
  const size_t begin = text.find('[') + 1;
  return text.substr(begin, text.rfind(']') - begin);
}

JsonAround PrintAround(const ListPath& path, Tree* tree) {
  JsonAround around;
  lyd_node** const root = LibyangAccess::RootOf(tree);
  around.without = PrintJson(*root, LYD_PRINT_WITHSIBLINGS);
  lyd_node* container = FindContainer(*root, path);
  std::string own;
  if (container != nullptr) {
    own = PrintJson(container, 0);  // {"module:container":{...}}, or {}
    if (*root == container) *root = container->next;
    lyd_unlink_tree(container);
  }
  around.before = PrintJson(*root, LYD_PRINT_WITHSIBLINGS);
  if (container != nullptr) lyd_insert_sibling(*root, container, root);
  around.before.pop_back();
  if (around.before.size() > 1) around.before += ",";
  const std::string begin = absl::StrCat("\"", path.module, ":", path.container, "\":{");
  const size_t at = own.find(begin);
  std::string others;
  if (at != std::string::npos) {
    others = own.substr(at + begin.size(), own.size() - at - begin.size() - 2);
  }
  absl::StrAppend(&around.before, begin, others, others.empty() ? "" : ",", "\"", path.list,
                  "\":[");
  around.after = "]}}";
  return around;
}

}  // namespace portolan::yang
