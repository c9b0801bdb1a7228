// Validated YANG data -> values. The only place that knows leaf names. Pure; cannot fail, since
// YANG has checked every type. What YANG does not order is sorted (see core/snapshot.h).
#pragma once

#include "services/base/yang/tree.h"
#include "services/config-service/core/snapshot.h"

namespace portolan::config {

// `tree` passed Validate(), so defaults are in it and every leaf has its type.

// All but the services.
Snapshot RestFromYang(const yang::Tree& tree);
// Of the one service that `tree` holds.
Service ServiceFromYang(const yang::Tree& tree);

}  // namespace portolan::config
