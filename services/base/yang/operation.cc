#include "services/base/yang/operation.h"

#include <libyang/libyang.h>

#include "services/base/yang/libyang_errors.h"

namespace portolan::yang {

std::vector<Finding> ValidateInput(Node operation) {
  // A Node is a view of what others must not change; a request is its answerer's.
  auto* node = const_cast<lyd_node*>(operation.handle());
  const LY_ERR result = lyd_validate_op(node, nullptr, LYD_TYPE_RPC_YANG, nullptr);
  std::vector<Finding> findings = TakeErrors(LYD_CTX(node), node);
  if (result == LY_SUCCESS) findings.clear();  // warnings
  if (result != LY_SUCCESS && findings.empty()) {
    findings.push_back({.rule = "internal", .message = "the arguments could not be checked"});
  }
  return findings;
}

std::vector<Finding> TakeParseErrors(const ly_ctx* context) { return TakeErrors(context, nullptr); }

Node EntryOf(Node action) {
  for (const lyd_node* node = lyd_parent(action.handle()); node != nullptr;
       node = lyd_parent(node)) {
    if (node->schema->nodetype == LYS_LIST) return Node::Of(node);
  }
  return {};
}

}  // namespace portolan::yang
