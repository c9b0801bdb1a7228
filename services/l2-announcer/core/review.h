// What an edit of the configuration would do to the addresses that this node answers for. Pure;
// asked of the Engine (Engine::Review), which adds what it owns.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "services/l2-announcer/core/model.h"
#include "services/l2-announcer/core/selection.h"

namespace portolan::l2 {

// The whole configuration after the edit.
struct ProposedConfig {
  bool ends = false;  // the edit ends l2-announcer
  std::map<std::string, Policy> policies;
  std::map<std::string, Labels> nodes;
};

// Nothing of it is a reason to refuse: an interface may come later, and whoever edits a policy may
// mean it.
struct ReviewFinding {
  std::string path;
  std::string rule;  // "interface-missing", "interface-unfit", "address-unanswered"
  std::string message;
  std::string remedy;
  friend bool operator==(const ReviewFinding&, const ReviewFinding&) = default;
};

// An address that this node answers for on an interface.
struct Owned {
  std::string service;
  net::IpAddress address;
  std::string interface;
  Allocation allocation;  // of the service
};

// `before` is in force on `node`; interfaces are those that are there.
std::vector<ReviewFinding> Review(const Config& before, const ProposedConfig& proposed,
                                  const std::string& node, const std::vector<Owned>& owned);

}  // namespace portolan::l2
