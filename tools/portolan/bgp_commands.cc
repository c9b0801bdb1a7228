// One node's BGP exporter told what to do: reset a session, drain the node.
#include <iostream>

#include "absl/status/statusor.h"
#include "api/proto/bgp/v1alpha1/control.grpc.pb.h"
#include "services/base/status/status_macros.h"
#include "tools/portolan/client.h"
#include "tools/portolan/commands.h"
#include "tools/portolan/exit_code.h"
#include "tools/portolan/unary_call.h"

namespace portolan::cli {
namespace {

using bgp::v1alpha1::BgpControl;

// `method`: of the stub. Prints what was done.
template <typename Response, typename Request>
absl::Status Order(const Places& places,
                   grpc::Status (BgpControl::Stub::*method)(grpc::ClientContext*, const Request&,
                                                            Response*),
                   const Request& request) {
  ASSIGN_OR_RETURN(const Client client, Client::Open(places));
  ASSIGN_OR_RETURN(const auto channel, client.BgpChannel());
  const auto stub = BgpControl::NewStub(channel);
  ASSIGN_OR_RETURN(const Response response,
                   Call<Response>([&](grpc::ClientContext* context, Response* out) {
                     return ((*stub).*method)(context, request, out);
                   }));
  std::cout << response.message() << "\n";
  return absl::OkStatus();
}

int CodeOf(const absl::Status& status) { return status.ok() ? kOk : Fail(status); }

}  // namespace

int BgpReset(const Places& places, const std::string& peer, bool soft, const std::string& message) {
  bgp::v1alpha1::ResetPeerRequest request;
  request.set_peer(peer);
  request.set_soft(soft);
  request.set_message(message);
  return CodeOf(Order(places, &BgpControl::Stub::ResetPeer, request));
}

int BgpDrain(const Places& places, uint32_t hold_time_s) {
  bgp::v1alpha1::DrainRequest request;
  request.set_hold_time_s(hold_time_s);
  return CodeOf(Order(places, &BgpControl::Stub::Drain, request));
}

int BgpUndrain(const Places& places) {
  return CodeOf(Order(places, &BgpControl::Stub::Undrain, bgp::v1alpha1::UndrainRequest()));
}

}  // namespace portolan::cli
