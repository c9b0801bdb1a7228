// The flow tables for people: lists, takes in and forgets flows, in words that other nodes
// understand (addresses and ports, never ids).
//
// Works on the maps while packets change them; each flow is right by itself. Belongs to the control
// thread, which a page of a listing holds for some milliseconds, a flush for as long as the tables
// are large (a second or two for a million flows). Errors: INVALID_ARGUMENT names the field.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/proto/datapath/v1alpha1/control.pb.h"
#include "services/datapath-loader/shell/directory.h"
#include "services/datapath-loader/shell/live_maps.h"
#include "services/datapath-loader/shell/service_names.h"

namespace portolan::datapath {

// Borrows both arguments.
class FlowTable {
 public:
  FlowTable(const LiveMaps& maps, const ServiceNames& names) : maps_(maps), names_(names) {}

  absl::StatusOr<v1alpha1::ListFlowsResponse> List(const v1alpha1::ListFlowsRequest& request);
  absl::StatusOr<v1alpha1::ImportFlowsResponse> Import(const v1alpha1::ImportFlowsRequest& request);
  absl::StatusOr<v1alpha1::FlushFlowsResponse> Flush(const v1alpha1::FlushFlowsRequest& request);

 private:
  const LiveMaps& maps_;
  const ServiceNames& names_;
};

}  // namespace portolan::datapath
