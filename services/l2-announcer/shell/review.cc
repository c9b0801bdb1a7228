#include "services/l2-announcer/shell/review.h"

#include "services/base/process/review_finding.h"
#include "services/base/selector/selector_proto.h"
#include "services/l2-announcer/shell/convert.h"

namespace portolan::l2 {

ProposedConfig FromProto(const review::v1alpha1::ReviewRequest& request) {
  ProposedConfig proposed{.ends = request.ends()};
  for (const auto& proto : request.l2().policies()) {
    proposed.policies[proto.name()] = FromProto(proto);
  }
  for (const auto& proto : request.l2().nodes()) {
    proposed.nodes[proto.name()] = portolan::FromProto(proto.labels());
  }
  return proposed;
}

review::v1alpha1::ReviewResponse ToProto(const std::vector<ReviewFinding>& findings) {
  review::v1alpha1::ReviewResponse response;
  for (const ReviewFinding& finding : findings) {
    process::AddFinding(finding, review::v1alpha1::SEVERITY_WARN, &response);
  }
  return response;
}

}  // namespace portolan::l2
