// ipam-service as a process sees it: runs IpamService while this process may write the journal.
//
// The configuration says where the journal is (/ipam/store); what it says when it is first known
// holds until the process ends. SQLite: whoever has the file. etcd: the leader of an election. A
// process that may not write is a standby: it publishes no allocations, its tables refuse readers,
// and whoever asks is told why and who leads (UNAVAILABLE); an ObjectStatus
// "ipam/NODE/store/journal" says it, too. When it may, IpamService starts as after a restart; when
// it may no longer, that ends first. Owned by the process; everything happens on the loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "plugins/sdk/registry.h"
#include "services/base/process/service.h"
#include "services/base/store/etcd_election.h"
#include "services/base/store/store.h"
#include "services/base/wire/hub.h"
#include "services/base/wire/reader.h"
#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/shell/rpc.h"
#include "services/ipam-service/shell/service.h"

namespace portolan::ipam {

class LeadingService : public process::Service {
 public:
  // `registry` outlives the service.
  LeadingService(const process::Context& context, Engine::Options options,
                 const plugin::Registry* registry, std::shared_ptr<IpamRpc> rpc);
  ~LeadingService() override;

  std::vector<grpc::Service*> rpcs() override { return {rpc_.get()}; }
  absl::Status Start(const process::Upstreams& upstreams) override;
  // A standby has no figures.
  void Collect(metrics::Page& page) const override;

 private:
  void OnSettings(const config::v1alpha1::IpamSettings& settings);
  // The configuration is known.
  void Open();
  void OpenSqlite();
  void OpenEtcd();
  void OnElected(std::shared_ptr<store::Leadership> leadership);
  void OnLost(const absl::Status& why);
  // Begins to serve on this store, and again later when it cannot be read.
  void Serve(std::unique_ptr<store::Store> store, uint64_t term);
  // `why` is what readers and those who ask are told.
  void StopServing(const std::string& why);
  // Tells why nothing is published, or (empty) that all is well.
  void Tell(const std::string& reason, const std::string& message, const std::string& remedy);
  void Retry(std::function<void()> again);

  const process::Context context_;
  const Engine::Options options_;
  const plugin::Registry* const registry_;
  const std::shared_ptr<IpamRpc> rpc_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  process::Upstreams upstreams_;
  wire::Writer allocations_;
  wire::Writer pool_states_;
  wire::Writer statuses_;
  config::v1alpha1::IpamStore configured_;
  std::optional<config::v1alpha1::IpamStore> chosen_;
  Loop::TimerId retry_ = 0;
  std::shared_ptr<store::Leadership> leadership_;
  std::unique_ptr<IpamService> service_;
  std::unique_ptr<store::Election> election_;
  std::optional<wire::TypedReader<config::v1alpha1::IpamSettings>> settings_;
};

// `registry` outlives the service. `rpc` is what the process's server knows as this service's face.
absl::StatusOr<std::unique_ptr<process::Service>> NewIpamService(const process::Context& context,
                                                                 const plugin::Registry* registry,
                                                                 std::shared_ptr<IpamRpc> rpc);

}  // namespace portolan::ipam
