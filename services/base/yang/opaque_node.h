// A node of an edit that libyang could not parse: what it is all the same. Private to this room; a
// view, good as long as the tree.
#pragma once

#include <libyang/libyang.h>

#include <string>

#include "absl/strings/string_view.h"

namespace portolan::yang {

class OpaqueNode {
 public:
  // `node` has no schema.
  explicit OpaqueNode(const lyd_node* node) : node_(reinterpret_cast<const lyd_node_opaq*>(node)) {}

  // Of the leaf that it stands for; null: there is no such leaf.
  const lysc_node* Schema() const {
    const lyd_node* parent = lyd_parent(&node_->node);
    const lys_module* module =
        node_->name.module_ns == nullptr
            ? nullptr
            : ly_ctx_get_module_implemented_ns(node_->ctx, node_->name.module_ns);
    if (module == nullptr || (parent != nullptr && parent->schema == nullptr)) return nullptr;
    return lys_find_child(parent == nullptr ? nullptr : parent->schema, module, node_->name.name, 0,
                          LYS_LEAF, 0);
  }

  // "delete"; empty: it has none of its own.
  absl::string_view Operation() const {
    for (const lyd_attr* attr = node_->attr; attr != nullptr; attr = attr->next) {
      if (absl::string_view(attr->name.name) == "operation" && attr->name.module_ns != nullptr &&
          absl::string_view(attr->name.module_ns) == "urn:ietf:params:xml:ns:netconf:base:1.0") {
        return attr->value;
      }
    }
    return "";
  }

  // A leaf without a value that an edit deletes or removes.
  bool IsDeletedLeaf() const {
    return (Operation() == "delete" || Operation() == "remove") &&
           absl::string_view(node_->value).empty() && Schema() != nullptr;
  }

 private:
  const lyd_node_opaq* const node_;
};

}  // namespace portolan::yang
