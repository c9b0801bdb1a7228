// What every step of the pipeline says of one Service, joined by its key.
// Pure: from the published tables to the story; the engine behind `explain` and `get services`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/bgp/v1alpha1/bgp.pb.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "api/proto/l2/v1alpha1/l2.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"

namespace portolan::cli {

// The published tables, by key.
struct Tables {
  std::map<std::string, intent::v1alpha1::ServiceIntent> intents;
  std::map<std::string, intent::v1alpha1::BackendSet> backends;
  std::map<std::string, allocation::v1alpha1::Allocation> allocations;
  std::map<std::string, l2::v1alpha1::Announcement> announcements;
  std::map<std::string, bgp::v1alpha1::Route> routes;
  std::map<std::string, status::v1alpha1::ObjectStatus> statuses;
};

struct ServiceStory {
  std::string key;
  bool known = false;  // a ServiceIntent exists
  std::vector<std::string> addresses;
  std::vector<std::string> announced_by;  // "b (lan0)": owners on a LAN
  std::vector<std::string> bgp_peers;     // distinct peers that hold a route
  int backends = 0;
  // In pipeline order: ipam, datapath, l2, bgp; by node inside.
  std::vector<status::v1alpha1::ObjectStatus> steps;
  std::string state;  // "ready", "pending", "degraded", "rejected", "failed"
  std::string why;    // of the first step that is not ready; empty when ready
  std::string remedy;
};

// "pending" for STATE_PENDING, and so on.
std::string StateName(status::v1alpha1::State state);

// Neither ready nor merely not asked (a Service that no policy of this node selects).
bool IsProblem(const status::v1alpha1::ObjectStatus& status);

ServiceStory TellStory(const Tables& tables, const std::string& key);

}  // namespace portolan::cli
