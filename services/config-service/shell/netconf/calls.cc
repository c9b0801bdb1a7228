#include "services/config-service/shell/netconf/calls.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "services/base/wire/grpc_status.h"

namespace portolan::config {
namespace {

// In one process they are all the same one.
constexpr char kAllInOne[] = "portolan";

absl::Status ToStatus(const std::string& name, const grpc::Status& status,
                      absl::Duration deadline) {
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  const std::string remedy = absl::StrCat("; see that ", name,
                                          " runs on this node and is not of "
                                          "another version: portolan get problems");
  switch (code) {
    case absl::StatusCode::kUnavailable:
      return absl::Status(code, absl::StrCat(name, " is away: ", status.error_message(), remedy));
    case absl::StatusCode::kDeadlineExceeded:
      return absl::Status(
          code, absl::StrCat(name, " did not answer in ", absl::FormatDuration(deadline), remedy));
    case absl::StatusCode::kUnimplemented:
      return absl::Status(code, absl::StrCat(name, " does not know the call", remedy));
    case absl::StatusCode::kCancelled:
      return absl::Status(code, "config-service is stopping");
    default:
      return wire::FromGrpc(status);
  }
}

}  // namespace

void Calls::SetServices(const process::Upstreams& upstreams) {
  ipam_ = {"ipam-service", upstreams.allocation.all()};
  datapath_ = {"datapath-loader", {upstreams.datapath}};
  bgp_ = {"bgp-exporter", {}};
  for (const process::Peer& peer : upstreams.peers) {
    if (peer.name == bgp_.name || peer.name == kAllInOne) bgp_.channels.push_back(peer.channel);
  }
}

void Calls::End() {
  absl::MutexLock lock(&mutex_);
  ended_ = true;
  for (grpc::ClientContext* context : running_) context->TryCancel();
}

const Calls::Service& Calls::Of(Whom whom) const {
  if (whom == Whom::kIpam) return ipam_;
  return whom == Whom::kBgp ? bgp_ : datapath_;
}

grpc::Status Calls::MakeOne(const std::shared_ptr<grpc::Channel>& channel, absl::Time deadline,
                            Call call) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(deadline));
  {
    absl::MutexLock lock(&mutex_);
    if (ended_) return grpc::Status::CANCELLED;
    running_.insert(&context);
  }
  grpc::Status status = call(channel, &context);
  absl::MutexLock lock(&mutex_);
  running_.erase(&context);
  return status;
}

absl::Status Calls::Make(Whom whom, absl::Duration deadline, Call call) {
  const Service& service = Of(whom);
  const absl::Time end = absl::Now() + deadline;
  grpc::Status status(grpc::StatusCode::UNAVAILABLE, "it does not run here");
  for (const std::shared_ptr<grpc::Channel>& channel : service.channels) {
    status = MakeOne(channel, end, call);
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE) break;
  }
  return status.ok() ? absl::OkStatus() : ToStatus(service.name, status, deadline);
}

}  // namespace portolan::config
