// An rpc or action as a server has it when a request has come, for tests. The caller owns it; one
// thread at a time.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/base/yang/tree.h"

namespace portolan::yang {

struct Call {
  Tree tree;  // what an action is of, and the operation
  Node node;  // the operation, in that tree
};

// `json`: RFC 7951 of the operation, with the nodes above an action. INVALID_ARGUMENT: it is none.
absl::StatusOr<Call> ParseOperation(std::shared_ptr<const Context> context,
                                    const std::string& json);

}  // namespace portolan::yang
