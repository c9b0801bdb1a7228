// Core values <-> the kernel's structs (bpf/include/datapath_maps.h). Pure functions; there and
// back gives the same value. Ports and addresses change to network order and back here, nowhere
// else.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "bpf/include/datapath_maps.h"
#include "services/base/net/ip_address.h"
#include "services/datapath-loader/core/map_image.h"
#include "services/datapath-loader/core/types.h"

namespace portolan::datapath {

portolan_frontend_key ToKernel(const FrontendKey& key);
portolan_frontend ToKernel(const FrontendEntry& entry);
portolan_backend ToKernel(const BackendEntry& entry);  // alive

// INVALID_ARGUMENT: a family that there is not.
absl::StatusOr<FrontendKey> FromKernel(const portolan_frontend_key& key);
FrontendEntry FromKernel(const portolan_frontend& entry);
absl::StatusOr<BackendEntry> FromKernel(const portolan_backend& entry);

// Where the address filter keeps this address.
uint32_t FilterIndex(const net::IpAddress& address);

}  // namespace portolan::datapath
