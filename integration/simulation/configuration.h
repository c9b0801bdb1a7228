// What config-service publishes in a simulation: one stream for each type, in the cores' own
// values. It never dies; the way to it may. Owned by the World.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "integration/simulation/stream.h"
#include "services/base/net/ip_address.h"
#include "services/base/selector/label_selector.h"
#include "services/bgp-exporter/core/config.h"
#include "services/datapath-loader/core/types.h"
#include "services/ipam-service/core/types.h"
#include "services/l2-announcer/core/model.h"

namespace portolan::simulation {

// A declared Service, as all readers see it.
struct Intent {
  uint64_t generation = 0;
  Labels labels;
  std::vector<net::Family> families;
  ipam::FamilyPolicy family_policy = ipam::FamilyPolicy::kSingleStack;
  std::vector<datapath::ServicePort> ports;
  friend bool operator==(const Intent&, const Intent&) = default;
};

struct Configuration {
  Stream<ipam::PoolConfig> pools;
  Stream<Intent> services;
  Stream<datapath::BackendSet> backends;
  Stream<Labels> nodes;
  Stream<l2::Policy> policies;
  Stream<l2::Settings> l2_settings;
  Stream<bgp::InstanceConfig> bgp_instances;
  Stream<bgp::PeerConfig> bgp_peers;
  Stream<bgp::AdvertisementConfig> bgp_advertisements;
};

}  // namespace portolan::simulation
