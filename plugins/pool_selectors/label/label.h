// Pool selector "label": the pool's namespace list and its label selector over Services.
//
// Closed: a namespace that is not listed, or one expression that does not hold, refuses.
#pragma once

#include <memory>

#include "plugins/sdk/factory.h"

namespace portolan::plugin {

std::unique_ptr<Factory> NewLabelFactory();

}  // namespace portolan::plugin
