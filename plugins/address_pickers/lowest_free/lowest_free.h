// Address picker "lowest-free", the default: the lowest free address of the pool, whatever the
// holes above it. The stage is pure, without settings, and usable from any thread.
#pragma once

#include <memory>

#include "plugins/sdk/factory.h"

namespace portolan::plugin {

std::unique_ptr<Factory> NewLowestFreeFactory();

}  // namespace portolan::plugin
