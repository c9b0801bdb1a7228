// bgp-exporter as a service on a loop: reads allocations, BGP configuration and the datapath's
// status, speaks BGP with the peers of this node, publishes PeerState, Route and ObjectStatus.
//
// Answers bgp.v1alpha1.BgpControl: resets of sessions, and the drain of this node, which is kept in
// the state directory.
//
// Destroying the service tells every peer "Cease, Administrative Shutdown", so that its routes go
// at once. When the process is killed instead, peers with RFC 4724 keep the routes meanwhile.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "services/base/process/service.h"
#include "services/bgp-exporter/shell/control_rpc.h"

namespace portolan::bgp {

// `rpc` outlives the service where its server does.
absl::StatusOr<std::unique_ptr<process::Service>> NewBgpService(const process::Context& context,
                                                                std::shared_ptr<ControlRpc> rpc);

}  // namespace portolan::bgp
