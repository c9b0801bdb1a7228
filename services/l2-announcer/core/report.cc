#include "services/l2-announcer/core/report.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace portolan::l2 {
namespace {

using Phase = Claim::Phase;

// One sentence about one address, with how bad it is.
struct Verdict {
  enum class Weight { kFine, kWaits, kBroken, kConflict };
  Weight weight = Weight::kFine;
  Finding finding;
  std::string remedy;
};
using Weight = Verdict::Weight;

std::string MacOf(const Lan& lan) { return lan.interface().mac.ToString(); }

// Why nobody may be elected by this node yet.
Verdict NotReady(const std::string& what, const Lan& lan, const std::string& node) {
  const Membership& members = lan.membership();
  if (members.twin().has_value()) {
    return {Weight::kBroken,
            {"", "duplicate-node-name",
             absl::StrCat(what, " is not announced: another node on the LAN, ",
                          members.twin()->ToString(), ", is called \"", node, "\", too")},
            "give every node its own name (--node)"};
  }
  if (members.deaf_peer().has_value()) {
    return {Weight::kWaits,
            {"", "not-heard",
             absl::StrCat(what, " is not announced: node ", *members.deaf_peer(),
                          " does not hear the heartbeats of node ", node)},
            "see whether the LAN carries broadcast frames in both directions"};
  }
  return {
      Weight::kWaits,
      {"", "listening", absl::StrCat(what, " waits until node ", node, " has listened for others")},
      ""};
}

Verdict Taken(const std::string& what, const Claim& claim) {
  const Rival& rival = *claim.rival;
  if (!rival.node.empty()) {
    return {Weight::kWaits,
            {"", "still-answered",
             absl::StrCat(what, " is elected here, but node ", rival.node, " (",
                          rival.mac.ToString(), ") still answers for it")},
            ""};
  }
  return {Weight::kConflict,
          {"", "address-conflict",
           absl::StrCat(what, " is not announced: the foreign host ", rival.mac.ToString(),
                        " answers for it")},
          absl::StrCat("take the address off the host with MAC ", rival.mac.ToString(),
                       ", or out of the pool")};
}

Verdict Standby(const std::string& what, const Claim& claim) {
  if (claim.owner.empty()) {
    return {Weight::kWaits,
            {"", "no-candidate",
             absl::StrCat(what, " is not announced: no node that the policy selects is ready")},
            "see whether the announcers of the selected nodes run and share this LAN"};
  }
  return {Weight::kFine,
          {"", "standby", absl::StrCat(what, " is announced by node ", claim.owner)},
          ""};
}

Verdict Owner(const std::string& what, const Claim& claim, const Lan& lan,
              const std::string& node) {
  const std::string announced =
      absl::StrCat(what, " is announced by node ", node, " (this one), MAC ", MacOf(lan));
  if (!claim.rival.has_value()) return {Weight::kFine, {"", "announced", announced}, ""};
  return {Weight::kConflict,
          {"", "address-conflict",
           absl::StrCat(announced, ", but the foreign host ", claim.rival->mac.ToString(),
                        " claims it, too")},
          absl::StrCat("take the address off the host with MAC ", claim.rival->mac.ToString(),
                       ", or out of the pool")};
}

Verdict Judge(const net::IpAddress& address, const Claim& claim, const Lan& lan,
              const std::string& node) {
  const std::string what = absl::StrCat(address.ToString(), " on ", lan.name());
  switch (claim.phase) {
    case Phase::kNoLink:
      if (lan.link() == Lan::Link::kFailed) {
        return {Weight::kBroken,
                {"", "interface-failed",
                 absl::StrCat(what, " is not announced: ", lan.failure().message)},
                lan.failure().remedy};
      }
      return {Weight::kWaits, {"", "opening", absl::StrCat(what, " waits for its socket")}, ""};
    case Phase::kNotReady:
      return NotReady(what, lan, node);
    case Phase::kKernel:
      return {Weight::kBroken,
              {"", "kernel-address",
               absl::StrCat(what, " is an address of the interface itself: the kernel answers")},
              absl::StrCat("remove ", address.ToString(), " from interface ", lan.name(),
                           ", or from the pool")};
    case Phase::kStandby:
      return Standby(what, claim);
    case Phase::kGated:
      return {
          Weight::kWaits,
          {"", "datapath-not-ready", absl::StrCat(what, " waits for the datapath of node ", node)},
          "see the status of component \"datapath\" of the same service"};
    case Phase::kWaiting:
      return {
          Weight::kWaits,
          {"", "no-agreement",
           absl::StrCat(what, " waits: node ", lan.membership().dissenter().value_or("(unknown)"),
                        " does not hear the same nodes as node ", node)},
          "see whether every node hears every other node on this LAN"};
    case Phase::kProbing:
      if (claim.rival.has_value()) return Taken(what, claim);
      return {Weight::kWaits,
              {"", "probing", absl::StrCat(what, " is being asked for on the LAN")},
              ""};
    case Phase::kTaken:
      return Taken(what, claim);
    case Phase::kOwner:
      return Owner(what, claim, lan, node);
  }
  return {};
}

Verdict Unselected(const AddressSelection& address, const Config& config, const std::string& node) {
  const std::string text = address.address.ToString();
  if (!KnowsNode(config, node)) {
    return {Weight::kBroken,
            {text, "unknown-node",
             absl::StrCat(text, " is not announced: node ", node, " is not in the configuration")},
            absl::StrCat("add node ", node,
                         " to /portolan-system:system/nodes, or start with the "
                         "name of one that is there (--node)")};
  }
  if (!address.selected) {
    return {Weight::kWaits,
            {text, "no-policy",
             config.policies.empty()
                 ? absl::StrCat(text, " is not announced: there is no L2 policy")
                 : absl::StrCat(text, " is not announced: no L2 policy selects it: ",
                                absl::StrJoin(address.findings, "; ",
                                              [](std::string* out, const Finding& finding) {
                                                out->append(finding.message);
                                              }))},
            "add a policy to /portolan-l2:l2/policies, or change its selector"};
  }
  if (!address.ours) {
    return {Weight::kFine,
            {text, "not-this-node",
             absl::StrCat(text, " is announced by other nodes: no policy selects node ", node)},
            ""};
  }
  return {Weight::kBroken,
          {text, "no-interface",
           absl::StrCat(text, " is not announced: node ", node,
                        " has no usable interface for it; see the status of its policies")},
          "bring an interface of the policy up, or name another one"};
}

std::vector<Verdict> JudgeAll(const Selection& selection, const Config& config, const Lans& lans,
                              const std::string& node) {
  std::vector<Verdict> verdicts;
  for (const AddressSelection& address : selection) {
    if (address.interfaces.empty()) verdicts.push_back(Unselected(address, config, node));
    for (const auto& [interface, wanted] : address.interfaces) {
      auto lan = lans.find(interface);
      if (lan == lans.end()) continue;
      auto claim = lan->second->claims().find(address.address);
      if (claim == lan->second->claims().end()) continue;
      Verdict verdict = Judge(address.address, claim->second, *lan->second, node);
      verdict.finding.subject = absl::StrCat(interface, "/", address.address.ToString());
      verdicts.push_back(std::move(verdict));
    }
  }
  return verdicts;
}

bool Owns(const net::IpAddress& address, const Lans& lans) {
  return std::any_of(lans.begin(), lans.end(), [&](const auto& entry) {
    auto claim = entry.second->claims().find(address);
    return claim != entry.second->claims().end() && claim->second.phase == Phase::kOwner;
  });
}

State StateOf(Weight worst, bool some_fine) {
  if (worst == Weight::kFine) return State::kReady;
  if (worst == Weight::kConflict || some_fine) return State::kDegraded;
  return worst == Weight::kBroken ? State::kFailed : State::kPending;
}

}  // namespace

Status ReportService(const std::string& service, const Allocation& allocation,
                     const Selection& selection, const Config& config, const Lans& lans,
                     const std::string& node, bool announce) {
  Status status{.generation = allocation.generation};
  if (!announce) {
    status.reason = "stage-disabled";
    status.message = absl::StrCat("service ", service,
                                  " is not announced: stage \"l2\" of the pipeline is disabled");
    status.remedy = "enable it in /portolan-pipeline:pipeline/stages";
    return status;
  }
  const std::vector<Verdict> verdicts = JudgeAll(selection, config, lans, node);
  const Verdict* worst = nullptr;
  bool some_fine = false;
  std::vector<std::string> messages;
  for (const Verdict& verdict : verdicts) {
    if (worst == nullptr || verdict.weight > worst->weight) worst = &verdict;
    if (verdict.weight == Weight::kFine) {
      some_fine = true;
      messages.push_back(verdict.finding.message);
    }
    status.findings.push_back(verdict.finding);
  }
  for (const AddressSelection& address : selection) {
    status.findings.insert(status.findings.end(), address.findings.begin(), address.findings.end());
    if (Owns(address.address, lans)) status.addresses.push_back(address.address);
  }
  if (worst == nullptr) return status;
  status.state = StateOf(worst->weight, some_fine);
  status.reason = worst->finding.reason;
  status.message =
      worst->weight == Weight::kFine ? absl::StrJoin(messages, "; ") : worst->finding.message;
  status.remedy = worst->remedy;
  return status;
}

Status ReportPolicy(const std::string& name, const Policy& policy, const Config& config,
                    const Lans& lans, const std::string& node) {
  const std::string subject = absl::StrCat("policy \"", name, "\"");
  if (!AllowsNode(config, policy, node)) {
    return {.state = State::kReady,
            .reason = "not-this-node",
            .message = absl::StrCat(subject, " does not select node ", node)};
  }
  Status status;
  std::vector<std::string> used;
  for (const auto& [interface_name, lan] : lans) {
    if (!WantsInterface(policy, interface_name, lan->interface())) continue;
    if (lan->link() == Lan::Link::kFailed) {
      status.findings.push_back(
          {absl::StrCat("interface/", interface_name), "interface-failed", lan->failure().message});
      status.remedy = lan->failure().remedy;
    } else {
      used.push_back(interface_name);
    }
  }
  for (const std::string& wanted : policy.interfaces) {
    auto it = config.interfaces.find(wanted);
    if (it == config.interfaces.end()) {
      status.findings.push_back({absl::StrCat("interface/", wanted), "interface-missing",
                                 absl::StrCat("node ", node, " has no interface ", wanted)});
    } else if (std::optional<std::string> why = WhyUnusable(it->second)) {
      status.findings.push_back(
          {absl::StrCat("interface/", wanted), "interface-unusable",
           absl::StrCat("interface ", wanted, " of node ", node, " cannot be used: ", *why)});
    }
  }
  if (status.findings.empty() && !used.empty()) {
    status.state = State::kReady;
    status.reason = "in-force";
    status.message = absl::StrCat(subject, " announces on ", absl::StrJoin(used, ", "));
    return status;
  }
  status.state = used.empty() ? State::kFailed : State::kDegraded;
  status.reason = status.findings.empty() ? "no-interface" : status.findings.front().reason;
  status.message =
      absl::StrCat(subject, ": ",
                   status.findings.empty()
                       ? absl::StrCat("node ", node,
                                      " has no suitable interface (up, Ethernet, with an address)")
                       : status.findings.front().message);
  if (status.remedy.empty()) {
    status.remedy = absl::StrCat("bring the interface up, or correct leaf-list interface of ",
                                 "/portolan-l2:l2/policies/policy[name='", name, "']");
  }
  return status;
}

}  // namespace portolan::l2
