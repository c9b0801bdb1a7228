// What this kernel, this process and these interfaces can: each tried or asked, never guessed from
// a version. Leaves nothing behind; what is tried is tried on objects of its own.
// Thread-safe; blocks for some milliseconds.
#pragma once

#include <string>
#include <vector>

#include "api/proto/datapath/v1alpha1/control.pb.h"

namespace portolan::datapath {

// `interfaces`: names that the answer is wanted for.
v1alpha1::GetCapabilitiesResponse ProbeCapabilities(const std::vector<std::string>& interfaces);

// The privileges that the datapath needs and this process lacks, such as "CAP_BPF"; empty: none.
std::vector<std::string> MissingPrivileges();

}  // namespace portolan::datapath
