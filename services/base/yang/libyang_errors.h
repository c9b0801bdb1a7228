// libyang's error items as findings. Private to this room.
//
// libyang names the place in prose ("Data location \"/a:b\", line number 3.") and, for what is
// missing, only the place in the schema; this finds the entries of the tree that lack it.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "services/base/yang/finding.h"

struct ly_ctx;
struct lyd_node;

namespace portolan::yang {

// Without line breaks and runs of spaces.
std::string OneLine(absl::string_view text);

// Data path with module names and key predicates.
std::string PathOf(const lyd_node* node);

// The errors that this thread's last calls left in `ctx`, which are cleaned. `root`: the tree that
// they speak of, or null.
std::vector<Finding> TakeErrors(const ly_ctx* ctx, const lyd_node* root);

// The description of the node at this data path; empty: none.
std::string Describe(const ly_ctx* ctx, const std::string& path);

}  // namespace portolan::yang
