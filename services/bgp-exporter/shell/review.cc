#include "services/bgp-exporter/shell/review.h"

#include "services/base/process/review_finding.h"
#include "services/bgp-exporter/shell/convert.h"

namespace portolan::bgp {

ProposedConfig FromProto(const review::v1alpha1::ReviewRequest& request) {
  ProposedConfig proposed{.ends = request.ends()};
  for (const auto& proto : request.bgp().instances()) {
    proposed.instances[proto.name()] = FromProto(proto);
  }
  for (const auto& proto : request.bgp().peers()) {
    PeerConfig peer = FromProto(proto);
    proposed.peers[peer.key()] = std::move(peer);
  }
  for (const auto& proto : request.bgp().advertisements()) {
    proposed.advertisements.Set(FromProto(proto));
  }
  for (const auto& proto : request.bgp().nodes()) proposed.nodes[proto.name()] = FromProto(proto);
  return proposed;
}

review::v1alpha1::ReviewResponse ToProto(const std::vector<ReviewFinding>& findings) {
  review::v1alpha1::ReviewResponse response;
  for (const ReviewFinding& finding : findings) {
    process::AddFinding(finding, review::v1alpha1::SEVERITY_WARN, &response);
  }
  return response;
}

}  // namespace portolan::bgp
