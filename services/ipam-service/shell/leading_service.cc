#include "services/ipam-service/shell/leading_service.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/status/v1alpha1/status.pb.h"
#include "google/protobuf/util/message_differencer.h"
#include "services/base/status/status_macros.h"
#include "services/base/store/etcd_client.h"
#include "services/base/store/etcd_store.h"
#include "services/base/store/sqlite_store.h"
#include "services/ipam-service/shell/pickers.h"

namespace portolan::ipam {
namespace {

constexpr absl::Duration kRetryInterval = absl::Seconds(1);

store::EtcdOptions OptionsOf(const config::v1alpha1::EtcdStore& etcd) {
  return {.endpoints = {etcd.endpoints().begin(), etcd.endpoints().end()},
          .ca_file = etcd.ca_file(),
          .cert_file = etcd.cert_file(),
          .key_file = etcd.key_file(),
          .user = etcd.user(),
          .password = etcd.password()};
}

}  // namespace

LeadingService::LeadingService(const process::Context& context, Engine::Options options,
                               const plugin::Registry* registry, std::shared_ptr<IpamRpc> rpc)
    : context_(context),
      options_(std::move(options)),
      registry_(registry),
      rpc_(std::move(rpc)),
      allocations_(context.hub->NewWriter<allocation::v1alpha1::Allocation>()),
      pool_states_(context.hub->NewWriter<allocation::v1alpha1::PoolState>()),
      statuses_(context.hub->NewWriter<status::v1alpha1::ObjectStatus>()) {}

LeadingService::~LeadingService() {
  if (retry_ != 0) context_.loop->Cancel(retry_);
  // No more writes, then the lease is given back.
  service_.reset();
  election_.reset();
  rpc_->Leave();
}

absl::Status LeadingService::Start(const process::Upstreams& upstreams) {
  upstreams_ = upstreams;
  statuses_.MarkSynced();
  settings_.emplace(
      context_.loop, upstreams.config,
      wire::Handlers<config::v1alpha1::IpamSettings>{
          .on_upsert = [this](const std::string&, const auto& settings) { OnSettings(settings); },
          .on_remove = [](const std::string&) {},
          .on_synced = [this] { Open(); }});
  return absl::OkStatus();
}

void LeadingService::Collect(metrics::Page& page) const {
  if (service_ != nullptr) service_->Collect(page);
}

void LeadingService::OnSettings(const config::v1alpha1::IpamSettings& settings) {
  configured_ = settings.store();
  if (!chosen_.has_value() ||
      google::protobuf::util::MessageDifferencer::Equals(*chosen_, configured_)) {
    return;
  }
  context_.log->Warning(
      "another store is configured; it is used after a restart of ipam-service, and begins with "
      "the addresses that it holds itself");
}

void LeadingService::Open() {
  if (chosen_.has_value()) return;
  chosen_ = configured_;
  if (chosen_->has_etcd()) {
    OpenEtcd();
  } else {
    OpenSqlite();
  }
}

void LeadingService::OpenSqlite() {
  absl::StatusOr<std::unique_ptr<store::Store>> store =
      store::OpenSqlite(absl::StrCat(context_.state_dir, "/ipam.sqlite"));
  if (store.ok()) return Serve(*std::move(store), 0);
  Tell("store-unavailable",
       absl::StrCat("the journal cannot be opened: ", store.status().message()),
       "correct the state directory; it is tried again every second");
  Retry([this] { OpenSqlite(); });
}

void LeadingService::OpenEtcd() {
  const config::v1alpha1::EtcdStore& etcd = chosen_->etcd();
  absl::StatusOr<std::unique_ptr<store::EtcdClient>> client =
      store::EtcdClient::New(OptionsOf(etcd));
  if (!client.ok()) {
    Tell("store-unavailable", std::string(client.status().message()),
         "correct /portolan-ipam:ipam/store/etcd or the file, and restart ipam-service");
    return Retry([this] { OpenEtcd(); });
  }
  const auto post = [loop = context_.loop, alive = std::weak_ptr<bool>(alive_)](auto callback) {
    loop->Post([alive, callback = std::move(callback)] {
      if (alive.lock() != nullptr) callback();
    });
  };
  election_ = std::make_unique<store::Election>(
      *std::move(client),
      store::Election::Options{.key = absl::StrCat(etcd.key_prefix(), "leader"),
                               .name = context_.node,
                               .ttl = absl::Seconds(etcd.lease_ttl_s())},
      context_.clock,
      store::Election::Handlers{
          .on_elected =
              [this, post](std::shared_ptr<store::Leadership> leadership) {
                post([this, leadership] { OnElected(leadership); });
              },
          .on_lost = [this, post](const absl::Status& why) { post([this, why] { OnLost(why); }); },
          .on_waiting =
              [this, post](const std::string& why) {
                post([this, why] {
                  StopServing(why);
                  const bool standby = absl::StartsWith(why, "standby");
                  Tell(standby ? "standby" : "store-unavailable", why,
                       standby ? "" : "see to etcd; this is tried again by itself");
                });
              }});
}

void LeadingService::OnElected(std::shared_ptr<store::Leadership> leadership) {
  leadership_ = std::move(leadership);
  if (!leadership_->Holds()) return;  // its loss is on the way
  const config::v1alpha1::EtcdStore& etcd = chosen_->etcd();
  absl::StatusOr<std::unique_ptr<store::EtcdClient>> client =
      store::EtcdClient::New(OptionsOf(etcd));
  if (!client.ok()) {
    Tell("store-unavailable", std::string(client.status().message()), "correct the file");
    return Retry([this] {
      if (leadership_ != nullptr) OnElected(leadership_);
    });
  }
  Serve(
      store::NewEtcdStore(*std::move(client), absl::StrCat(etcd.key_prefix(), "row/"), leadership_),
      static_cast<uint64_t>(leadership_->term()));
}

void LeadingService::OnLost(const absl::Status& why) {
  leadership_ = nullptr;
  StopServing("standby");
  context_.log->Warning("no longer leader", {{"why", std::string(why.message())}});
}

void LeadingService::Serve(std::unique_ptr<store::Store> store, uint64_t term) {
  // Its writers are there before readers may come, so that nobody hears "synced" too early.
  service_ = std::make_unique<IpamService>(context_, options_, registry_, rpc_, std::move(store));
  allocations_.Open(term);
  pool_states_.Open(term);
  allocations_.MarkSynced();
  pool_states_.MarkSynced();
  const absl::Status status = service_->Start(upstreams_);
  if (status.ok()) {
    context_.log->Info("leads", {{"term", absl::StrCat(term)}});
    return Tell("", "", "");
  }
  StopServing(std::string(status.message()));
  Tell("store-unavailable", std::string(status.message()), "it is tried again every second");
  Retry([this] {
    if (!chosen_->has_etcd()) return OpenSqlite();
    if (leadership_ != nullptr) OnElected(leadership_);
  });
}

void LeadingService::StopServing(const std::string& why) {
  const std::string said =
      absl::StrCat("ipam-service of node ", context_.node, " does not serve: ", why);
  allocations_.Close(said);
  pool_states_.Close(said);
  if (service_ != nullptr) service_->WithdrawStatuses();
  service_.reset();
  rpc_->Leave(said);
}

void LeadingService::Tell(const std::string& reason, const std::string& message,
                          const std::string& remedy) {
  status::v1alpha1::ObjectStatus status;
  status.set_component("ipam");
  status.set_node(context_.node);
  status.set_kind("store");
  status.set_key("journal");
  const bool waits = reason == "standby";
  status.set_state(reason.empty() ? status::v1alpha1::STATE_READY
                   : waits        ? status::v1alpha1::STATE_PENDING
                                  : status::v1alpha1::STATE_FAILED);
  status.set_reason(reason.empty() ? "leads" : reason);
  status.set_message(message);
  status.set_remedy(remedy);
  if (!reason.empty()) {
    context_.log->Info("no addresses are published", {{"reason", reason}, {"message", message}});
  }
  statuses_.Upsert(absl::StrCat("ipam/", context_.node, "/store/journal"), status);
}

void LeadingService::Retry(std::function<void()> again) {
  if (retry_ != 0) context_.loop->Cancel(retry_);
  retry_ = context_.loop->RunAfter(kRetryInterval, [this, again = std::move(again)] {
    retry_ = 0;
    again();
  });
}

absl::StatusOr<std::unique_ptr<process::Service>> NewIpamService(const process::Context& context,
                                                                 const plugin::Registry* registry,
                                                                 std::shared_ptr<IpamRpc> rpc) {
  ASSIGN_OR_RETURN(Engine::Options options, OptionsFrom(*registry));
  std::unique_ptr<process::Service> service =
      std::make_unique<LeadingService>(context, std::move(options), registry, std::move(rpc));
  return service;
}

}  // namespace portolan::ipam
