// The shell of config-service: holds the running configuration, takes edits over RPC and from a
// file, journals them and publishes them.
//
// The loop owns the engine and the queue of edits; a worker thread owns the running tree, journal
// and history (running.h), because parsing, validating and syncing block. One commit is under way
// at a time:
//   queued -> prepared (worker: YANG) -> proposed (engine) -> planned (the services concerned are
//   asked, five seconds at most) -> written (worker) -> published.
// Checks take the same way as far as planned, beside the commits, so none waits for another's plan.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/process/service.h"
#include "services/config-service/core/engine.h"
#include "services/config-service/shell/access.h"
#include "services/config-service/shell/answer_slot.h"
#include "services/config-service/shell/config_watch.h"
#include "services/config-service/shell/datastores.h"
#include "services/config-service/shell/edit.h"
#include "services/config-service/shell/event_source.h"
#include "services/config-service/shell/files.h"
#include "services/config-service/shell/gnmi/listeners.h"
#include "services/config-service/shell/gnmi/service.h"
#include "services/config-service/shell/locks.h"
#include "services/config-service/shell/model.h"
#include "services/config-service/shell/operational.h"
#include "services/config-service/shell/planner.h"
#include "services/config-service/shell/publisher.h"
#include "services/config-service/shell/reviewers.h"
#include "services/config-service/shell/rpc.h"
#include "services/config-service/shell/running.h"
#include "services/config-service/shell/startup.h"
#include "services/config-service/shell/worker.h"

namespace portolan::config {

struct Options {
  // YANG instance data, JSON or XML, loaded when it is not the one that was loaded last; empty:
  // only the journal and the RPCs decide.
  std::string file;
  // YANG modules of the plugins that are linked in.
  std::vector<std::string> plugin_modules = {};
  // Where those of the others are, NAME.yang each; need not be there.
  std::string yang_dir = kYangDir;
};

// The model with the modules of plugins. What is left out is logged.
absl::StatusOr<std::shared_ptr<const Model>> LoadModel(const Options& options, const Log& log);

class ConfigService : public process::Service, private RunningStore {
 public:
  ConfigService(const process::Context& context, Options options,
                std::shared_ptr<const Model> model, std::unique_ptr<Files> files);
  ~ConfigService() override;

  std::vector<grpc::Service*> rpcs() override { return {&rpc_, &gnmi_}; }

  // For a NETCONF server, which is gone before this is. After Start().
  Datastores* datastores() { return &datastores_; }
  const Operational* operational() const { return operational_.get(); }
  Access* access() { return &access_; }
  EventSource* events() { return events_.get(); }
  // Who waits in the datastores, or comes later, hears that the service is stopping: so that the
  // loop's thread can wait for the threads of a NETCONF server.
  void EndWaits() { waiters_->End(); }

  // Each commit that is in force, and the trial that runs since; on the loop's thread.
  using Observer = std::function<void(const Edit& edit, const Answer& answer,
                                      const std::optional<Trial>& trial)>;
  void Observe(Observer observer) { observer_ = std::move(observer); }

  // Takes the state directory, restores the journal, or else begins with startup; loads the file
  // when its content is not what was loaded last, publishes. A bad file stops the start only when
  // there is no journal: the last good configuration stays in force and the file's status says what
  // is wrong. Messages name file, line, path, rule and remedy.
  absl::Status Start(const process::Upstreams& upstreams) override;

  // Loads the file again (SIGHUP), whatever was loaded before; its status says what became of it.
  // On the loop's thread.
  void Reload() override;

 private:
  // From any thread but the loop's, and blocking. See RunningStore.
  std::optional<Copy> Read() override;
  std::optional<Answer> CommitEdit(Edit edit) override;
  void EndSession(uint64_t session) override;

  // Of the worker, or before it is used: what runs now rules our own ways in.
  void TakeEffect();
  GnmiService::Backend BackendOfGnmi();
  // What became of an endpoint; nothing: it is configured no more.
  void ReportGnmi(const std::string& name, const std::optional<absl::Status>& status,
                  const std::string& place);
  // The job runs on the worker, later.
  void ReadLater(std::function<void(const Running&)> job);

  // On the loop's thread.
  Edit FileEdit() const;
  void Enqueue(Edit edit);
  void Pump();
  void Begin(Edit edit);
  void OnPrepared(Edit* edit, Prepared prepared);
  void Execute(std::vector<Effect> effects);
  void Ask(const AskPlan& ask);
  void Ask(const AskReview& ask);
  void FinishEdit(Answer answer);
  void LogEdit(const Edit& edit, const Answer& answer);
  void LogWarnings(const Edit& edit, const Answer& answer);
  // "FILE:LINE" where the line is known.
  static void NameSource(const Edit& edit, std::vector<Problem>* problems);
  void OnGet(const v1alpha1::GetRequest& request, ConfigRpc::GetReply reply);
  void OnGetState(const v1alpha1::GetRequest& request, ConfigRpc::GetReply reply);
  void OnEdit(const v1alpha1::EditRequest& request, bool dry_run, ConfigRpc::EditReply reply);
  void OnHistory(const v1alpha1::HistoryRequest& request, ConfigRpc::HistoryReply reply);
  void OnTrial(const v1alpha1::TrialRequest& request, bool keep, ConfigRpc::EditReply reply);
  void WakeUpAt(absl::Time time);
  void EndTrial(const GoBack& back);
  void ReportFile(const std::vector<Problem>& problems);
  // Runs `callback` on the loop unless this object is gone by then. From any thread.
  void PostToLoop(std::function<void()> callback);

  // Before the worker is used.
  absl::StatusOr<bool> Restore();
  absl::StatusOr<bool> LoadStartup();
  absl::Status LoadFileAtStart(bool restored);
  std::vector<Problem> CommitAtStart(Edit* edit, Prepared prepared);

  const process::Context context_;
  const Options options_;
  const std::unique_ptr<Files> files_;
  Publisher publisher_;
  ConfigWatches watches_;
  ConfigRpc rpc_;
  GnmiService gnmi_;
  GnmiListeners gnmi_listeners_;  // of the worker, or before it is used
  std::unique_ptr<DirectoryLock> lock_;
  Access access_;  // knows the rules of running_
  const std::shared_ptr<Waiters> waiters_ = std::make_shared<Waiters>();
  Locks locks_;
  Startup startup_;  // of Start(), then of the datastores
  Datastores datastores_;
  const std::shared_ptr<const yang::Context> yang_context_;

  // Of the loop.
  Engine engine_;
  std::deque<Edit> queue_;  // commits that wait
  uint64_t last_id_ = 0;
  std::map<uint64_t, std::unique_ptr<Edit>> under_way_;  // by id: checks, and at most one commit
  bool committing_ = false;
  Loop::TimerId wake_up_ = 0;  // 0: none
  Observer observer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  // Of the worker (of Start() before that). An edit under way passes between the threads with the
  // jobs.
  Running running_;

  std::unique_ptr<EventSource> events_;  // from Start() on

  // Last: their threads use what stands above.
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Planner> planner_;          // from Start() on
  std::unique_ptr<Reviewers> reviewers_;      // from Start() on
  std::unique_ptr<Operational> operational_;  // from Start() on
  std::unique_ptr<Worker> state_worker_;      // asks it, and waits
};

absl::StatusOr<std::unique_ptr<process::Service>> NewConfigService(const process::Context& context,
                                                                   Options options);

}  // namespace portolan::config
