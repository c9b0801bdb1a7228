// Address picker "random": any free address of the pool, each as likely as any other.
//
// The same Service, seed and free addresses give the same choice, on every machine and in whatever
// order they became so. Settings: {"seed": N}; without it the seed of the request.
// A choice costs a few questions, O(log fragments) each, while much of the pool is free; when next
// to nothing is, the free fragments are read instead, and there are few then. Pure; any thread.
#pragma once

#include <memory>

#include "plugins/sdk/factory.h"

namespace portolan::plugin {

std::unique_ptr<Factory> NewRandomFactory();

}  // namespace portolan::plugin
