// The control surface behind its RPCs: a thread of its own, so that a million flows or a verifier
// at work hold up nothing that the loop does.
//
// The loop tells it what it needs (the maps, whose frontends are which, the interfaces) by values
// that are posted here; what only the loop may do (marks in maps, programs on interfaces) it posts
// there. Made and destroyed on the loop's thread; all public functions but the constructor and the
// destructor are thread-safe and do not block.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "services/base/clock/clock.h"
#include "services/base/loop/loop.h"
#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/shell/applied.h"
#include "services/datapath-loader/shell/control_rpc.h"
#include "services/datapath-loader/shell/event_stream.h"
#include "services/datapath-loader/shell/interface_orders.h"
#include "services/datapath-loader/shell/journal.h"
#include "services/datapath-loader/shell/live_maps.h"
#include "services/datapath-loader/shell/programs.h"
#include "services/datapath-loader/shell/service_names.h"
#include "services/datapath-loader/shell/tracing.h"
#include "services/datapath-loader/shell/xdp_chain.h"

namespace portolan::datapath {

// A program that is to stand beside ours; an empty path: what is in the slot goes.
struct ChainChange {
  uint32_t slot = 0;
  std::string path;
};

// What became of an order about an interface.
struct OrderOutcome {
  std::optional<InterfaceOrder> order;  // to be kept; absent: none is
  bool was_attached = false;
  std::string mode;        // in force now; empty: it carries nothing
  std::string message;     // as in its status
  std::string configured;  // the mode in the configuration; empty: it does not name it
};

class Control : public ControlHandler {
 public:
  using OnChain = std::function<void(absl::StatusOr<std::vector<ChainSlot>>)>;
  using OnOrdered = std::function<void(absl::StatusOr<OrderOutcome>)>;
  using OnSwapped = std::function<void(absl::StatusOr<int> interfaces)>;
  // Called on the control thread; to be posted on.
  struct Hooks {
    std::function<void(TraceWish)> on_trace;
    // The programs have passed their test and go on the interfaces; answered from any thread.
    std::function<void(std::shared_ptr<Programs>, OnSwapped)> on_upgrade;
    std::function<void(AppliedChange)> on_applied;
    // Absent: as configured. Answered from any thread.
    std::function<void(std::string, std::optional<InterfaceOrder>, OnOrdered)> on_order;
    // Absent: only ask. Answered from any thread with what is in force.
    std::function<void(std::optional<ChainChange>, OnChain)> on_chain;
  };

  // Serves `rpc` until it is destroyed. `clock` outlives it. `node`: this machine's name.
  // `chain_pin`: where the map "xdp_chain" is pinned.
  Control(const Clock* clock, std::string node, std::string chain_pin,
          std::shared_ptr<ControlRpc> rpc, Hooks hooks);
  ~Control() override;

  // Once: what the journal has; the loop knows it already.
  void Begin(std::unique_ptr<Journal> journal, Journal::Kept kept);
  void Loaded(LiveMaps maps);
  // `why`: what those who ask are told.
  void Unloaded(std::string why);
  void Learn(FrontendView view);
  void Forget(FrontendKey key);
  // Of a service that was applied.
  void Said(ServiceStatus status);
  void Interfaces(std::vector<std::string> names);

  void Handle(v1alpha1::ListFlowsRequest request,
              ReplyTo<v1alpha1::ListFlowsResponse> reply) override;
  void Handle(v1alpha1::ImportFlowsRequest request,
              ReplyTo<v1alpha1::ImportFlowsResponse> reply) override;
  void Handle(v1alpha1::FlushFlowsRequest request,
              ReplyTo<v1alpha1::FlushFlowsResponse> reply) override;
  void Handle(v1alpha1::GetCapabilitiesRequest request,
              ReplyTo<v1alpha1::GetCapabilitiesResponse> reply) override;
  void Handle(v1alpha1::SimulateRequest request,
              ReplyTo<v1alpha1::SimulateResponse> reply) override;
  void Handle(v1alpha1::UpgradeRequest request, ReplyTo<v1alpha1::UpgradeResponse> reply) override;
  void Handle(v1alpha1::AttachRequest request, ReplyTo<v1alpha1::AttachResponse> reply) override;
  void Handle(v1alpha1::DetachRequest request, ReplyTo<v1alpha1::DetachResponse> reply) override;
  void Handle(v1alpha1::ApplyRequest request, ReplyTo<v1alpha1::ApplyResponse> reply) override;
  void Handle(v1alpha1::ListChainRequest request,
              ReplyTo<v1alpha1::ListChainResponse> reply) override;
  void Handle(v1alpha1::SetChainSlotRequest request,
              ReplyTo<v1alpha1::SetChainSlotResponse> reply) override;
  void Watch(v1alpha1::WatchEventsRequest request, std::shared_ptr<EventWatcher> watcher) override;
  void Refresh() override;

 private:
  // Runs `work` on the thread, if the datapath is loaded; else says so. `Work` is a function from
  // nothing to an absl::StatusOr<Response>.
  template <typename Response, typename Work>
  void Answer(ReplyTo<Response> reply, Work work);
  absl::Status IsLoaded() const;
  void RefreshEvents();
  void Upgrade(const v1alpha1::UpgradeRequest& request,
               const ReplyTo<v1alpha1::UpgradeResponse>& reply);

  // Tries it on the loop, keeps what has become of it, and then calls `done` on the thread.
  void Order(const std::string& name, std::optional<InterfaceOrder> order, OnOrdered done);
  absl::Status Keep(const std::string& name, const OrderOutcome& outcome);

  const Clock* const clock_;
  const std::string node_;
  const std::string chain_pin_;
  const std::shared_ptr<ControlRpc> rpc_;
  const Hooks hooks_;
  const std::unique_ptr<Loop> loop_;
  // Of the thread:
  std::optional<LiveMaps> maps_;
  std::string why_unloaded_ = "the datapath is not loaded yet: its inputs are not synced";
  ServiceNames names_;
  std::vector<std::string> interfaces_;
  std::unique_ptr<Journal> journal_;  // null: not read yet
  std::optional<Applied> applied_;
  std::optional<EventStream> events_;
  std::thread thread_;
};

}  // namespace portolan::datapath
