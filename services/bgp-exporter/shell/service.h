// bgp-exporter as a service on a loop: reads allocations, BGP configuration and the datapath's
// status, speaks BGP with the peers of this node, publishes PeerState, Route and ObjectStatus.
//
// Destroying the service tells every peer "Cease, Administrative Shutdown", so that its routes go
// at once. When the process is killed instead, peers with RFC 4724 keep the routes meanwhile.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "services/base/process/service.h"

namespace portolan::bgp {

absl::StatusOr<std::unique_ptr<process::Service>> NewBgpService(const process::Context& context);

}  // namespace portolan::bgp
