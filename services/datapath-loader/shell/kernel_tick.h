// The time as the programs count it in flows: jiffies, which user space cannot read elsewhere (they
// are not the monotonic clock; the two drift apart by minutes in a month).
// Loads and runs a program of three instructions; needs the same privileges as the datapath.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

namespace portolan::datapath {

// bpf_jiffies64() >> shift, as in portolan_settings.
absl::StatusOr<uint32_t> CurrentTick(uint32_t shift);

}  // namespace portolan::datapath
