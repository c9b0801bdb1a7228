#include "services/ipam-service/shell/service.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "services/base/selector/selector_proto.h"
#include "services/base/status/status_macros.h"
#include "services/base/store/sqlite_store.h"
#include "services/ipam-service/core/report.h"
#include "services/ipam-service/shell/convert.h"

namespace portolan::ipam {
IpamService::IpamService(const process::Context& context, Engine::Options options,
                         const plugin::Registry* registry, std::shared_ptr<IpamRpc> rpc,
                         std::unique_ptr<store::Store> store)
    : context_(context),
      engine_(std::move(options)),
      pickers_(context.loop, registry, [this](Event event) { Send(std::move(event)); }),
      rpc_(std::move(rpc)),
      store_(std::move(store)),
      allocations_(context.hub->NewWriter<allocation::v1alpha1::Allocation>()),
      pool_states_(context.hub->NewWriter<allocation::v1alpha1::PoolState>()),
      statuses_(context.hub->NewWriter<status::v1alpha1::ObjectStatus>()) {
  rpc_->Serve({.on_plan =
                   [this](const v1alpha1::PlanRequest& request, IpamRpc::PlanReply reply) {
                     PostToLoop([this, request, reply] { OnPlan(request, reply); });
                   },
               .on_explain =
                   [this](const v1alpha1::ExplainRequest& request, IpamRpc::ExplainReply reply) {
                     PostToLoop([this, request, reply] { OnExplain(request, reply); });
                   }});
}

IpamService::~IpamService() {
  rpc_->Leave();
  if (timer_ != 0) context_.loop->Cancel(timer_);
}

void IpamService::PostToLoop(std::function<void()> callback) {
  context_.loop->Post([alive = std::weak_ptr<bool>(alive_), callback = std::move(callback)] {
    if (alive.lock() != nullptr) callback();
  });
}

absl::Status IpamService::Start(const process::Upstreams& upstreams) {
  if (store_ == nullptr) {
    const std::string path = absl::StrCat(context_.state_dir, "/ipam.sqlite");
    absl::StatusOr<std::unique_ptr<store::Store>> store = store::OpenSqlite(path);
    if (!store.ok()) return Annotate(store.status(), "ipam-service cannot open its journal");
    store_ = *std::move(store);
  }
  journal_ = std::make_unique<Journal>(
      context_.loop, std::move(store_), [this](const JournalDone& done) { OnJournalDone(done); },
      context_.clock);
  // What is told meanwhile is decoded while the journal is read, and waits for this to return.
  Read(upstreams);
  absl::StatusOr<JournalLoaded> loaded = journal_->Load();
  if (!loaded.ok()) return Annotate(loaded.status(), "ipam-service cannot read its journal");
  for (const net::IpAddress& address : loaded->unreadable) {
    context_.log->Error("journal row cannot be read; its address is given to nobody",
                        {{"address", address.ToString()}});
  }
  context_.log->Info("journal loaded", {{"addresses", absl::StrCat(loaded->rows.size())}});
  Send(*std::move(loaded));
  return absl::OkStatus();
}

void IpamService::Read(const process::Upstreams& upstreams) {
  const auto synced = [this](Source source) { return [this, source] { Send(Synced{source}); }; };
  pools_.emplace(context_.loop, upstreams.config,
                 wire::Handlers<config::v1alpha1::Pool>{
                     .on_upsert =
                         [this](const std::string&, const config::v1alpha1::Pool& pool) {
                           Send(PoolChanged{FromProto(pool)});
                         },
                     .on_remove = [this](const std::string& key) { Send(PoolRemoved{key}); },
                     .on_synced = synced(Source::kPools)});
  settings_.emplace(
      context_.loop, upstreams.config,
      wire::Handlers<config::v1alpha1::IpamSettings>{
          .on_upsert =
              [this](const std::string&, const config::v1alpha1::IpamSettings& settings) {
                Send(SettingsChanged{FromProto(settings)});
              },
          .on_remove = [this](const std::string&) { Send(SettingsChanged{}); },
          .on_synced = synced(Source::kSettings)});
  plugins_.emplace(context_.loop, upstreams.config,
                   wire::Handlers<config::v1alpha1::Plugin>{
                       .on_upsert =
                           [this](const std::string& key, const config::v1alpha1::Plugin& plugin) {
                             pickers_.Upsert(key, plugin);
                           },
                       .on_remove = [this](const std::string& key) { pickers_.Remove(key); },
                       .on_synced = synced(Source::kPickers)});
  quotas_.emplace(context_.loop, upstreams.config,
                  wire::Handlers<config::v1alpha1::Quota>{
                      .on_upsert =
                          [this](const std::string&, const config::v1alpha1::Quota& quota) {
                            Send(QuotaChanged{FromProto(quota)});
                          },
                      .on_remove = [this](const std::string& key) { Send(QuotaRemoved{key}); },
                      .on_synced = synced(Source::kQuotas)});
  namespaces_.emplace(
      context_.loop, upstreams.intent,
      wire::Handlers<intent::v1alpha1::Namespace>{
          .on_upsert =
              [this](const std::string& key, const intent::v1alpha1::Namespace& labelled) {
                Send(NamespaceChanged{key, portolan::FromProto(labelled.labels())});
              },
          .on_remove = [this](const std::string& key) { Send(NamespaceRemoved{key}); },
          .on_synced = synced(Source::kNamespaces)});
  services_.emplace(context_.loop, upstreams.intent,
                    wire::Handlers<intent::v1alpha1::ServiceIntent, ServiceRequest>{
                        .convert = FromProto,
                        .on_upsert =
                            [this](const std::string&, ServiceRequest&& request) {
                              Send(ServiceChanged{std::move(request)});
                            },
                        .on_remove = [this](const std::string& key) { Send(ServiceRemoved{key}); },
                        .on_synced = synced(Source::kServices)});
}

void IpamService::OnPlan(const v1alpha1::PlanRequest& request, const IpamRpc::PlanReply& reply) {
  const std::optional<AddressPlan> plan = engine_.Plan(FromProto(request));
  if (!plan.has_value()) {
    ++figures_.plans_unavailable;
    reply->Send(absl::UnavailableError("ipam-service does not know its addresses yet"), {});
    return;
  }
  ++(plan->moves.empty() ? figures_.plans_harmless : figures_.plans_moving);
  reply->Send(absl::OkStatus(), ToProto(*plan));
}

void IpamService::OnExplain(const v1alpha1::ExplainRequest& request,
                            const IpamRpc::ExplainReply& reply) {
  ++figures_.explanations;
  const std::optional<Explanation> explanation = engine_.Explain(request.service());
  if (!explanation.has_value()) {
    reply->Send(absl::NotFoundError(absl::StrCat("there is no Service \"",
                                                 absl::CHexEscape(request.service().substr(0, 128)),
                                                 "\"; its key is NAMESPACE/NAME")),
                {});
    return;
  }
  reply->Send(absl::OkStatus(), ToProto(*explanation));
}

void IpamService::Send(Event event) {
  const Moment now{context_.clock->Now(), context_.clock->WallNow()};
  for (const Effect& effect : engine_.Handle(std::move(event), now)) {
    std::visit([this](const auto& e) { Execute(e); }, effect);
  }
}

void IpamService::OnJournalDone(const JournalDone& done) {
  if (done.status.ok() == journal_fails_ && !absl::IsAlreadyExists(done.status)) {
    journal_fails_ = !done.status.ok();
    if (journal_fails_) {
      context_.log->Error("journal refuses writes; new addresses wait",
                          {{"error", done.status.ToString()}});
    } else {
      context_.log->Info("journal works again");
    }
  }
  const auto requested_at = requested_at_.extract(done.batch);
  Send(done);
  if (requested_at.empty() || !done.status.ok()) return;
  figures_.published_after.Observe(
      absl::ToDoubleSeconds(context_.clock->Now() - requested_at.mapped()));
}

void IpamService::Execute(const JournalCommit& effect) {
  if (!effect.create.empty()) {
    // A create that is repeated counts from the choice.
    const absl::Duration age = absl::Milliseconds(absl::ToUnixMillis(context_.clock->WallNow()) -
                                                  effect.create.front().since_unix_ms);
    requested_at_[effect.batch] =
        context_.clock->Now() - std::max(age, absl::ZeroDuration()) - effect.waited;
  }
  journal_->Commit(effect);
}

void IpamService::Collect(metrics::Page& page) const {
  CollectMetrics(engine_.Figures(context_.clock->Now()), page);
  CollectMetrics(figures_, page);
  if (journal_ != nullptr) CollectMetrics(journal_->Figures(), page);
}

void IpamService::Execute(const PublishAllocation& effect) {
  allocations_.Upsert(effect.allocation.key, ToProto(effect.allocation));
}

void IpamService::Execute(const WithdrawAllocation& effect) {
  context_.log->Info("addresses withdrawn", {{"key", effect.key}});
  allocations_.Remove(effect.key);
}

void IpamService::Execute(const PublishPoolState& effect) {
  pool_states_.Upsert(effect.state.name, ToProto(effect.state));
}

void IpamService::Execute(const WithdrawPoolState& effect) { pool_states_.Remove(effect.name); }

void IpamService::Execute(const PublishStatus& effect) {
  const StatusReport& report = effect.report;
  // What works as before the restart is no change of state: one line tells of all of it.
  const bool as_before = !started_ && report.state == State::kReady;
  if (as_before) ++ready_at_start_;
  if (!as_before) LogStatus(report);
  statuses_.Upsert(StatusKey(report.kind, report.key), ToProto(report));
}

void IpamService::LogStatus(const StatusReport& report) const {
  context_.log->Info(report.kind == ObjectKind::kService ? "service status" : "pool status",
                     {{"key", report.key},
                      {"generation", absl::StrCat(report.generation)},
                      {"state", StateName(report.state)},
                      {"reason", report.reason},
                      {"message", report.message}});
}

void IpamService::Execute(const WithdrawStatus& effect) {
  statuses_.Remove(StatusKey(effect.kind, effect.key));
}

void IpamService::WithdrawStatuses() {
  engine_.ForEachStatus(
      [this](ObjectKind kind, const std::string& key) { statuses_.Remove(StatusKey(kind, key)); });
}

void IpamService::Execute(const AskPicker& effect) { pickers_.Ask(effect); }

void IpamService::Execute(const ArmTimer& effect) {
  if (timer_ != 0) context_.loop->Cancel(timer_);
  const absl::Duration delay = std::max(effect.at - context_.clock->Now(), absl::ZeroDuration());
  timer_ = context_.loop->RunAfter(delay, [this] {
    timer_ = 0;
    Send(Tick{});
  });
}

void IpamService::Execute(const MarkSynced&) {
  started_ = true;
  context_.log->Info("started", {{"ready", absl::StrCat(ready_at_start_)}});
  allocations_.MarkSynced();
  pool_states_.MarkSynced();
  statuses_.MarkSynced();
}

}  // namespace portolan::ipam
