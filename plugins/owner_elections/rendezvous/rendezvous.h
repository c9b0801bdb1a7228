// Owner election "rendezvous": highest random weight (Thaler and Ravishankar, 1998).
//
// Each candidate's weight for a key is a hash of both; candidates are ordered by weight. So keys
// spread evenly, and when a candidate goes only its own keys move; when it comes back they return.
// The hash (FNV-1a, then SplitMix64's finaliser) is fixed for ever and equal on all machines.
#pragma once

#include <memory>

#include "plugins/sdk/factory.h"

namespace portolan::plugin {

std::unique_ptr<Factory> NewRendezvousFactory();

}  // namespace portolan::plugin
