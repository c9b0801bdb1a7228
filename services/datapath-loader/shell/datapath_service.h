// The service behind NewDatapathService(), see service.h: service.cc has what comes in, and
// service_kernel.cc what goes to the kernel and what is asked by RPC. On its loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/proto/config/v1alpha1/config.pb.h"
#include "api/proto/intent/v1alpha1/intent.pb.h"
#include "api/proto/review/v1alpha1/review.pb.h"
#include "plugins/sdk/registry.h"
#include "services/base/process/review_board.h"
#include "services/base/process/service.h"
#include "services/base/wire/reader.h"
#include "services/datapath-loader/core/engine.h"
#include "services/datapath-loader/shell/applied.h"
#include "services/datapath-loader/shell/control.h"
#include "services/datapath-loader/shell/convert.h"
#include "services/datapath-loader/shell/health_checker.h"
#include "services/datapath-loader/shell/host.h"
#include "services/datapath-loader/shell/interface_orders.h"
#include "services/datapath-loader/shell/interfaces.h"
#include "services/datapath-loader/shell/kernel_maps.h"
#include "services/datapath-loader/shell/objects.h"
#include "services/datapath-loader/shell/pins.h"
#include "services/datapath-loader/shell/publisher.h"
#include "services/datapath-loader/shell/service.h"
#include "services/datapath-loader/shell/tracing.h"

namespace portolan::datapath {

class DatapathService : public process::Service {
 public:
  DatapathService(const process::Context& context, Options options,
                  std::shared_ptr<ControlRpc> control)
      : context_(context),
        alone_(options.alone),
        control_rpc_(std::move(control)),
        pin_directory_(ChoosePinDirectory(options.pin_directory, context.state_dir, context.node)),
        publisher_(context),
        engine_(context.node),
        settings_(DefaultSettings()),
        health_(context.loop, options.registry != nullptr ? *options.registry : no_checks_,
                [this](const HealthChanged& change) { Send(change); }),
        control_(context.clock, context.node, pin_directory_ + "/maps/xdp_chain", control_rpc_,
                 HooksForControl()) {}

  ~DatapathService() override {
    seat_.reset();
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

  void FollowAll(const process::Upstreams& upstreams);
  void ReadJournal();
  void OnSynced(const std::string& type);
  void OnSettings(const config::v1alpha1::DatapathSettings& settings);
  void OnService(const intent::v1alpha1::ServiceIntent& message);
  void RemoveService(const std::string& key);
  void RemoveBackends(const std::string& key);
  void WriteSettings();
  // As configured, and as the machine's routes allow.
  ProgramSettings CurrentSettings() const;
  void OnBackends(const intent::v1alpha1::BackendSet& message);
  void ResolveSources(BackendSet& set) const;
  void OnInterfaces();
  std::vector<InterfaceReport> CarryInterfaces();
  void OnHost();
  absl::StatusOr<review::v1alpha1::ReviewResponse> OnReview(
      const review::v1alpha1::ReviewRequest& request);
  void ResolveSome();
  void OnTick();
  void Sweep();

  void TryLoad();
  absl::Status Load();
  void OnUnavailable(KernelUnavailable problem, const absl::Status& status);
  void Send(const Event& event);
  void Run(const Effect& effect);
  void Run(const ApplyBatch& effect);
  void Run(const ArmTimer& effect);
  // From the control thread.
  void OnTrace(TraceWish wish);
  void OnUpgrade(std::shared_ptr<Programs> programs, Control::OnSwapped done);
  void OnApplied(const AppliedChange& change);
  absl::StatusOr<OrderOutcome> OnOrder(const std::string& name,
                                       const std::optional<InterfaceOrder>& order);
  absl::StatusOr<std::vector<ChainSlot>> OnChain(const std::optional<ChainChange>& change);
  Control::Hooks HooksForControl();
  void PostToLoop(Loop::Callback callback);
  void SayNode();
  void MarkSyncedWhenSettled();

  const process::Context context_;
  const bool alone_;
  const std::shared_ptr<ControlRpc> control_rpc_;
  const std::string pin_directory_;
  Publisher publisher_;
  Engine engine_;
  std::set<std::string> unsynced_;  // streams
  bool inputs_synced_ = false;
  int batches_ = 0;        // on their way to the engine
  bool sweeping_ = false;  // through the counters

  config::v1alpha1::DatapathSettings settings_;
  std::map<std::string, config::v1alpha1::DatapathInterface> interfaces_config_;
  InterfaceOrders orders_;                          // of operators
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
  std::unique_ptr<process::ReviewBoard::Seat> seat_;
  std::vector<std::shared_ptr<void>> readers_;  // last: they call into the above
};

}  // namespace portolan::datapath
