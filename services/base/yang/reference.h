// The reference of a module for people, made of its compiled schema: every node with what it means,
// its type, default and rules. A pure function, any thread.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "services/base/yang/context.h"

namespace portolan::yang {

// Markdown: a section for each container, list, operation and notification, titled by its path, and
// a table of the leaves in it. Empty: no such module, or it has no nodes.
std::string ReferenceOf(const Context& context, absl::string_view module);

}  // namespace portolan::yang
