// Which addresses a node may announce on which of its interfaces, and why not the others.
//
// Pure functions over the configuration. An interface that no policy names is used only when it is
// suitable: up, Ethernet, with an address of its own, and not by its name one end of a container
// or a virtual bridge.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "services/l2-announcer/core/lan.h"
#include "services/l2-announcer/core/model.h"

namespace portolan::l2 {

struct Config {
  std::map<std::string, Policy> policies;
  std::map<std::string, Labels> nodes;
  std::map<std::string, Interface> interfaces;
};

// The configuration names no nodes at all, or this one among them.
bool KnowsNode(const Config& config, const std::string& node);
// `node` may announce by this policy.
bool AllowsNode(const Config& config, const Policy& policy, const std::string& node);

// Up and of a kind that can carry ARP and ND; nothing, or what is wrong.
std::optional<std::string> WhyUnusable(const Interface& interface);
// The policy wants this interface of this machine, usable or not.
bool WantsInterface(const Policy& policy, const std::string& name, const Interface& interface);

// Interfaces on which `node` takes part, by all policies.
std::set<std::string> SelectInterfaces(const Config& config, const std::string& node);

struct AddressSelection {
  net::IpAddress address;
  std::map<std::string, Wanted> interfaces;  // where this node may announce it
  // Why not (more): one finding for each policy that does not apply.
  std::vector<Finding> findings;
  bool selected = false;  // by a policy
  bool ours = false;      // by one whose nodes include this one
};
using Selection = std::vector<AddressSelection>;

// `carried` in the result is not filled in.
Selection Select(const Config& config, const std::string& node, const std::string& service,
                 const Allocation& allocation);

}  // namespace portolan::l2
