// The libyang nodes of a Tree, for the other files of this room alone. Whoever changes them keeps to
// what a Tree promises (tree.h).
#pragma once

#include "services/base/yang/tree.h"

namespace portolan::yang {

class LibyangAccess {
 public:
  // First of the siblings; null: an empty tree.
  static lyd_node* Root(const Tree& tree) { return tree.root_; }
  static lyd_node** RootOf(Tree* tree) { return &tree->root_; }
  // A tree of the same context that owns `root` and its siblings from now on.
  static Tree Adopt(const Tree& same_context, lyd_node* root) {
    Tree tree(same_context.context_);
    tree.root_ = root;
    return tree;
  }
};

}  // namespace portolan::yang
