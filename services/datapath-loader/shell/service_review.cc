// What DatapathService says of an edit that is not committed yet.
#include "absl/status/status.h"
#include "services/base/process/review_finding.h"
#include "services/datapath-loader/core/review.h"
#include "services/datapath-loader/shell/datapath_service.h"

namespace portolan::datapath {
namespace {

MapRoom ToMapRoom(const Sizes& sizes) {
  const Sizes full = OrDefaults(sizes);
  return {.flows = full.max_flows, .frontends = full.max_frontends, .backends = full.max_backends};
}

}  // namespace

absl::StatusOr<review::v1alpha1::ReviewResponse> DatapathService::OnReview(
    const review::v1alpha1::ReviewRequest& request) {
  if (interfaces_ == nullptr) return absl::UnavailableError("the datapath is not loaded");
  ReviewInput input{.node = context_.node, .ends = request.ends()};
  for (const config::v1alpha1::DatapathInterface& proposed : request.datapath().interfaces()) {
    if (!Concerns(proposed, context_.node)) continue;
    input.names_any = true;
    const auto known = interfaces_config_.find(proposed.name());
    const bool same = known != interfaces_config_.end() &&
                      known->second.mode() == proposed.mode() &&
                      Concerns(known->second, context_.node);
    if (same || orders_.contains(proposed.name())) continue;
    input.interfaces.push_back(
        {proposed.name(), interfaces_->MayCarry(proposed.name(), proposed.mode())});
  }
  input.names_any = input.names_any || !orders_.empty();
  input.carries_before = interfaces_->attached() > 0;
  input.loaded = ToMapRoom(loaded_sizes_);
  input.configured = ToMapRoom(ToSizes(settings_));
  input.proposed = ToMapRoom(ToSizes(request.datapath().settings()));
  const Engine::Usage usage = engine_.InUse();
  input.in_use = {.frontends = usage.frontends, .backends = usage.backends};
  review::v1alpha1::ReviewResponse response;
  for (const ReviewFinding& finding : Review(input)) {
    process::AddFinding(
        finding,
        finding.refuse ? review::v1alpha1::SEVERITY_REFUSE : review::v1alpha1::SEVERITY_WARN,
        &response);
  }
  return response;
}

}  // namespace portolan::datapath
