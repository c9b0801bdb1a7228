#include "services/config-service/shell/netconf/actions.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "api/proto/bgp/v1alpha1/control.grpc.pb.h"
#include "api/proto/datapath/v1alpha1/control.grpc.pb.h"
#include "api/proto/ipam/v1alpha1/ipam.grpc.pb.h"
#include "services/base/yang/filter.h"
#include "services/base/yang/operation.h"
#include "services/config-service/shell/netconf/answers.h"
#include "services/config-service/shell/netconf/arguments.h"

namespace portolan::config {
namespace {

using bgp::v1alpha1::BgpControl;
using datapath::v1alpha1::DatapathControl;
using netconf::Reply;
using netconf::Request;

constexpr absl::Duration kDeadline = absl::Seconds(5);

// RFC 6241, appendix A.
Reply Failed(const absl::Status& status, const std::string& path) {
  netconf::Error error{.tag = "operation-failed", .path = path};
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      error.tag = "data-missing";
      break;
    case absl::StatusCode::kInvalidArgument:
      error.tag = "invalid-value";
      break;
    case absl::StatusCode::kResourceExhausted:
      error.tag = "resource-denied";
      break;
    case absl::StatusCode::kFailedPrecondition:
      error.app_tag = "not-now";
      break;
    default:
      error.app_tag = "service-unavailable";
  }
  error.message = std::string(status.message());
  return Reply::Refuse({std::move(error)});
}

std::string Argument(const Request& request, absl::string_view name) {
  return TextOf(request.input, name).value_or("");
}

// The model gives it a default and a range.
uint32_t Number(const Request& request, absl::string_view name) {
  uint32_t number = 0;
  return absl::SimpleAtoi(Argument(request, name), &number) ? number : 0;
}

}  // namespace

Actions::Method Actions::MethodOf(const Request& request) {
  struct Entry {
    const char* module;
    const char* operation;
    Method method;
  };
  static constexpr Entry kEntries[] = {
      {"portolan-service", "explain", &Actions::Explain},
      {"portolan-ipam", "plan", &Actions::Plan},
      {"portolan-bgp", "reset", &Actions::Reset},
      {"portolan-bgp", "drain", &Actions::Drain},
      {"portolan-bgp", "undrain", &Actions::Undrain},
      {"portolan-datapath", "trace", &Actions::Trace},
      {"portolan-datapath", "flush-flows", &Actions::FlushFlows},
  };
  for (const Entry& entry : kEntries) {
    if (request.module == entry.module && request.operation == entry.operation) {
      return entry.method;
    }
  }
  return nullptr;
}

std::optional<Reply> Actions::Handle(const Request& request) {
  const Method method = MethodOf(request);
  if (method == nullptr) return std::nullopt;
  std::vector<Problem> problems;
  for (const yang::Finding& finding : yang::ValidateInput(request.input)) {
    problems.push_back({.path = finding.path, .rule = finding.rule, .message = finding.message});
  }
  if (!problems.empty()) return ToReply(ToRpcErrors(problems));
  if (std::optional<Reply> missing = Missing(request)) return missing;
  return (this->*method)(request);
}

// RFC 7950, section 7.15: an action is of a node that is there.
std::optional<Reply> Actions::Missing(const Request& request) {
  const yang::Node entry = yang::EntryOf(request.input);
  if (!entry) return std::nullopt;
  const std::string path = entry.path();
  const absl::StatusOr<yang::Tree> running =
      datastores_->ReadPart(Datastore::kRunning, ScopeOf(path));
  if (!running.ok()) return Failed(running.status(), path);
  const auto found = running->Find(path);
  if (found.ok() && !found->empty()) return std::nullopt;
  return Failed(absl::NotFoundError(absl::StrCat("there is no ", path, " in running")), path);
}

Reply Actions::Explain(const Request& request) {
  const yang::Node service = request.input.parent();
  ipam::v1alpha1::ExplainRequest question;
  question.set_service(absl::StrCat(TextOf(service, "namespace").value_or(""), "/",
                                    TextOf(service, "name").value_or("")));
  ipam::v1alpha1::ExplainResponse response;
  const absl::Status status =
      calls_.Make(Whom::kIpam, kDeadline, [&](const auto& channel, auto* context) {
        return ipam::v1alpha1::Ipam::NewStub(channel)->Explain(context, question, &response);
      });
  if (!status.ok()) return Failed(status, request.parent);
  return Reply::Output(ToOutput(response));
}

Reply Actions::Plan(const Request& request) {
  const yang::Node config = request.input.Child("config");
  const Datastores::Forecast forecast =
      config
          ? datastores_->PlanEdit({.config = yang::AnyContent(config)})
          : datastores_->Plan(Argument(request, "datastore") == "startup" ? Datastore::kStartup
                                                                          : Datastore::kCandidate);
  if (!forecast.errors.empty()) return ToReply(forecast.errors);
  return Reply::Output(ToOutput(forecast));
}

// ---- BGP ----

Reply Actions::Reset(const Request& request) {
  const yang::Node peer = request.input.parent();
  const yang::Node instance = peer.parent().parent();
  bgp::v1alpha1::ResetPeerRequest order;
  order.set_peer(
      absl::StrCat(TextOf(instance, "name").value_or(""), "/", TextOf(peer, "name").value_or("")));
  order.set_soft(Argument(request, "mode") == "soft");
  order.set_message(Argument(request, "message"));
  bgp::v1alpha1::ResetPeerResponse response;
  const absl::Status status =
      calls_.Make(Whom::kBgp, kDeadline, [&](const auto& channel, auto* context) {
        return BgpControl::NewStub(channel)->ResetPeer(context, order, &response);
      });
  if (!status.ok()) return Failed(status, request.parent);
  return Reply::Output({{"message", response.message(), {}}});
}

Reply Actions::Drain(const Request& request) {
  bgp::v1alpha1::DrainRequest order;
  order.set_hold_time_s(Number(request, "hold-time"));
  bgp::v1alpha1::DrainResponse response;
  const absl::Status status =
      calls_.Make(Whom::kBgp, kDeadline, [&](const auto& channel, auto* context) {
        return BgpControl::NewStub(channel)->Drain(context, order, &response);
      });
  if (!status.ok()) return Failed(status, request.parent);
  return Reply::Output({{"message", response.message(), {}}});
}

Reply Actions::Undrain(const Request& request) {
  bgp::v1alpha1::UndrainResponse response;
  const absl::Status status =
      calls_.Make(Whom::kBgp, kDeadline, [&](const auto& channel, auto* context) {
        return BgpControl::NewStub(channel)->Undrain(context, {}, &response);
      });
  if (!status.ok()) return Failed(status, request.parent);
  return Reply::Output({{"message", response.message(), {}}});
}

// ---- datapath ----

Reply Actions::Trace(const Request& request) {
  const size_t enough = Number(request, "max-events");
  datapath::v1alpha1::WatchEventsRequest question;
  question.set_service(Argument(request, "service"));
  question.set_drop_sample(Number(request, "drop-sample"));
  Elements events;
  uint64_t lost = 0;
  absl::Status status =
      calls_.Make(Whom::kDatapath, absl::Seconds(Number(request, "duration")),
                  [&](const auto& channel, auto* context) {
                    const auto stub = DatapathControl::NewStub(channel);
                    const auto stream = stub->WatchEvents(context, question);
                    datapath::v1alpha1::WatchEventsResponse response;
                    while (events.size() < enough && stream->Read(&response)) {
                      lost += response.lost();
                      for (const datapath::v1alpha1::Event& event : response.events()) {
                        if (events.size() < enough)
                          events.push_back(ToElement(event, events.size() + 1));
                      }
                    }
                    if (events.size() < enough) return stream->Finish();
                    context->TryCancel();
                    stream->Finish();
                    return grpc::Status::OK;
                  });
  // That the time is over is how a trace ends.
  if (!status.ok() && !absl::IsDeadlineExceeded(status)) return Failed(status, request.parent);
  Elements output = {{"lost", absl::StrCat(lost), {}}};
  for (netconf::Element& event : events) output.push_back(std::move(event));
  return Reply::Output(std::move(output));
}

Reply Actions::FlushFlows(const Request& request) {
  datapath::v1alpha1::FlushFlowsRequest order;
  order.mutable_filter()->set_service(Argument(request, "service"));
  order.mutable_filter()->set_backend(Argument(request, "backend"));
  order.mutable_filter()->set_client(Argument(request, "client"));
  datapath::v1alpha1::FlushFlowsResponse response;
  const absl::Status status =
      calls_.Make(Whom::kDatapath, kDeadline, [&](const auto& channel, auto* context) {
        return DatapathControl::NewStub(channel)->FlushFlows(context, order, &response);
      });
  if (!status.ok()) return Failed(status, request.parent);
  return Reply::Output({{"flushed", absl::StrCat(response.flushed()), {}}});
}

}  // namespace portolan::config
