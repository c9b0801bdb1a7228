#include "services/l2-announcer/core/selection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace portolan::l2 {
namespace {

// Names that container runtimes and hypervisors give to what is not a LAN.
constexpr absl::string_view kForeignNames[] = {"docker", "cni", "veth", "cali", "lxc", "virbr"};

bool HasGlobalAddress(const Interface& interface) {
  return std::any_of(interface.addresses.begin(), interface.addresses.end(),
                     [](const net::IpAddress& address) {
                       return !address.IsLinkLocal() && !address.IsLoopback();
                     });
}

// Why the policy does not apply to the address; empty: it does.
Finding Mismatch(const Policy& policy, const std::string& name, const std::string& service,
                 const Labels& labels, const Grant& grant) {
  const std::string subject = absl::StrCat("policy/", name);
  const std::string mismatch = policy.services.FirstMismatch(service, labels);
  if (!mismatch.empty()) {
    return {subject, "selector-mismatch",
            absl::StrCat("service-selector of policy \"", name, "\" does not match service ",
                         service, ": ", mismatch)};
  }
  if (!policy.pools.empty() &&
      std::find(policy.pools.begin(), policy.pools.end(), grant.pool) == policy.pools.end()) {
    return {subject, "pool-mismatch",
            absl::StrCat("policy \"", name, "\" is for pools ", absl::StrJoin(policy.pools, ", "),
                         "; ", grant.address.ToString(), " is of pool \"", grant.pool, "\"")};
  }
  return {};
}

}  // namespace

bool KnowsNode(const Config& config, const std::string& node) {
  return config.nodes.empty() || config.nodes.contains(node);
}

bool AllowsNode(const Config& config, const Policy& policy, const std::string& node) {
  if (!KnowsNode(config, node)) return false;
  auto it = config.nodes.find(node);
  return policy.nodes.Matches(node, it == config.nodes.end() ? Labels() : it->second);
}

std::optional<std::string> WhyUnusable(const Interface& interface) {
  if (interface.loopback || !interface.ethernet) return "it is not an Ethernet interface";
  if (!interface.up) return "it is down or has no carrier";
  return std::nullopt;
}

bool WantsInterface(const Policy& policy, const std::string& name, const Interface& interface) {
  if (!policy.interfaces.empty()) {
    return std::find(policy.interfaces.begin(), policy.interfaces.end(), name) !=
           policy.interfaces.end();
  }
  const bool foreign =
      std::any_of(std::begin(kForeignNames), std::end(kForeignNames),
                  [&](absl::string_view prefix) { return absl::StartsWith(name, prefix); });
  return !foreign && !WhyUnusable(interface).has_value() && HasGlobalAddress(interface);
}

std::set<std::string> SelectInterfaces(const Config& config, const std::string& node) {
  std::set<std::string> selected;
  for (const auto& [policy_name, policy] : config.policies) {
    if (!AllowsNode(config, policy, node)) continue;
    for (const auto& [name, interface] : config.interfaces) {
      if (WantsInterface(policy, name, interface) && !WhyUnusable(interface).has_value()) {
        selected.insert(name);
      }
    }
  }
  return selected;
}

Selection Select(const Config& config, const std::string& node, const std::string& service,
                 const Allocation& allocation) {
  Selection selection;
  for (const Grant& grant : allocation.grants) {
    AddressSelection& chosen = selection.emplace_back();
    chosen.address = grant.address;
    for (const auto& [name, policy] : config.policies) {
      Finding mismatch = Mismatch(policy, name, service, allocation.labels, grant);
      if (!mismatch.reason.empty()) {
        chosen.findings.push_back(std::move(mismatch));
        continue;
      }
      chosen.selected = true;
      if (!AllowsNode(config, policy, node)) {
        chosen.findings.push_back(
            {absl::StrCat("policy/", name), "node-mismatch",
             absl::StrCat("policy \"", name, "\" leaves ", grant.address.ToString(),
                          " to other nodes than ", node, " (node-selector ",
                          policy.nodes.ToString(), ")")});
        continue;
      }
      chosen.ours = true;
      for (const auto& [interface_name, interface] : config.interfaces) {
        if (!WantsInterface(policy, interface_name, interface) ||
            WhyUnusable(interface).has_value()) {
          continue;
        }
        Wanted& wanted = chosen.interfaces[interface_name];
        wanted.service = service;
        wanted.any_node = config.nodes.empty();
        for (const auto& [peer, labels] : config.nodes) {
          if (policy.nodes.Matches(peer, labels)) wanted.nodes.insert(peer);
        }
      }
    }
  }
  return selection;
}

}  // namespace portolan::l2
