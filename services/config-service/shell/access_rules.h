// The rules of access in a configuration: ietf-netconf-acm as values. A pure function, any thread;
// the tree is the caller's.
#pragma once

#include "services/base/yang/tree.h"
#include "services/config-service/core/nacm.h"

namespace portolan::config {

// Of a valid tree; with the rules that hold when it has none (WithAdminGroup).
NacmRules AccessRulesOf(const yang::Tree& tree);

}  // namespace portolan::config
