// Asks ipam-service what a configuration would do to addresses in use (Ipam.Plan).
//
// See asker.h for threads and ends.
#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/proto/ipam/v1alpha1/ipam.pb.h"
#include "services/base/wire/reader.h"
#include "services/config-service/core/plan.h"
#include "services/config-service/shell/asker.h"

namespace portolan::config {

class Planner {
 public:
  // An error: there is no answer; its message says why in a few words.
  using Answer = absl::StatusOr<AddressPlan>;
  using Callback = std::function<void(Answer)>;

  // Of several, the one that answers is the one that leads; `deadline` is for all together.
  Planner(const wire::Channels& ipam, absl::Duration deadline);

  void Ask(ipam::v1alpha1::PlanRequest request, Callback callback);

 private:
  Asker<ipam::v1alpha1::PlanRequest, ipam::v1alpha1::PlanResponse> asker_;
};

}  // namespace portolan::config
