#include "services/datapath-loader/shell/service.h"

#include <net/if.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/datapath/v1alpha1/datapath.pb.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "services/base/status/status_macros.h"
#include "services/base/wire/hub.h"
#include "services/base/wire/reader.h"
#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/shell/control.h"
#include "services/datapath-loader/shell/convert.h"
#include "services/datapath-loader/shell/health_checker.h"
#include "services/datapath-loader/shell/host.h"
#include "services/datapath-loader/shell/interfaces.h"
#include "services/datapath-loader/shell/kernel_maps.h"
#include "services/datapath-loader/shell/objects.h"
#include "services/datapath-loader/shell/pins.h"
#include "services/datapath-loader/shell/policy_rules.h"
#include "services/datapath-loader/shell/publisher.h"
#include "services/datapath-loader/shell/self_test.h"
#include "services/datapath-loader/shell/tracing.h"
#include "services/datapath-loader/shell/unavailable.h"

namespace portolan::datapath {
namespace {

using config::v1alpha1::DatapathInterface;
using config::v1alpha1::DatapathSettings;

constexpr absl::Duration kTick = absl::Seconds(1);
constexpr absl::Duration kRetryLoad = absl::Seconds(10);
// Changes of the host come in bursts.
constexpr absl::Duration kHostDelay = absl::Milliseconds(20);

class DatapathService : public process::Service {
 public:
  DatapathService(const process::Context& context, Options options,
                  std::shared_ptr<ControlRpc> control)
      : context_(context),
        control_rpc_(std::move(control)),
        pin_directory_(ChoosePinDirectory(options.pin_directory, context.state_dir, context.node)),
        publisher_(context),
        engine_(context.node),
        settings_(DefaultSettings()),
        health_(context.loop, options.registry != nullptr ? *options.registry : no_checks_,
                [this](const HealthChanged& change) { Send(change); }),
        control_(context.clock, control_rpc_,
                 {.on_trace = [this](TraceWish wish) { OnTrace(std::move(wish)); },
                  .on_upgrade =
                      [this](std::shared_ptr<Programs> programs, Control::OnSwapped done) {
                        OnUpgrade(std::move(programs), std::move(done));
                      }}) {}

  ~DatapathService() override {
    for (const Loop::TimerId timer : {tick_timer_, engine_timer_, host_timer_, load_timer_}) {
      if (timer != 0) context_.loop->Cancel(timer);
    }
  }

  std::vector<grpc::Service*> rpcs() override { return {control_rpc_.get()}; }
  absl::Status Start(const process::Upstreams& upstreams) override;
  void Collect(metrics::Page& page) const override { publisher_.Collect(page); }

 private:
  template <typename M>
  void Follow(const wire::Channels& channel, std::function<void(const M&)> on_upsert,
              std::function<void(const std::string&)> on_remove);
  template <typename M, typename Changed, typename Removed>
  void FollowObjects(const wire::Channels& channel);

  void OnSynced(const std::string& type);
  void OnSettings(const DatapathSettings& settings);
  void OnService(const intent::v1alpha1::ServiceIntent& message);
  void WriteSettings();
  // As configured, and as the machine's routes allow.
  ProgramSettings CurrentSettings() const;
  void OnBackends(const intent::v1alpha1::BackendSet& message);
  void ResolveSources(BackendSet& set) const;
  void OnInterfaces();
  void OnHost();
  void ResolveSome();
  void OnTick();
  void Sweep();

  void TryLoad();
  absl::Status Load();
  void Send(const Event& event);
  void Run(const Effect& effect);
  void Run(const ApplyBatch& effect);
  void Run(const ArmTimer& effect);
  // From the control thread.
  void OnTrace(TraceWish wish);
  void OnUpgrade(std::shared_ptr<Programs> programs, Control::OnSwapped done);
  void PostToLoop(Loop::Callback callback);
  void SayNode();
  void MarkSyncedWhenSettled();

  const process::Context context_;
  const std::shared_ptr<ControlRpc> control_rpc_;
  const std::string pin_directory_;
  Publisher publisher_;
  Engine engine_;
  std::set<std::string> unsynced_;  // streams
  bool inputs_synced_ = false;
  int batches_ = 0;        // on their way to the engine
  bool sweeping_ = false;  // through the counters

  DatapathSettings settings_;
  std::map<std::string, DatapathInterface> interfaces_config_;
  std::map<std::string, BackendSet> backend_sets_;  // as last sent to the engine
  bool resolving_ = false;  // goes through the sets, after a change of the host
  std::string resolved_;    // up to this one; empty: none yet
  const plugin::Registry no_checks_;
  HealthChecker health_;

  std::unique_ptr<Objects> objects_;
  std::unique_ptr<KernelMaps> maps_;
  std::unique_ptr<Interfaces> interfaces_;
  std::optional<Tracing> tracing_;
  std::optional<KernelUnavailable> unavailable_;
  Sizes loaded_sizes_;

  Loop::TimerId tick_timer_ = 0;
  Loop::TimerId engine_timer_ = 0;
  Loop::TimerId host_timer_ = 0;
  Loop::TimerId load_timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what is posted
  Control control_;
  std::unique_ptr<HostWatch> host_watch_;
  std::vector<std::shared_ptr<void>> readers_;  // last: they call into the above
};

// ---- inputs ----

template <typename M>
void DatapathService::Follow(const wire::Channels& channel, std::function<void(const M&)> on_upsert,
                             std::function<void(const std::string&)> on_remove) {
  const std::string type = M::descriptor()->full_name();
  unsynced_.insert(type);
  wire::Handlers<M> handlers;
  handlers.on_upsert = [on_upsert = std::move(on_upsert)](const std::string&, const M& message) {
    on_upsert(message);
  };
  handlers.on_remove = std::move(on_remove);
  handlers.on_synced = [this, type] { OnSynced(type); };
  readers_.push_back(
      std::make_shared<wire::TypedReader<M>>(context_.loop, channel, std::move(handlers)));
}

template <typename M, typename Changed, typename Removed>
void DatapathService::FollowObjects(const wire::Channels& channel) {
  Follow<M>(
      channel,
      [this](const M& message) {
        Problems problems;
        const Event event = Changed{FromProto(message, problems)};
        publisher_.Log(problems);
        Send(event);
      },
      [this](const std::string& key) { Send(Removed{key}); });
}

absl::Status DatapathService::Start(const process::Upstreams& upstreams) {
  Follow<intent::v1alpha1::ServiceIntent>(
      upstreams.intent,
      [this](const intent::v1alpha1::ServiceIntent& message) { OnService(message); },
      [this](const std::string& key) {
        health_.SetPlan(key, std::nullopt).IgnoreError();
        Send(ServiceRemoved{key});
      });
  FollowObjects<allocation::v1alpha1::Allocation, AllocationChanged, AllocationRemoved>(
      upstreams.allocation);
  FollowObjects<config::v1alpha1::Node, NodeChanged, NodeRemoved>(upstreams.config);
  Follow<intent::v1alpha1::BackendSet>(
      upstreams.intent,
      [this](const intent::v1alpha1::BackendSet& message) { OnBackends(message); },
      [this](const std::string& key) {
        backend_sets_.erase(key);
        Send(BackendsRemoved{key});
      });
  Follow<DatapathSettings>(
      upstreams.config, [this](const DatapathSettings& message) { OnSettings(message); },
      [this](const std::string&) { OnSettings(DefaultSettings()); });
  Follow<DatapathInterface>(
      upstreams.config,
      [this](const DatapathInterface& message) {
        interfaces_config_[message.name()] = message;
        OnInterfaces();
      },
      [this](const std::string& key) {
        interfaces_config_.erase(key);
        OnInterfaces();
      });
  host_watch_ = std::make_unique<HostWatch>(context_.loop, [this] {
    if (host_timer_ != 0) return;
    host_timer_ = context_.loop->RunAfter(kHostDelay, [this] {
      host_timer_ = 0;
      OnHost();
    });
  });
  tick_timer_ = context_.loop->RunAfter(kTick, [this] { OnTick(); });
  return absl::OkStatus();
}

void DatapathService::OnSynced(const std::string& type) {
  unsynced_.erase(type);
  if (inputs_synced_ || !unsynced_.empty()) return;
  inputs_synced_ = true;
  TryLoad();
  Send(InputsSynced{});
  MarkSyncedWhenSettled();
}

void DatapathService::OnSettings(const DatapathSettings& settings) {
  settings_ = settings;
  Send(SettingsChanged{EngineSettings(settings_)});
  WriteSettings();
  if (maps_ != nullptr) SayNode();
}

void DatapathService::OnService(const intent::v1alpha1::ServiceIntent& message) {
  Problems problems;
  datapath::Service service = FromProto(message, problems);
  publisher_.Log(problems);
  const absl::Status checked = health_.SetPlan(service.key, HealthPlanOf(message));
  if (!checked.ok()) service.health_problem = std::string(checked.message());
  Send(ServiceChanged{std::move(service)});
}

void DatapathService::WriteSettings() {
  if (maps_ == nullptr) return;
  const absl::Status status = maps_->Write(CurrentSettings());
  if (status.ok()) return;
  context_.log->Error("settings not written", {{"error", std::string(status.message())}});
}

ProgramSettings DatapathService::CurrentSettings() const {
  ProgramSettings settings = ToProgramSettings(settings_);
  settings.keep_routes = !HasPolicyRules();
  return settings;
}

void DatapathService::OnBackends(const intent::v1alpha1::BackendSet& message) {
  Problems problems;
  BackendSet set = FromProto(message, problems);
  publisher_.Log(problems);
  ResolveSources(set);
  backend_sets_[set.key] = set;
  Send(BackendsChanged{std::move(set)});
}

void DatapathService::ResolveSources(BackendSet& set) const {
  for (Backend& backend : set.backends) backend.local_source = SourceTowards(backend.address);
}

void DatapathService::OnInterfaces() {
  if (interfaces_ == nullptr) return;
  std::map<std::string, WantedInterface> wanted;
  for (const auto& [name, interface] : interfaces_config_) {
    if (!Concerns(interface, context_.node)) continue;
    wanted[name] = {.mode = interface.mode(), .inside = interface.inside()};
  }
  std::vector<std::string> names;
  for (const auto& [name, interface] : wanted) names.push_back(name);
  control_.Interfaces(std::move(names));
  interfaces_->Want(std::move(wanted));
  publisher_.Interfaces(interfaces_->Reconcile());
  Send(HostChanged{.attached_interfaces = interfaces_->attached(),
                   .ipv4_forwarding = IsForwarding(net::Family::kIpv4),
                   .ipv6_forwarding = IsForwarding(net::Family::kIpv6)});
}

void DatapathService::OnHost() {
  OnInterfaces();
  WriteSettings();
  resolved_.clear();
  if (!resolving_) ResolveSome();
}

// A piece of all backend sets, so that other events have their turn.
void DatapathService::ResolveSome() {
  constexpr int kSets = 64;
  auto next = resolved_.empty() ? backend_sets_.begin() : backend_sets_.upper_bound(resolved_);
  for (int i = 0; i < kSets && next != backend_sets_.end(); i++, ++next) {
    resolved_ = next->first;
    BackendSet set = next->second;
    ResolveSources(set);
    if (set == next->second) continue;
    next->second = set;
    Send(BackendsChanged{std::move(set)});
  }
  resolving_ = next != backend_sets_.end();
  if (!resolving_) return;
  PostToLoop([this] { ResolveSome(); });
}

void DatapathService::OnTick() {
  tick_timer_ = context_.loop->RunAfter(kTick, [this] { OnTick(); });
  OnInterfaces();
  if (maps_ == nullptr) return;
  if (!sweeping_) Sweep();
  SayNode();
}

// In pieces, so that other events have their turn.
void DatapathService::Sweep() {
  sweeping_ = maps_ != nullptr && publisher_.Sweep(*maps_);
  if (!sweeping_) return;
  PostToLoop([this] { Sweep(); });
}

// ---- the kernel ----

void DatapathService::TryLoad() {
  const absl::Status status = Load();
  if (status.ok()) {
    unavailable_.reset();
    OnInterfaces();
    SayNode();
    return;
  }
  tracing_.reset();
  interfaces_.reset();
  maps_.reset();
  objects_.reset();
  KernelUnavailable problem = Explain(status, context_.node);
  if (!unavailable_.has_value() || unavailable_->message != problem.message) {
    context_.log->Error("datapath not loaded",
                        {{"error", std::string(status.message())}, {"remedy", problem.remedy}});
  }
  unavailable_ = problem;
  control_.Unloaded(absl::StrCat(problem.message, "; ", problem.remedy));
  Send(problem);
  SayNode();
  load_timer_ = context_.loop->RunAfter(kRetryLoad, [this] {
    load_timer_ = 0;
    TryLoad();
  });
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
  context_.log->Info("datapath loaded", {{"pins", pin_directory_},
                                         {"adopted", objects_->adopted() ? "yes" : "no"},
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

}  // namespace

absl::StatusOr<std::unique_ptr<process::Service>> NewDatapathService(
    const process::Context& context, Options options, std::shared_ptr<ControlRpc> control) {
  return std::make_unique<DatapathService>(context, std::move(options), std::move(control));
}

absl::Status Detach(const std::string& node, const std::string& state_dir, const Options& options) {
  struct if_nameindex* interfaces = if_nameindex();
  for (struct if_nameindex* i = interfaces; i != nullptr && i->if_index != 0; i++) {
    DetachClsact(i->if_index).IgnoreError();  // most have none
  }
  if (interfaces != nullptr) if_freenameindex(interfaces);
  return RemovePins(ChoosePinDirectory(options.pin_directory, state_dir, node));
}

}  // namespace portolan::datapath
