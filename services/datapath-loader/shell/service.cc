#include "services/datapath-loader/shell/service.h"

#include <net/if.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "services/datapath-loader/shell/datapath_service.h"
#include "services/datapath-loader/shell/policy_rules.h"

namespace portolan::datapath {
namespace {

using config::v1alpha1::DatapathInterface;
using config::v1alpha1::DatapathSettings;

constexpr absl::Duration kTick = absl::Seconds(1);
// Changes of the host come in bursts.
constexpr absl::Duration kHostDelay = absl::Milliseconds(20);
constexpr absl::Duration kRetryJournal = absl::Seconds(10);
constexpr char kJournal[] = "journal";  // beside the streams

}  // namespace

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
  unsynced_.insert(kJournal);
  if (!alone_) FollowAll(upstreams);
  if (!alone_ && context_.reviews != nullptr) {
    seat_ = context_.reviews->Take(
        "datapath", context_.loop,
        [this](const review::v1alpha1::ReviewRequest& request) { return OnReview(request); });
  }
  host_watch_ = std::make_unique<HostWatch>(context_.loop, [this] {
    if (host_timer_ != 0) return;
    host_timer_ = context_.loop->RunAfter(kHostDelay, [this] {
      host_timer_ = 0;
      OnHost();
    });
  });
  tick_timer_ = context_.loop->RunAfter(kTick, [this] { OnTick(); });
  ReadJournal();
  return absl::OkStatus();
}

// What it says comes before anything is pruned, as what the streams say does.
void DatapathService::ReadJournal() {
  const std::string path = absl::StrCat(context_.state_dir, "/datapath-", context_.node, ".sqlite");
  auto journal = std::make_unique<Journal>(path);
  absl::StatusOr<Journal::Kept> kept = journal->Read();
  if (!kept.ok()) {
    OnUnavailable({.reason = "journal-refused",
                   .message = absl::StrCat("what was attached and applied by RPC cannot be read: ",
                                           std::string(kept.status().message())),
                   .remedy = absl::StrCat("mend or move ", path,
                                          "; what the kernel carries stays until then")},
                  kept.status());
    load_timer_ = context_.loop->RunAfter(kRetryJournal, [this] {
      load_timer_ = 0;
      ReadJournal();
    });
    return;
  }
  unavailable_.reset();
  orders_ = kept->interfaces;
  for (const auto& [owner, state] : kept->owners) {
    OnApplied({.services = MessagesOf(owner, state), .removed = {}});
  }
  control_.Begin(std::move(journal), *std::move(kept));
  OnSynced(kJournal);
}

void DatapathService::FollowAll(const process::Upstreams& upstreams) {
  Follow<intent::v1alpha1::ServiceIntent>(
      upstreams.intent,
      [this](const intent::v1alpha1::ServiceIntent& message) { OnService(message); },
      [this](const std::string& key) { RemoveService(key); });
  FollowObjects<allocation::v1alpha1::Allocation, AllocationChanged, AllocationRemoved>(
      upstreams.allocation);
  FollowObjects<config::v1alpha1::Node, NodeChanged, NodeRemoved>(upstreams.config);
  Follow<intent::v1alpha1::BackendSet>(
      upstreams.intent,
      [this](const intent::v1alpha1::BackendSet& message) { OnBackends(message); },
      [this](const std::string& key) { RemoveBackends(key); });
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

void DatapathService::RemoveService(const std::string& key) {
  health_.SetPlan(key, std::nullopt).IgnoreError();
  Send(ServiceRemoved{key});
}

void DatapathService::RemoveBackends(const std::string& key) {
  backend_sets_.erase(key);
  Send(BackendsRemoved{key});
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
  if (interfaces_ != nullptr) CarryInterfaces();
}

std::vector<InterfaceReport> DatapathService::CarryInterfaces() {
  std::map<std::string, WantedInterface> configured;
  for (const auto& [name, interface] : interfaces_config_) {
    if (!Concerns(interface, context_.node)) continue;
    configured[name] = {.mode = interface.mode(), .inside = interface.inside()};
  }
  std::map<std::string, WantedInterface> wanted = Merge(std::move(configured), orders_);
  std::vector<std::string> names;
  for (const auto& [name, interface] : wanted) names.push_back(name);
  control_.Interfaces(std::move(names));
  interfaces_->Want(std::move(wanted));
  std::vector<InterfaceReport> reports = interfaces_->Reconcile();
  publisher_.Interfaces(reports);
  Send(HostChanged{.attached_interfaces = interfaces_->attached(),
                   .ipv4_forwarding = IsForwarding(net::Family::kIpv4),
                   .ipv6_forwarding = IsForwarding(net::Family::kIpv6)});
  return reports;
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
