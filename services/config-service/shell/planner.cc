#include "services/config-service/shell/planner.h"

#include <memory>
#include <utility>
#include <vector>

#include "api/proto/ipam/v1alpha1/ipam.grpc.pb.h"
#include "services/config-service/shell/convert.h"

namespace portolan::config {
namespace {

using ipam::v1alpha1::PlanRequest;
using ipam::v1alpha1::PlanResponse;
using PlanAsker = Asker<PlanRequest, PlanResponse>;

std::vector<PlanAsker::Method> MethodsOf(const wire::Channels& ipam) {
  std::vector<PlanAsker::Method> methods;
  for (const std::shared_ptr<grpc::Channel>& channel : ipam.all()) {
    const std::shared_ptr<ipam::v1alpha1::Ipam::Stub> stub = ipam::v1alpha1::Ipam::NewStub(channel);
    methods.push_back([stub](grpc::ClientContext* context, const PlanRequest* request,
                             PlanResponse* response, std::function<void(grpc::Status)> done) {
      stub->async()->Plan(context, request, response, std::move(done));
    });
  }
  return methods;
}

}  // namespace

Planner::Planner(const wire::Channels& ipam, absl::Duration deadline)
    : asker_(MethodsOf(ipam), deadline) {}

void Planner::Ask(PlanRequest request, Callback callback) {
  asker_.Ask(std::move(request),
             [callback = std::move(callback)](absl::StatusOr<PlanResponse> response) {
               if (!response.ok()) return callback(response.status());
               callback(FromProto(*response));
             });
}

}  // namespace portolan::config
