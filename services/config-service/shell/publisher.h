// Puts changes of the configuration on the streams: one table for each type, owned by the hub. On
// the loop's thread. Nothing comes here before the journal has it.
#pragma once

#include <vector>

#include "api/proto/status/v1alpha1/status.pb.h"
#include "services/base/wire/hub.h"
#include "services/config-service/core/diff.h"

namespace portolan::config {

class Publisher {
 public:
  // Creates one writer for each type. The hub outlives this.
  explicit Publisher(wire::Hub* hub);

  void Apply(const std::vector<Change>& changes);
  void Report(const status::v1alpha1::ObjectStatus& status);
  // Of an object that is no more: its component, node, kind and key.
  void Forget(const status::v1alpha1::ObjectStatus& status);
  // The first complete picture is out.
  void MarkSynced();

 private:
  template <typename T>
  void Put(wire::Writer& writer, const Change& change, const T& object);
  void PutService(const Change& change, const Service& service);

  wire::Writer pools_, ipam_settings_, quotas_, plugins_, nodes_, l2_policies_, l2_settings_,
      bgp_instances_, bgp_peers_, bgp_advertisements_, datapath_interfaces_, datapath_settings_,
      pipeline_stages_, metrics_endpoints_, namespaces_, intents_, backend_sets_, statuses_;
};

}  // namespace portolan::config
