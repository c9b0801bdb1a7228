// The stable names of why the programs drop packets, and what they mean. Pure.
// The same words in the status of the node, in metrics, in traces and in simulations.
#pragma once

#include <utility>

#include "bpf/include/datapath_maps.h"

namespace portolan::datapath {

// Name (kebab-case) and meaning; they live as long as the process.
std::pair<const char*, const char*> NameOf(portolan_drop reason);

}  // namespace portolan::datapath
