// Core values <-> the kernel's structs (bpf/include/datapath_maps.h). Pure functions; there and
// back gives the same value. Ports and addresses change to network order and back here, nowhere
// else.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "bpf/include/datapath_maps.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/prefix.h"
#include "services/datapath-loader/core/map_image.h"
#include "services/datapath-loader/core/types.h"

namespace portolan::datapath {

portolan_frontend_key ToKernel(const FrontendKey& key);
portolan_frontend ToKernel(const FrontendEntry& entry);
portolan_frontend_info InfoOf(const FrontendEntry& entry);  // alive
portolan_backend ToKernel(const BackendEntry& entry);       // alive
portolan_source_key ToKernel(uint32_t group, const net::Prefix& prefix);
portolan_address_key ToKernel(const net::IpAddress& address);

// INVALID_ARGUMENT: a family or a length that there is not.
absl::StatusOr<FrontendKey> FromKernel(const portolan_frontend_key& key);
FrontendEntry FromKernel(const portolan_frontend& entry, const portolan_frontend_info& info);
absl::StatusOr<BackendEntry> FromKernel(const portolan_backend& entry);
absl::StatusOr<net::IpAddress> FromKernel(const portolan_address_key& key);
absl::StatusOr<net::Prefix> FromKernel(const portolan_source_key& key);

// Where the address filter keeps this address.
uint32_t FilterIndex(const net::IpAddress& address);

}  // namespace portolan::datapath
