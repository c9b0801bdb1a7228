// What datapath-loader says: its three streams (ObjectStatus, InterfaceState, FrontendState) and
// its log lines, one per state change. Belongs to the service, on its loop's thread.
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
#include "services/datapath-loader/shell/interfaces.h"
#include "services/datapath-loader/shell/kernel_maps.h"

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
  // Reads the counters of every frontend and publishes them.
  void Counters(const KernelMaps& maps);
  void Log(const std::vector<std::string>& problems) const;
  void MarkSynced();
  void Collect(metrics::Page& page) const;

 private:
  void PublishService(const ServiceStatus& status);
  void PublishFrontend(const FrontendView& view, const portolan_counter& counter);

  const std::string node_;
  const portolan::Log& log_;
  wire::Writer statuses_;
  wire::Writer interfaces_;
  wire::Writer frontends_;
  std::map<std::string, InterfaceReport> reports_;  // as published
  std::map<FrontendKey, FrontendView> views_;       // as published
  std::map<portolan_drop, portolan_counter> drops_;
  bool loaded_ = false;
};

}  // namespace portolan::datapath
