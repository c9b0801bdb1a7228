#include "services/datapath-loader/shell/drop_states.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/proto/datapath/v1alpha1/datapath.pb.h"
#include "services/datapath-loader/shell/drop_reason.h"

namespace portolan::datapath {
namespace {

std::string StreamKey(const std::string& node, const std::string& owner, portolan_drop reason) {
  return absl::StrCat(node, "/", owner, "/", NameOf(reason).first);
}

}  // namespace

DropStates::DropStates(wire::Hub& hub, std::string node)
    : node_(std::move(node)), writer_(hub.NewWriter<v1alpha1::DropState>()) {}

void DropStates::Put(const FrontendView& view) {
  Remove(view.key);
  views_[view.key] = view;
  ids_[view.id] = view.key;
  frontends_[view.service]++;
}

void DropStates::Remove(const FrontendKey& key) {
  const auto found = views_.find(key);
  if (found == views_.end()) return;
  const auto id = ids_.find(found->second.id);
  if (id != ids_.end() && id->second == key) ids_.erase(id);
  const std::string service = found->second.service;
  views_.erase(found);
  if (--frontends_[service] == 0) frontends_.erase(service);
}

bool DropStates::Sweep(const KernelMaps& maps) {
  const std::vector<ServiceDrop> rows = maps.ServiceDrops(position_);
  const bool last = !position_.has_value();
  Take(rows, last);
  return !last;
}

void DropStates::Take(const std::vector<ServiceDrop>& rows, bool last) {
  std::set<SumKey> changed;
  for (const ServiceDrop& row : rows) {
    std::string owner;
    if (row.address.has_value()) {
      owner = row.address->ToString();
    } else {
      const auto id = ids_.find(row.frontend);
      if (id == ids_.end()) continue;  // not known yet: it is added when it is
      owner = views_.at(id->second).service;
    }
    Seen& seen = seen_[{row.frontend, row.epoch, row.address, row.reason}];
    seen.in_this_sweep = true;
    if (row.counter.packets < seen.counter.packets) seen.counter = {};  // evicted, and back
    const uint64_t packets = row.counter.packets - seen.counter.packets;
    const uint64_t bytes = row.counter.bytes - seen.counter.bytes;
    seen.counter = row.counter;
    if (packets == 0) continue;
    const SumKey key{std::move(owner), row.reason};
    Sum& sum = sums_[key];
    sum.of_address = row.address.has_value();
    if (sum.counter.packets == 0 && !sum.of_address && in_metric_ < kMostInMetric) {
      sum.in_metric = true;
      in_metric_++;
    }
    sum.counter.packets += packets;
    sum.counter.bytes += bytes;
    changed.insert(key);
  }
  for (const SumKey& key : changed) Publish(key, sums_.at(key));
  if (last) ForgetRows();
}

// After a whole sweep: what is not in the map any more, and sums of what is no more.
void DropStates::ForgetRows() {
  std::set<std::string> addresses;
  for (auto it = seen_.begin(); it != seen_.end();) {
    if (!std::exchange(it->second.in_this_sweep, false)) {
      it = seen_.erase(it);
      continue;
    }
    const auto& address = std::get<2>(it->first);
    if (address.has_value()) addresses.insert(address->ToString());
    ++it;
  }
  std::vector<SumKey> gone;
  for (const auto& [key, sum] : sums_) {
    const bool alive =
        sum.of_address ? addresses.contains(key.first) : frontends_.contains(key.first);
    if (!alive) gone.push_back(key);
  }
  for (const SumKey& key : gone) Erase(key);
}

void DropStates::Publish(const SumKey& key, const Sum& sum) {
  const auto& [owner, reason] = key;
  v1alpha1::DropState state;
  state.set_node(node_);
  if (sum.of_address) {
    state.set_address(owner);
  } else {
    state.set_service(owner);
  }
  state.set_reason(NameOf(reason).first);
  state.set_message(NameOf(reason).second);
  state.set_packets(sum.counter.packets);
  state.set_bytes(sum.counter.bytes);
  writer_.Upsert(StreamKey(node_, owner, reason), state);
}

void DropStates::Erase(const SumKey& key) {
  const auto found = sums_.find(key);
  if (found->second.in_metric) in_metric_--;
  sums_.erase(found);
  writer_.Remove(StreamKey(node_, key.first, key.second));
}

void DropStates::Collect(metrics::Page& page) const {
  constexpr char kName[] = "portolan_datapath_service_dropped_packets_total";
  constexpr char kHelp[] =
      "Packets of a Service that were dropped; an empty one stands for addresses where nothing is "
      "served, \"others\" for what does not fit into the metric.";
  std::map<std::pair<std::string, portolan_drop>, uint64_t> rest;
  for (const auto& [key, sum] : sums_) {
    const auto& [owner, reason] = key;
    if (sum.of_address || !sum.in_metric) {
      rest[{sum.of_address ? "" : "others", reason}] += sum.counter.packets;
      continue;
    }
    page.AddCounter(kName, kHelp, {{"service", owner}, {"reason", NameOf(reason).first}},
                    static_cast<double>(sum.counter.packets));
  }
  for (const auto& [key, packets] : rest) {
    page.AddCounter(kName, kHelp, {{"service", key.first}, {"reason", NameOf(key.second).first}},
                    static_cast<double>(packets));
  }
}

}  // namespace portolan::datapath
