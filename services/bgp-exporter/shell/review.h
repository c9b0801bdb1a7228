// The questions of review.v1alpha1.Reviewer as the core has them, and its answers.
// Pure functions, any thread.
#pragma once

#include <vector>

#include "api/proto/review/v1alpha1/review.pb.h"
#include "services/bgp-exporter/core/review.h"

namespace portolan::bgp {

ProposedConfig FromProto(const review::v1alpha1::ReviewRequest& request);
review::v1alpha1::ReviewResponse ToProto(const std::vector<ReviewFinding>& findings);

}  // namespace portolan::bgp
