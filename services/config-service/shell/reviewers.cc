#include "services/config-service/shell/reviewers.h"

#include <utility>

#include "api/proto/review/v1alpha1/review.grpc.pb.h"
#include "services/config-service/shell/convert.h"

namespace portolan::config {
namespace {

using review::v1alpha1::Reviewer;
using review::v1alpha1::ReviewRequest;
using review::v1alpha1::ReviewResponse;

constexpr char kAllInOne[] = "portolan";

Reviewed FromProto(const AskReview& ask, const absl::StatusOr<ReviewResponse>& response) {
  Reviewed reviewed{.id = ask.id, .component = ask.question.component};
  if (!response.ok()) {
    reviewed.unasked = std::string(response.status().message());
    return reviewed;
  }
  for (const review::v1alpha1::Finding& finding : response->findings()) {
    reviewed.findings.push_back({finding.severity() == review::v1alpha1::SEVERITY_REFUSE,
                                 {.path = finding.path(),
                                  .rule = finding.rule(),
                                  .message = finding.message(),
                                  .remedy = finding.remedy()}});
  }
  return reviewed;
}

}  // namespace

Reviewers::Reviewers(const std::vector<process::Peer>& processes, absl::Duration deadline) {
  for (const process::Peer& process : processes) {
    const std::shared_ptr<Reviewer::Stub> stub = Reviewer::NewStub(process.channel);
    const ReviewAsker::Method method =
        [stub](grpc::ClientContext* context, const ReviewRequest* request, ReviewResponse* response,
               std::function<void(grpc::Status)> done) {
          stub->async()->Review(context, request, response, std::move(done));
        };
    askers_[process.name] =
        std::make_unique<ReviewAsker>(std::vector<ReviewAsker::Method>{method}, deadline);
  }
}

void Reviewers::Ask(const AskReview& ask, const Callback& callback) {
  auto asker = askers_.find(ProgramOf(ask.question.component));
  if (asker == askers_.end()) asker = askers_.find(kAllInOne);
  if (asker == askers_.end()) return callback(FromProto(ask, ReviewResponse()));
  asker->second->Ask(ToProto(ask.question),
                     [id = ask.id, component = ask.question.component,
                      callback](const absl::StatusOr<ReviewResponse>& response) {
                       callback(FromProto({id, {.component = component, .part = {}}}, response));
                     });
}

ReviewRequest ToProto(const ReviewQuestion& question) {
  ReviewRequest proto;
  proto.set_component(question.component);
  proto.set_ends(question.ends);
  if (question.ends) return proto;
  const Snapshot& part = question.part;
  if (question.component == "bgp") {
    review::v1alpha1::BgpPart* bgp = proto.mutable_bgp();
    for (const auto& [key, instance] : part.bgp_instances)
      *bgp->add_instances() = ToProto(instance);
    for (const auto& [key, peer] : part.bgp_peers) *bgp->add_peers() = ToProto(peer);
    for (const auto& [key, advertisement] : part.bgp_advertisements) {
      *bgp->add_advertisements() = ToProto(advertisement);
    }
    for (const auto& [key, node] : part.nodes) *bgp->add_nodes() = ToProto(node);
  } else if (question.component == "l2") {
    review::v1alpha1::L2Part* l2 = proto.mutable_l2();
    for (const auto& [key, policy] : part.l2_policies) *l2->add_policies() = ToProto(policy);
    for (const auto& [key, node] : part.nodes) *l2->add_nodes() = ToProto(node);
  } else {
    review::v1alpha1::DatapathPart* datapath = proto.mutable_datapath();
    for (const auto& [key, interface] : part.datapath_interfaces) {
      *datapath->add_interfaces() = ToProto(interface);
    }
    for (const auto& [key, settings] : part.datapath_settings) {
      *datapath->mutable_settings() = ToProto(settings);
    }
  }
  return proto;
}

}  // namespace portolan::config
