// What datapath-loader says: its streams (ObjectStatus and InterfaceState here, FrontendState and
// BackendState in traffic_states.h, DropState in drop_states.h) and its log lines, one per state
// change. Belongs to the service, on its loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/base/process/service.h"
#include "services/base/wire/hub.h"
#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/shell/drop_states.h"
#include "services/datapath-loader/shell/interfaces.h"
#include "services/datapath-loader/shell/kernel_maps.h"
#include "services/datapath-loader/shell/traffic_states.h"

namespace portolan::datapath {

// The datapath of this node as a whole.
struct NodeReport {
  std::optional<KernelUnavailable> unavailable;
  std::string pin_directory;
  bool adopted = false;
  bool sizes_changed = false;  // since it was loaded
  std::optional<std::pair<uint16_t, uint16_t>> local_ports;
  ProgramSettings settings;
  bool ipv4_forwarding = false;
  bool ipv6_forwarding = false;
  std::map<portolan_drop, portolan_counter> drops;
};

class Publisher {
 public:
  // Creates the writers: before the first reader comes.
  explicit Publisher(const process::Context& context);

  // Statuses of services, and frontends. Other effects are not its business.
  void Publish(const Effect& effect);
  // All interfaces that are wanted; those that were there before and are not now are taken back.
  void Interfaces(const std::vector<InterfaceReport>& reports);
  void Node(const NodeReport& report);
  // One piece of reading all counters. True: there is more of it.
  bool Sweep(const KernelMaps& maps) { return traffic_.Sweep(maps) || drops_.Sweep(maps); }
  void Log(const std::vector<std::string>& problems) const;
  void MarkSynced();
  void Collect(metrics::Page& page) const;

 private:
  void PublishService(const ServiceStatus& status);

  const std::string node_;
  const portolan::Log& log_;
  wire::Writer statuses_;
  wire::Writer interfaces_;
  TrafficStates traffic_;
  DropStates drops_;
  std::map<std::string, InterfaceReport> reports_;  // as published
  std::map<portolan_drop, portolan_counter> node_drops_;
  bool loaded_ = false;
};

}  // namespace portolan::datapath
