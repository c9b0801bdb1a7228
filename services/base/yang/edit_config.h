// Edits with an operation on each node, as NETCONF's edit-config has them (RFC 6241, section 7.2;
// RFC 7950, sections 7.5.8 to 7.8.6).
//
// The context of both trees holds ietf-netconf, whose attribute `operation` the edit carries. One
// thread at a time, the owner of the trees.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/base/yang/finding.h"
#include "services/base/yang/tree.h"

namespace portolan::yang {

enum class Operation : uint8_t { kMerge, kReplace, kCreate, kDelete, kRemove, kNone };

// As Tree::Parse(), for a text whose nodes may carry operations.
std::optional<Tree> ParseEdit(std::shared_ptr<const Context> context, const std::string& text,
                              Format format, std::vector<Finding>* findings);

// Applies `edit` to `tree`. `default_operation`: of nodes that have none and are below none;
// kMerge, kReplace (then what `edit` does not have goes, too) or kNone. Nothing: done, and `tree`
// is to be validated. A finding, whose rule is the error-tag of RFC 6241 ("data-exists",
// "data-missing", "bad-attribute", "operation-failed"): `tree` is changed in part and good for
// nothing.
std::optional<Finding> ApplyEdit(const Tree& edit, Operation default_operation, Tree* tree);

}  // namespace portolan::yang
