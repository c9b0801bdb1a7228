// What a program would do with a packet that came in now, and why: run on a shadow of the maps.
//
// Of the flow tables only what the packet can touch is copied: its flow, and then whatever the
// program would write over, found by running again until it writes over nothing that is live. So
// the answer is that of the live maps, and they stay as they are. Belongs to the control thread,
// which it holds for about half a second.
#pragma once

#include "absl/status/statusor.h"
#include "api/proto/datapath/v1alpha1/control.pb.h"
#include "services/datapath-loader/shell/live_maps.h"
#include "services/datapath-loader/shell/service_names.h"

namespace portolan::datapath {

// NOT_FOUND: no such interface. INVALID_ARGUMENT: no such program, or no packet.
absl::StatusOr<v1alpha1::SimulateResponse> Simulate(const v1alpha1::SimulateRequest& request,
                                                    const LiveMaps& live,
                                                    const ServiceNames& names);

}  // namespace portolan::datapath
