// The l2-announcer as a service of a process: streams in, raw sockets, streams out.
//
// Reads Allocation, L2Policy, L2Settings, Node, PipelineStage and this node's datapath
// ObjectStatus and InterfaceState; publishes l2.v1alpha1.Announcement and ObjectStatus (component
// "l2"). While a publisher is away the last known state stays in force. Without CAP_NET_RAW, or
// when an interface refuses, it runs and says so in the statuses; it tries again every few seconds.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "plugins/sdk/registry.h"
#include "services/base/process/service.h"

namespace portolan::l2 {

struct Options {
  // Where datapath-loader pins its maps; empty: see process::ChoosePinDirectory().
  std::string pin_directory;
};

// `registry` is only read during the call. An owner election that refuses to be made without
// settings is an error.
absl::StatusOr<std::unique_ptr<process::Service>> NewL2Service(const process::Context& context,
                                                               const plugin::Registry& registry,
                                                               const Options& options = {});

}  // namespace portolan::l2
