// Why a datapath cannot be loaded, for people: the reason's name and the remedy of each error that
// Objects::Load() and KernelMaps give. Asks which privileges the process has; otherwise pure.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "services/datapath-loader/core/engine.h"

namespace portolan::datapath {

// `node` is named in the commands that a remedy gives.
KernelUnavailable Explain(const absl::Status& status, const std::string& node);

}  // namespace portolan::datapath
