#include "tools/portolan/service_story.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace portolan::cli {
namespace {

using status::v1alpha1::ObjectStatus;
using status::v1alpha1::State;

int PipelineOrder(const std::string& component) {
  const std::vector<std::string> order = {"config", "ipam", "datapath", "l2", "bgp"};
  return static_cast<int>(std::find(order.begin(), order.end(), component) - order.begin());
}

void Judge(ServiceStory& story) {
  story.state = "pending";
  story.why = story.known ? "ipam has not spoken yet" : "no such Service is declared";
  if (story.steps.empty()) return;
  for (const ObjectStatus& step : story.steps) {
    if (!IsProblem(step)) continue;
    story.state = StateName(step.state());
    story.why = step.message();
    story.remedy = step.remedy();
    return;
  }
  if (story.addresses.empty()) return;
  story.state = "ready";
  story.why.clear();
  if (story.announced_by.empty() && story.bgp_peers.empty()) {
    story.state = "pending";
    story.why = "it has its addresses, but nothing announces them";
    story.remedy = "add an L2 policy or a BGP advertisement whose selector matches the Service";
  }
}

}  // namespace

std::string StateName(State state) {
  switch (state) {
    case State::STATE_PENDING:
      return "pending";
    case State::STATE_READY:
      return "ready";
    case State::STATE_DEGRADED:
      return "degraded";
    case State::STATE_REJECTED:
      return "rejected";
    case State::STATE_FAILED:
      return "failed";
    default:
      return "unknown";
  }
}

// Not being asked to announce is an answer, not a fault: most Services are on a LAN or on BGP, not
// on both, and not on every node.
bool IsProblem(const ObjectStatus& status) {
  static const std::set<std::string> not_asked = {"no-policy", "no-advertisement", "not-this-node"};
  return status.state() != State::STATE_READY && !not_asked.contains(status.reason());
}

ServiceStory TellStory(const Tables& tables, const std::string& key) {
  ServiceStory story;
  story.key = key;
  story.known = tables.intents.contains(key);
  if (const auto it = tables.allocations.find(key); it != tables.allocations.end()) {
    for (const auto& grant : it->second.grants()) story.addresses.push_back(grant.address());
  }
  if (const auto it = tables.backends.find(key); it != tables.backends.end()) {
    story.backends = it->second.backends_size();
  }
  std::set<std::string> announced, peers;
  for (const auto& [id, announcement] : tables.announcements) {
    if (announcement.service() == key && announcement.state() == "owner") {
      announced.insert(absl::StrCat(announcement.node(), " (", announcement.interface(), ")"));
    }
  }
  for (const auto& [id, route] : tables.routes) {
    if (route.service() == key) peers.insert(absl::StrCat(route.node(), ">", route.peer()));
  }
  story.announced_by.assign(announced.begin(), announced.end());
  story.bgp_peers.assign(peers.begin(), peers.end());
  for (const auto& [id, status] : tables.statuses) {
    if (status.kind() == "service" && status.key() == key) story.steps.push_back(status);
  }
  std::stable_sort(story.steps.begin(), story.steps.end(),
                   [](const ObjectStatus& a, const ObjectStatus& b) {
                     return std::forward_as_tuple(PipelineOrder(a.component()), a.node()) <
                            std::forward_as_tuple(PipelineOrder(b.component()), b.node());
                   });
  Judge(story);
  return story;
}

}  // namespace portolan::cli
