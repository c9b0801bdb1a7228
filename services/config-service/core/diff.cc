#include "services/config-service/core/diff.h"

#include <algorithm>
#include <map>

namespace portolan::config {
namespace {

template <typename T>
const T& Value(const T& row) {
  return row;
}

template <typename T>
const T& Value(const Shared<T>& row) {
  return *row;
}

template <typename T>
void DiffTable(const std::map<std::string, T>& from, const std::map<std::string, T>& to,
               std::vector<Change>* changes) {
  auto old_row = from.begin();
  auto new_row = to.begin();
  while (old_row != from.end() || new_row != to.end()) {
    if (new_row == to.end() || (old_row != from.end() && old_row->first < new_row->first)) {
      changes->push_back({Change::Action::kRemove, old_row->first, Value(old_row->second)});
      ++old_row;
    } else if (old_row == from.end() || new_row->first < old_row->first) {
      changes->push_back({Change::Action::kUpsert, new_row->first, Value(new_row->second)});
      ++new_row;
    } else {
      if (old_row->second != new_row->second) {
        changes->push_back({Change::Action::kUpsert, new_row->first, Value(new_row->second)});
      }
      ++old_row;
      ++new_row;
    }
  }
}

}  // namespace

std::vector<Change> Diff(const Snapshot& from, const Snapshot& to) {
  std::vector<Change> changes;
  DiffTable(from.pipeline_stages, to.pipeline_stages, &changes);
  DiffTable(from.metrics_endpoints, to.metrics_endpoints, &changes);
  DiffTable(from.plugins, to.plugins, &changes);
  DiffTable(from.nodes, to.nodes, &changes);
  DiffTable(from.ipam_settings, to.ipam_settings, &changes);
  DiffTable(from.pools, to.pools, &changes);
  DiffTable(from.quotas, to.quotas, &changes);
  DiffTable(from.l2_settings, to.l2_settings, &changes);
  DiffTable(from.l2_policies, to.l2_policies, &changes);
  DiffTable(from.bgp_instances, to.bgp_instances, &changes);
  DiffTable(from.bgp_peers, to.bgp_peers, &changes);
  DiffTable(from.bgp_advertisements, to.bgp_advertisements, &changes);
  DiffTable(from.datapath_settings, to.datapath_settings, &changes);
  DiffTable(from.datapath_interfaces, to.datapath_interfaces, &changes);
  DiffTable(from.namespaces, to.namespaces, &changes);
  DiffTable(from.services, to.services, &changes);
  std::stable_partition(changes.begin(), changes.end(), [](const Change& change) {
    return change.action == Change::Action::kRemove;
  });
  return changes;
}

}  // namespace portolan::config
