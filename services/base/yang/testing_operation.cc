#include "services/base/yang/testing_operation.h"

#include <libyang/libyang.h>

#include <utility>

namespace portolan::yang {

absl::StatusOr<Call> ParseOperation(std::shared_ptr<const Context> context,
                                    const std::string& json) {
  ly_in* in = nullptr;
  ly_in_new_memory(json.c_str(), &in);
  lyd_node* root = nullptr;
  lyd_node* operation = nullptr;
  const LY_ERR parsed =
      lyd_parse_op(context->handle(), nullptr, in, LYD_JSON, LYD_TYPE_RPC_YANG, &root, &operation);
  ly_in_free(in, 0);
  if (parsed != LY_SUCCESS) {
    const char* const message = ly_errmsg(context->handle());
    lyd_free_all(root);
    return absl::InvalidArgumentError(message == nullptr ? "no operation" : message);
  }
  return Call{Tree::Adopt(std::move(context), root), Node::Of(operation)};
}

}  // namespace portolan::yang
