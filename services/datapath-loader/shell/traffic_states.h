// What goes through each frontend and to each backend: the streams FrontendState and BackendState.
//
// A change of state is published by the next piece of a sweep, frontends at once. A sweep reads the
// counters of all ids in pieces and publishes those that changed, so that ten thousand services
// cost no event of the loop more than a millisecond or so. Belongs to the publisher; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/base/wire/hub.h"
#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/shell/kernel_maps.h"

namespace portolan::datapath {

class TrafficStates {
 public:
  // Creates the writers: before the first reader comes.
  TrafficStates(wire::Hub& hub, std::string node);

  void Put(const FrontendView& view);
  void Remove(const FrontendKey& key);
  // Replaces what the service had.
  void Put(const std::string& service, const std::vector<BackendView>& views);

  // One piece of the work. True: there is more of this sweep, call again.
  bool Sweep(const KernelMaps& maps);
  void MarkSynced();
  size_t frontends() const { return frontends_.size(); }

 private:
  struct Frontend {
    FrontendView view;
    portolan_counter counter{};  // as published
  };
  struct Backend {
    std::string service;
    BackendView view;
    portolan_counter counter{};  // as published
  };

  void PublishChanged();
  void ReadFrontends(const KernelMaps& maps);
  void ReadBackends(const KernelMaps& maps);
  void Publish(const Frontend& frontend);
  void Publish(const std::string& key, const Backend& backend);

  const std::string node_;
  wire::Writer frontend_writer_;
  wire::Writer backend_writer_;
  std::map<FrontendKey, Frontend> frontends_;
  std::map<std::string, Backend> backends_;  // by key of the stream
  // Keys of each service's backends; those of the kernel by id.
  std::map<std::string, std::vector<std::string>> keys_;
  absl::flat_hash_map<uint32_t, FrontendKey> frontend_ids_;
  absl::flat_hash_map<uint32_t, std::string> backend_ids_;
  std::set<std::string> changed_;  // keys of backends
  // No id is higher; where this sweep is.
  uint32_t last_frontend_ = 0;
  uint32_t last_backend_ = 0;
  uint32_t next_frontend_ = 1;
  uint32_t next_backend_ = 1;
};

}  // namespace portolan::datapath
