// Arguments of rpcs and actions (RFC 7950, sections 7.14 and 7.15).
//
// The operation belongs to a request that nobody else reads meanwhile; one thread at a time.
#pragma once

#include <vector>

#include "services/base/yang/finding.h"
#include "services/base/yang/tree.h"

struct ly_ctx;

namespace portolan::yang {

// Mandatory nodes, when and must of the arguments; types were checked when they were parsed. Fills
// in what holds by default. Empty: they are valid. References to configuration are not followed.
std::vector<Finding> ValidateInput(Node operation);

// Why the operation that this thread parsed last does not fit the modules; they are forgotten. For
// base rooms over libraries that parse by themselves.
std::vector<Finding> TakeParseErrors(const ly_ctx* context);

// The nearest list entry above an action; none: there is none.
Node EntryOf(Node action);

}  // namespace portolan::yang
