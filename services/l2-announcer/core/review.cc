#include "services/l2-announcer/core/review.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::l2 {
namespace {

constexpr size_t kMaxFindings = 20;  // of addresses; more are only counted
constexpr char kPoliciesPath[] = "/portolan-l2:l2/policies";
constexpr char kRemedy[] = "keep a policy that selects it with this interface, if it is needed";

std::string PolicyPath(const std::string& name) {
  const char* quote = name.find('\'') == std::string::npos ? "'" : "\"";
  return absl::StrCat(kPoliciesPath, "/policy[name=", quote, name, quote, "]");
}

bool IsNew(const Config& before, const std::string& node, const std::string& name,
           const Policy& policy) {
  const auto known = before.policies.find(name);
  return known == before.policies.end() || known->second.interfaces != policy.interfaces ||
         !AllowsNode(before, known->second, node);
}

// Of the policies that the edit makes or gives other interfaces.
void ReviewInterfaces(const Config& before, const Config& after, const std::string& node,
                      std::vector<ReviewFinding>& findings) {
  for (const auto& [name, policy] : after.policies) {
    if (!AllowsNode(after, policy, node) || !IsNew(before, node, name, policy)) continue;
    for (const std::string& interface : policy.interfaces) {
      const auto known = after.interfaces.find(interface);
      if (known == after.interfaces.end()) {
        findings.push_back(
            {PolicyPath(name), "interface-missing",
             absl::StrCat("node ", node, " has no interface \"", interface, "\", so policy \"",
                          name, "\" announces nothing there until it comes"),
             "correct the name, or leave the node out by node-selector"});
      } else if (const auto why = WhyUnusable(known->second); why.has_value()) {
        findings.push_back({PolicyPath(name), "interface-unfit",
                            absl::StrCat("interface \"", interface, "\" of node ", node,
                                         " cannot be used as it is: ", *why),
                            "name an Ethernet interface that is up, or bring it up"});
      }
    }
  }
}

// Nothing: it is still this node's to answer for.
std::optional<ReviewFinding> ReviewAddress(const Config& after, bool ends, const std::string& node,
                                           const Owned& owned) {
  bool others = false;
  for (const AddressSelection& selected : Select(after, node, owned.service, owned.allocation)) {
    if (selected.address != owned.address) continue;
    if (!ends && selected.interfaces.contains(owned.interface)) return std::nullopt;
    others = selected.selected && after.nodes.size() > 1;
  }
  return ReviewFinding{
      kPoliciesPath, "address-unanswered",
      absl::StrCat("node ", node, " would no longer answer for ", owned.address.ToString(),
                   " of service ", owned.service, " on ", owned.interface,
                   others ? "; other nodes may, where a policy lets them"
                          : ", and no policy leaves it to another node"),
      kRemedy};
}

}  // namespace

std::vector<ReviewFinding> Review(const Config& before, const ProposedConfig& proposed,
                                  const std::string& node, const std::vector<Owned>& owned) {
  const Config after{proposed.policies, proposed.nodes, before.interfaces};
  std::vector<ReviewFinding> findings;
  if (!proposed.ends) ReviewInterfaces(before, after, node, findings);
  size_t unanswered = 0;
  for (const Owned& each : owned) {
    std::optional<ReviewFinding> finding = ReviewAddress(after, proposed.ends, node, each);
    if (!finding.has_value()) continue;
    if (++unanswered <= kMaxFindings) findings.push_back(*std::move(finding));
  }
  if (unanswered > kMaxFindings) {
    findings.push_back({kPoliciesPath, "address-unanswered",
                        absl::StrCat("and so ", unanswered - kMaxFindings, " more addresses"),
                        kRemedy});
  }
  return findings;
}

}  // namespace portolan::l2
