// The shell of ipam-service: streams in, journal, plugins, streams out.
//
// One loop owns everything here. Reads Pool, IpamSettings, Quota, Plugin (config), ServiceIntent
// and Namespace (intent); answers the RPCs of ipam.v1alpha1.Ipam; publishes Allocation, PoolState
// and ObjectStatus of component "ipam". The journal is STATE_DIR/ipam.sqlite. While an upstream is
// away, the last state stays in force.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/proto/allocation/v1alpha1/allocation.pb.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "plugins/sdk/registry.h"
#include "services/base/process/service.h"
#include "services/base/store/store.h"
#include "services/base/wire/hub.h"
#include "services/base/wire/reader.h"
#include "services/ipam-service/core/engine.h"
#include "services/ipam-service/shell/journal.h"
#include "services/ipam-service/shell/metrics.h"
#include "services/ipam-service/shell/pickers.h"
#include "services/ipam-service/shell/rpc.h"

namespace portolan::ipam {

class IpamService : public process::Service {
 public:
  // `registry` outlives the service. `store` null: STATE_DIR/ipam.sqlite is opened by Start().
  IpamService(const process::Context& context, Engine::Options options,
              const plugin::Registry* registry, std::shared_ptr<IpamRpc> rpc,
              std::unique_ptr<store::Store> store);
  ~IpamService() override;

  std::vector<grpc::Service*> rpcs() override { return {rpc_.get()}; }

  // Opens and loads the journal (blocks), then begins to read. FAILED_PRECONDITION when another
  // process holds the journal, DATA_LOSS when it is damaged.
  absl::Status Start(const process::Upstreams& upstreams) override;

  void Collect(metrics::Page& page) const override;

  // Takes back every ObjectStatus: another process tells from now on.
  void WithdrawStatuses();

 private:
  void Read(const process::Upstreams& upstreams);
  // On the loop's thread.
  void OnPlan(const v1alpha1::PlanRequest& request, const IpamRpc::PlanReply& reply);
  void OnExplain(const v1alpha1::ExplainRequest& request, const IpamRpc::ExplainReply& reply);
  // Runs `callback` on the loop unless this object is gone by then. From any thread.
  void PostToLoop(std::function<void()> callback);
  void Send(Event event);
  void OnJournalDone(const JournalDone& done);
  void Execute(const JournalCommit& effect);
  void Execute(const PublishAllocation& effect);
  void Execute(const WithdrawAllocation& effect);
  void Execute(const PublishPoolState& effect);
  void Execute(const WithdrawPoolState& effect);
  void Execute(const PublishStatus& effect);
  void Execute(const WithdrawStatus& effect);
  void Execute(const AskPicker& effect);
  void Execute(const ArmTimer& effect);
  void Execute(const MarkSynced& effect);
  void LogStatus(const StatusReport& report) const;

  const process::Context context_;
  Engine engine_;
  Pickers pickers_;
  const std::shared_ptr<IpamRpc> rpc_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<store::Store> store_;  // until Start()
  std::unique_ptr<Journal> journal_;
  bool journal_fails_ = false;
  bool started_ = false;       // MarkSynced was executed
  size_t ready_at_start_ = 0;  // Services and pools
  ShellFigures figures_;
  absl::flat_hash_map<uint64_t, absl::Time> requested_at_;  // by batch on its way to the journal
  Loop::TimerId timer_ = 0;
  wire::Writer allocations_;
  wire::Writer pool_states_;
  wire::Writer statuses_;
  std::optional<wire::TypedReader<config::v1alpha1::Pool>> pools_;
  std::optional<wire::TypedReader<config::v1alpha1::IpamSettings>> settings_;
  std::optional<wire::TypedReader<config::v1alpha1::Plugin>> plugins_;
  std::optional<wire::TypedReader<config::v1alpha1::Quota>> quotas_;
  std::optional<wire::TypedReader<intent::v1alpha1::Namespace>> namespaces_;
  std::optional<wire::TypedReader<intent::v1alpha1::ServiceIntent, ServiceRequest>> services_;
};

}  // namespace portolan::ipam
