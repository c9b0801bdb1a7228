#include "services/datapath-loader/shell/control.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/capabilities.h"
#include "services/datapath-loader/shell/flow_table.h"
#include "services/datapath-loader/shell/self_test.h"
#include "services/datapath-loader/shell/simulation.h"

namespace portolan::datapath {
namespace {

bpf::Object ObjectOf(const char* name, const std::string& bytes) {
  return {.name = name,
          .data = reinterpret_cast<const unsigned char*>(bytes.data()),
          .size = bytes.size()};
}

}  // namespace

Control::Control(const Clock* clock, std::string node, std::string chain_pin,
                 std::shared_ptr<ControlRpc> rpc, Hooks hooks)
    : clock_(clock),
      node_(std::move(node)),
      chain_pin_(std::move(chain_pin)),
      rpc_(std::move(rpc)),
      hooks_(std::move(hooks)),
      loop_(NewLoop()),
      thread_([this] { loop_->Run(); }) {
  rpc_->Serve(this);
}

Control::~Control() {
  rpc_->Leave();
  loop_->Post([this] {
    events_.reset();
    applied_.reset();
    loop_->Stop();
  });
  thread_.join();
}

// ---- what the loop tells ----

void Control::Loaded(LiveMaps maps) {
  loop_->Post([this, maps = std::move(maps)]() mutable {
    events_.reset();
    maps_ = std::move(maps);
    events_.emplace(loop_.get(), clock_, *maps_, names_, hooks_.on_trace);
  });
}

void Control::Unloaded(std::string why) {
  loop_->Post([this, why = std::move(why)] {
    events_.reset();
    maps_.reset();
    why_unloaded_ = why;
  });
}

void Control::Learn(FrontendView view) {
  loop_->Post([this, view = std::move(view)] {
    names_.Learn(view);
    RefreshEvents();
  });
}

void Control::Forget(FrontendKey key) {
  loop_->Post([this, key = std::move(key)] {
    names_.Forget(key);
    RefreshEvents();
  });
}

void Control::Interfaces(std::vector<std::string> names) {
  loop_->Post([this, names = std::move(names)] { interfaces_ = names; });
}

void Control::RefreshEvents() {
  if (events_.has_value()) events_->Refresh();
}

// ---- what is asked ----

absl::Status Control::IsLoaded() const {
  return maps_.has_value() ? absl::OkStatus() : absl::UnavailableError(why_unloaded_);
}

template <typename Response, typename Work>
void Control::Answer(ReplyTo<Response> reply, Work work) {
  loop_->Post([this, reply = std::move(reply), work = std::move(work)] {
    absl::Status status = IsLoaded();
    absl::StatusOr<Response> response = status.ok() ? work() : status;
    reply->Send(response.status(), response.ok() ? *std::move(response) : Response());
  });
}

void Control::Handle(v1alpha1::ListFlowsRequest request,
                     ReplyTo<v1alpha1::ListFlowsResponse> reply) {
  Answer(std::move(reply),
         [this, request = std::move(request)] { return FlowTable(*maps_, names_).List(request); });
}

void Control::Handle(v1alpha1::ImportFlowsRequest request,
                     ReplyTo<v1alpha1::ImportFlowsResponse> reply) {
  Answer(std::move(reply), [this, request = std::move(request)] {
    return FlowTable(*maps_, names_).Import(request);
  });
}

void Control::Handle(v1alpha1::FlushFlowsRequest request,
                     ReplyTo<v1alpha1::FlushFlowsResponse> reply) {
  Answer(std::move(reply),
         [this, request = std::move(request)] { return FlowTable(*maps_, names_).Flush(request); });
}

void Control::Handle(v1alpha1::GetCapabilitiesRequest,
                     ReplyTo<v1alpha1::GetCapabilitiesResponse> reply) {
  loop_->Post([this, reply = std::move(reply)] {
    reply->Send(absl::OkStatus(), ProbeCapabilities(interfaces_));
  });
}

void Control::Handle(v1alpha1::SimulateRequest request, ReplyTo<v1alpha1::SimulateResponse> reply) {
  Answer(std::move(reply),
         [this, request = std::move(request)] { return Simulate(request, *maps_, names_); });
}

void Control::Handle(v1alpha1::UpgradeRequest request, ReplyTo<v1alpha1::UpgradeResponse> reply) {
  loop_->Post(
      [this, request = std::move(request), reply = std::move(reply)] { Upgrade(request, reply); });
}

void Control::Upgrade(const v1alpha1::UpgradeRequest& request,
                      const ReplyTo<v1alpha1::UpgradeResponse>& reply) {
  const bool embedded = request.tc_object().empty() && request.xdp_object().empty();
  const auto test_and_load = [&]() -> absl::StatusOr<std::unique_ptr<Programs>> {
    RETURN_IF_ERROR(IsLoaded());
    if (!embedded && (request.tc_object().empty() || request.xdp_object().empty())) {
      return absl::InvalidArgumentError(
          absl::StrCat(request.tc_object().empty() ? "tc_object" : "xdp_object",
                       ": it is missing; the two programs share their flows, so give both, or "
                       "neither for those of this binary"));
    }
    const bpf::Object tc = embedded ? bpf::LbTc() : ObjectOf("tc_object", request.tc_object());
    const bpf::Object xdp = embedded ? bpf::LbXdp() : ObjectOf("xdp_object", request.xdp_object());
    // First over the maps that are there, which says best what does not fit.
    ASSIGN_OR_RETURN(std::unique_ptr<Programs> programs, Programs::Load(tc, xdp, *maps_));
    RETURN_IF_ERROR(SelfTest(tc, xdp));
    return programs;
  };
  absl::StatusOr<std::unique_ptr<Programs>> programs = test_and_load();
  if (!programs.ok()) {
    const bool unasked = absl::IsUnavailable(programs.status()) && !maps_.has_value();
    const bool usage = absl::IsInvalidArgument(programs.status());
    reply->Send(unasked || usage ? programs.status()
                                 : absl::FailedPreconditionError(
                                       absl::StrCat(std::string(programs.status().message()),
                                                    "; the programs that were there go on")),
                {});
    return;
  }
  hooks_.on_upgrade(*std::move(programs), [reply](absl::StatusOr<int> interfaces) {
    v1alpha1::UpgradeResponse response;
    if (interfaces.ok()) {
      response.set_interfaces(*interfaces);
      response.set_message("tested, and put on the interfaces by link update");
    }
    reply->Send(interfaces.status(), std::move(response));
  });
}

void Control::Watch(v1alpha1::WatchEventsRequest request, std::shared_ptr<EventWatcher> watcher) {
  loop_->Post([this, request = std::move(request), watcher = std::move(watcher)] {
    absl::Status status = IsLoaded();
    if (status.ok()) status = events_->Watch(request, watcher);
    if (!status.ok()) watcher->End(status);
  });
}

void Control::Refresh() {
  loop_->Post([this] { RefreshEvents(); });
}

}  // namespace portolan::datapath
