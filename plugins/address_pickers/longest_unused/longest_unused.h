// Address picker "longest-unused": what was given up comes back last.
//
// First the lowest address that was never used, then the one that was given up longest ago. For
// networks in which somebody still sends to an address after its Service is gone. Settings:
// {"cool-down": SECONDS}, 0 without it, at most a year: so long nobody gets an address that was
// given up, but who held it and asks for it by name.
// The engine keeps the history (AddressPicker::history()); the stage is pure; any thread.
#pragma once

#include <memory>

#include "plugins/sdk/factory.h"

namespace portolan::plugin {

std::unique_ptr<Factory> NewLongestUnusedFactory();

}  // namespace portolan::plugin
