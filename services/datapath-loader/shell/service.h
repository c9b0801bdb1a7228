// datapath-loader's shell: streams in, maps and interfaces, status out.
//
// It reads ServiceIntent, BackendSet, Allocation, Node, DatapathInterface and DatapathSettings, and
// publishes InterfaceState, FrontendState and ObjectStatus (component "datapath"; kinds "service",
// "interface", and "node" for the datapath as a whole). Answers datapath.v1alpha1.DatapathControl.
// What it was told by RPC (Attach, Detach, Apply) it keeps in STATE_DIR/datapath-NODE.sqlite.
// Nothing is loaded before all six streams are synced and that file is read. When the datapath
// cannot be loaded the service goes on, says so in every status, and tries again every ten seconds.
//
// Its end, orderly or not, detaches nothing: pinned maps and links go on forwarding, and the next
// start adopts them. Detach() ends it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "plugins/sdk/registry.h"
#include "services/base/process/service.h"
#include "services/datapath-loader/shell/control_rpc.h"

namespace portolan::datapath {

struct Options {
  // Directory on a BPF file system for pins; empty: see ChoosePinDirectory().
  std::string pin_directory;
  // Where health checks are found; null: there are none. Outlives the service.
  const plugin::Registry* registry = nullptr;
  // No streams are read: only what is attached and applied by RPC is carried.
  bool alone = false;
};

// `control`: the face of its RPCs, which may be there before and after it.
absl::StatusOr<std::unique_ptr<process::Service>> NewDatapathService(
    const process::Context& context, Options options = {},
    std::shared_ptr<ControlRpc> control = std::make_shared<ControlRpc>());

// Takes a node's datapath off its interfaces and forgets its maps, with all flows. For the network
// namespace and the pin directory of a datapath that does not run.
absl::Status Detach(const std::string& node, const std::string& state_dir, const Options& options);

}  // namespace portolan::datapath
