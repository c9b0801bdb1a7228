#include "services/datapath-loader/shell/traffic_states.h"

#include <algorithm>
#include <utility>

#include "api/proto/datapath/v1alpha1/datapath.pb.h"
#include "services/datapath-loader/shell/convert.h"

namespace portolan::datapath {
namespace {

// In one piece of a sweep.
constexpr size_t kStates = 256;
constexpr uint32_t kCounters = 2048;

bool Same(const portolan_counter& a, const portolan_counter& b) {
  return a.packets == b.packets && a.bytes == b.bytes && a.flows == b.flows;
}

}  // namespace

TrafficStates::TrafficStates(wire::Hub& hub, std::string node)
    : node_(std::move(node)),
      frontend_writer_(hub.NewWriter<datapath::v1alpha1::FrontendState>()),
      backend_writer_(hub.NewWriter<datapath::v1alpha1::BackendState>()) {}

void TrafficStates::Put(const FrontendView& view) {
  Frontend& frontend = frontends_[view.key];
  if (frontend.view.id != view.id) {
    const auto old = frontend_ids_.find(frontend.view.id);
    if (old != frontend_ids_.end() && old->second == view.key) frontend_ids_.erase(old);
    frontend.counter = {};
  }
  frontend.view = view;
  frontend_ids_[view.id] = view.key;
  last_frontend_ = std::max(last_frontend_, view.id);
  Publish(frontend);
}

void TrafficStates::Remove(const FrontendKey& key) {
  const auto found = frontends_.find(key);
  if (found == frontends_.end()) return;
  const auto id = frontend_ids_.find(found->second.view.id);
  if (id != frontend_ids_.end() && id->second == key) frontend_ids_.erase(id);
  frontends_.erase(found);
  frontend_writer_.Remove(FrontendStateKey(key, node_));
}

void TrafficStates::Put(const std::string& service, const std::vector<BackendView>& views) {
  std::vector<std::string> before = std::exchange(keys_[service], {});
  const std::set<std::string> old(std::make_move_iterator(before.begin()),
                                  std::make_move_iterator(before.end()));
  std::vector<std::string>& keys = keys_[service];
  for (const std::string& key : old) {
    const auto id = backend_ids_.find(backends_.at(key).view.id);
    if (id != backend_ids_.end() && id->second == key) backend_ids_.erase(id);
  }
  for (const BackendView& view : views) {
    const std::string key = BackendStateKey(service, view, node_);
    Backend& backend = backends_[key];
    if (backend.view.id != view.id) backend.counter = {};
    if (backend.service.empty() || !(backend.view == view)) changed_.insert(key);
    backend.service = service;
    backend.view = view;
    keys.push_back(key);
    if (view.id == 0) continue;
    backend_ids_[view.id] = key;
    last_backend_ = std::max(last_backend_, view.id);
  }
  const std::set<std::string> now(keys.begin(), keys.end());
  for (const std::string& key : old) {
    if (now.contains(key)) continue;
    backends_.erase(key);
    changed_.erase(key);
    backend_writer_.Remove(key);
  }
  if (keys.empty()) keys_.erase(service);
}

bool TrafficStates::Sweep(const KernelMaps& maps) {
  if (!changed_.empty()) {
    PublishChanged();
    return true;
  }
  if (next_frontend_ <= last_frontend_) {
    ReadFrontends(maps);
    return true;
  }
  if (next_backend_ <= last_backend_) {
    ReadBackends(maps);
    return true;
  }
  next_frontend_ = next_backend_ = 1;
  return false;
}

void TrafficStates::PublishChanged() {
  for (size_t i = 0; i < kStates && !changed_.empty(); i++) {
    const std::string key = *changed_.begin();
    changed_.erase(changed_.begin());
    Publish(key, backends_.at(key));
  }
}

void TrafficStates::ReadFrontends(const KernelMaps& maps) {
  std::vector<portolan_counter> counters;
  const uint32_t count = std::min(kCounters, last_frontend_ - next_frontend_ + 1);
  maps.FrontendCounters(next_frontend_, count, counters);
  for (uint32_t i = 0; i < count; i++) {
    const auto id = frontend_ids_.find(next_frontend_ + i);
    if (id == frontend_ids_.end()) continue;
    Frontend& frontend = frontends_.at(id->second);
    if (Same(frontend.counter, counters[i])) continue;
    frontend.counter = counters[i];
    Publish(frontend);
  }
  next_frontend_ += count;
}

void TrafficStates::ReadBackends(const KernelMaps& maps) {
  std::vector<portolan_counter> counters;
  const uint32_t count = std::min(kCounters, last_backend_ - next_backend_ + 1);
  maps.BackendCounters(next_backend_, count, counters);
  for (uint32_t i = 0; i < count; i++) {
    const auto id = backend_ids_.find(next_backend_ + i);
    if (id == backend_ids_.end()) continue;
    Backend& backend = backends_.at(id->second);
    if (Same(backend.counter, counters[i])) continue;
    backend.counter = counters[i];
    Publish(id->second, backend);
  }
  next_backend_ += count;
}

void TrafficStates::Publish(const Frontend& frontend) {
  frontend_writer_.Upsert(FrontendStateKey(frontend.view.key, node_),
                          ToProto(frontend.view, frontend.counter, node_));
}

void TrafficStates::Publish(const std::string& key, const Backend& backend) {
  backend_writer_.Upsert(key, ToProto(backend.service, backend.view, backend.counter, node_));
}

void TrafficStates::MarkSynced() {
  frontend_writer_.MarkSynced();
  backend_writer_.MarkSynced();
}

}  // namespace portolan::datapath
