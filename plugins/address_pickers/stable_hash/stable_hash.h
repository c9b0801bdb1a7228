// Address picker "stable-hash": where the Service's key points to, else the next free address.
//
// The key is hashed (FNV-1a, then SplitMix64's finaliser; fixed for ever, equal on all machines) to
// a place in the pool, taken addresses included, so a Service that is deleted and made again gets
// its address back when it is free, and pools fill evenly. Widening a pool changes the place for
// new Services only.
#pragma once

#include <memory>

#include "plugins/sdk/factory.h"

namespace portolan::plugin {

std::unique_ptr<Factory> NewStableHashFactory();

}  // namespace portolan::plugin
