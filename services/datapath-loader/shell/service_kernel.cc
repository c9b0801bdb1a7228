// DatapathService's half that loads, writes and answers.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status/status_macros.h"
#include "services/datapath-loader/shell/datapath_service.h"
#include "services/datapath-loader/shell/self_test.h"
#include "services/datapath-loader/shell/unavailable.h"

namespace portolan::datapath {
namespace {

constexpr absl::Duration kRetryLoad = absl::Seconds(10);

}  // namespace

// ---- the kernel ----

void DatapathService::TryLoad() {
  const absl::Status status = Load();
  if (status.ok()) {
    unavailable_.reset();
    OnInterfaces();
    const absl::Status finished = objects_->FinishMigration();
    if (!finished.ok()) {
      context_.log->Error("flows that began meanwhile were not taken over",
                          {{"error", std::string(finished.message())}});
    }
    SayNode();
    return;
  }
  tracing_.reset();
  interfaces_.reset();
  maps_.reset();
  objects_.reset();
  OnUnavailable(Explain(status, context_.node), status);
  load_timer_ = context_.loop->RunAfter(kRetryLoad, [this] {
    load_timer_ = 0;
    TryLoad();
  });
}

void DatapathService::OnUnavailable(KernelUnavailable problem, const absl::Status& status) {
  if (!unavailable_.has_value() || unavailable_->message != problem.message) {
    context_.log->Error("datapath not loaded",
                        {{"error", std::string(status.message())}, {"remedy", problem.remedy}});
  }
  unavailable_ = problem;
  control_.Unloaded(absl::StrCat(problem.message, "; ", problem.remedy));
  Send(problem);
  SayNode();
}

absl::Status DatapathService::Load() {
  RETURN_IF_ERROR(PreparePinDirectory(pin_directory_));
  loaded_sizes_ = ToSizes(settings_);
  ASSIGN_OR_RETURN(objects_, Objects::Load(pin_directory_, loaded_sizes_, *context_.log));
  // What is on the interfaces carries packets, and stays unless these do it, too.
  if (objects_->adopted()) RETURN_IF_ERROR(SelfTest(bpf::LbTc(), bpf::LbXdp()));
  ASSIGN_OR_RETURN(maps_, KernelMaps::Open(*objects_));
  RETURN_IF_ERROR(maps_->Write(CurrentSettings()));
  ASSIGN_OR_RETURN(MapImage image, maps_->Read());
  RETURN_IF_ERROR(objects_->PinMigrated(pin_directory_));
  context_.log->Info("datapath loaded", {{"pins", pin_directory_},
                                         {"adopted", objects_->adopted() ? "yes" : "no"},
                                         {"made_anew", absl::StrJoin(objects_->migrated(), " ")},
                                         {"frontends", absl::StrCat(image.frontends.size())},
                                         {"backends", absl::StrCat(image.backends.size())}});
  tracing_.emplace(*objects_);
  interfaces_ = std::make_unique<Interfaces>(pin_directory_, *objects_);
  control_.Loaded(LiveMaps(*objects_));
  Send(KernelReady{objects_->limits(), std::move(image)});
  return absl::OkStatus();
}

void DatapathService::Send(const Event& event) {
  for (const Effect& effect : engine_.Handle(event, context_.clock->Now())) Run(effect);
}

void DatapathService::Run(const Effect& effect) {
  if (const auto* batch = std::get_if<ApplyBatch>(&effect)) {
    Run(*batch);
  } else if (const auto* timer = std::get_if<ArmTimer>(&effect)) {
    Run(*timer);
  } else {
    publisher_.Publish(effect);
    if (const auto* backends = std::get_if<PublishBackends>(&effect)) {
      health_.SetBackends(backends->key, backends->views);
    } else if (const auto* frontend = std::get_if<PublishFrontend>(&effect)) {
      control_.Learn(frontend->view);
    } else if (const auto* gone = std::get_if<RemoveFrontend>(&effect)) {
      control_.Forget(gone->key);
    } else if (const auto* said = std::get_if<PublishStatus>(&effect)) {
      if (IsApplied(said->status.key)) control_.Said(said->status);
    }
  }
}

void DatapathService::Run(const ApplyBatch& effect) {
  batches_++;
  PostToLoop([this, batch = effect.batch] {
    batches_--;
    if (maps_ == nullptr) return;
    BatchDone done{maps_->Execute(*batch)};
    tracing_->Reassert();
    Send(done);
    MarkSyncedWhenSettled();
  });
}

void DatapathService::Run(const ArmTimer& effect) {
  if (engine_timer_ != 0) context_.loop->Cancel(engine_timer_);
  const absl::Duration delay = std::max(effect.at - context_.clock->Now(), absl::ZeroDuration());
  // A timer counts in whole milliseconds: never early.
  engine_timer_ = context_.loop->RunAfter(delay + absl::Milliseconds(1), [this] {
    engine_timer_ = 0;
    Send(TimerFired{});
  });
}

void DatapathService::PostToLoop(Loop::Callback callback) {
  context_.loop->Post(
      [alive = std::weak_ptr<bool>(alive_), callback = std::move(callback)]() mutable {
        if (!alive.expired()) callback();
      });
}

void DatapathService::OnTrace(TraceWish wish) {
  PostToLoop([this, wish = std::move(wish)]() mutable {
    if (tracing_.has_value()) tracing_->Want(std::move(wish));
  });
}

void DatapathService::OnUpgrade(std::shared_ptr<Programs> programs, Control::OnSwapped done) {
  PostToLoop([this, programs = std::move(programs), done = std::move(done)]() mutable {
    if (interfaces_ == nullptr) return done(absl::UnavailableError("the datapath is not loaded"));
    absl::StatusOr<int> swapped =
        interfaces_->Swap(programs->tc_program(), programs->xdp_program());
    if (swapped.ok()) {
      objects_->Use(std::move(programs));
      context_.log->Info("programs upgraded", {{"interfaces", absl::StrCat(*swapped)}});
    } else {
      context_.log->Error("upgrade undone", {{"error", std::string(swapped.status().message())}});
    }
    done(std::move(swapped));
  });
}

// By the same functions as what comes by a stream.
void DatapathService::OnApplied(const AppliedChange& change) {
  for (const std::string& key : change.removed) {
    RemoveService(key);
    RemoveBackends(key);
    Send(AllocationRemoved{key});
  }
  for (const AppliedService& service : change.services) {
    OnBackends(service.backends);
    Problems problems;
    const AllocationChanged allocation{FromProto(service.allocation, problems)};
    publisher_.Log(problems);
    Send(allocation);
    OnService(service.intent);
  }
}

// Tries it at once. When it is refused the order before stands.
absl::StatusOr<OrderOutcome> DatapathService::OnOrder(const std::string& name,
                                                      const std::optional<InterfaceOrder>& order) {
  if (interfaces_ == nullptr) return absl::UnavailableError("the datapath is not loaded");
  const InterfaceOrders before = orders_;
  const auto configured = interfaces_config_.find(name);
  OrderOutcome outcome;
  if (configured != interfaces_config_.end() && Concerns(configured->second, context_.node)) {
    outcome.configured = configured->second.mode();
  }
  if (!order.has_value() && outcome.configured.empty()) {
    return absl::NotFoundError(absl::StrCat("interface: the configuration does not name \"", name,
                                            "\"; choose mode auto, xdp or tc"));
  }
  const bool attach = order.has_value() && !order->detached;
  if (attach) RETURN_IF_ERROR(interfaces_->MayCarry(name, order->mode));
  outcome.was_attached = interfaces_->Carries(name);
  orders_.erase(name);
  if (order.has_value() && (attach || !outcome.configured.empty())) orders_[name] = *order;
  outcome.order = orders_.contains(name) ? order : std::nullopt;
  for (const InterfaceReport& report : CarryInterfaces()) {
    if (report.name != name) continue;
    outcome.mode = report.mode;
    outcome.message = report.message;
    if (!attach || !report.mode.empty()) continue;
    orders_ = before;
    CarryInterfaces();
    return absl::FailedPreconditionError(absl::StrCat(report.message, "; ", report.remedy));
  }
  return outcome;
}

absl::StatusOr<std::vector<ChainSlot>> DatapathService::OnChain(
    const std::optional<ChainChange>& change) {
  if (interfaces_ == nullptr) return absl::UnavailableError("the datapath is not loaded");
  if (change.has_value()) {
    RETURN_IF_ERROR(interfaces_->SetChainSlot(change->slot, change->path));
    CarryInterfaces();  // their statuses say it
  }
  return interfaces_->chain().Slots();
}

Control::Hooks DatapathService::HooksForControl() {
  return {
      .on_trace = [this](TraceWish wish) { OnTrace(std::move(wish)); },
      .on_upgrade =
          [this](std::shared_ptr<Programs> programs, Control::OnSwapped done) {
            OnUpgrade(std::move(programs), std::move(done));
          },
      .on_applied =
          [this](AppliedChange change) {
            PostToLoop([this, change = std::move(change)] { OnApplied(change); });
          },
      .on_order =
          [this](std::string name, std::optional<InterfaceOrder> order, Control::OnOrdered done) {
            PostToLoop([this, name = std::move(name), order = std::move(order),
                        done = std::move(done)] { done(OnOrder(name, order)); });
          },
      .on_chain =
          [this](std::optional<ChainChange> change, Control::OnChain done) {
            PostToLoop([this, change = std::move(change), done = std::move(done)] {
              done(OnChain(change));
            });
          }};
}

// The datapath as a whole.
void DatapathService::SayNode() {
  NodeReport report;
  report.unavailable = unavailable_;
  if (objects_ != nullptr) {
    report.pin_directory = pin_directory_;
    report.adopted = objects_->adopted();
    const Sizes now = ToSizes(settings_);
    report.sizes_changed = now.max_flows != loaded_sizes_.max_flows ||
                           now.max_frontends != loaded_sizes_.max_frontends ||
                           now.max_backends != loaded_sizes_.max_backends;
  }
  for (int reason = 0; maps_ != nullptr && reason < PORTOLAN_DROP_REASONS; reason++) {
    const auto drop = static_cast<portolan_drop>(reason);
    report.drops[drop] = maps_->Drops(drop);
  }
  report.local_ports = LocalPortRange();
  report.settings = ToProgramSettings(settings_);
  report.ipv4_forwarding = IsForwarding(net::Family::kIpv4);
  report.ipv6_forwarding = IsForwarding(net::Family::kIpv6);
  publisher_.Node(report);
}

void DatapathService::MarkSyncedWhenSettled() {
  if (inputs_synced_ && batches_ == 0) publisher_.MarkSynced();
}

}  // namespace portolan::datapath
