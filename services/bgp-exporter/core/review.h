// What an edit of the configuration would do to sessions and routes of this node: values only.
//
// Engine::Review() answers it by the very rules of the edit, without doing it.
#pragma once

#include <map>
#include <string>

#include "services/bgp-exporter/core/config.h"
#include "services/bgp-exporter/core/rib.h"

namespace portolan::bgp {

// The whole configuration after the edit.
struct ProposedConfig {
  bool ends = false;  // the edit ends bgp-exporter
  std::map<std::string, InstanceConfig> instances;
  std::map<std::string, PeerConfig> peers;
  Advertisements advertisements;
  std::map<std::string, NodeConfig> nodes;
};

// Nothing of it is a reason to refuse: whoever edits BGP may mean it.
struct ReviewFinding {
  std::string path;
  std::string rule;  // "session-reset", "session-end", "routes-withdrawn"
  std::string message;
  std::string remedy;
  friend bool operator==(const ReviewFinding&, const ReviewFinding&) = default;
};

}  // namespace portolan::bgp
