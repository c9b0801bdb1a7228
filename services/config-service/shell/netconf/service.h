// config-service with its NETCONF server: the server lives as long as the service, listens where
// the configuration says, and follows it without a restart.
//
// A process::Service like the one that it wraps. A worker thread opens and closes endpoints, since
// that may wait; an endpoint that does not come up is the ObjectStatus
// netconf/NODE/endpoint/NAME and is tried again with the next commit; how it goes with a client
// that is called is netconf/NODE/call-home/NAME.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/base/netconf/server.h"
#include "services/base/process/service.h"
#include "services/config-service/shell/netconf/actions.h"
#include "services/config-service/shell/netconf/front.h"
#include "services/config-service/shell/netconf/gate.h"
#include "services/config-service/shell/netconf/notices.h"
#include "services/config-service/shell/netconf/settings.h"
#include "services/config-service/shell/netconf/state.h"
#include "services/config-service/shell/netconf/users.h"
#include "services/config-service/shell/service.h"
#include "services/config-service/shell/worker.h"

namespace portolan::config {

class NetconfService : public process::Service {
 public:
  NetconfService(const process::Context& context, Options options,
                 std::shared_ptr<const Model> model, std::unique_ptr<Files> files);
  ~NetconfService() override;

  std::vector<grpc::Service*> rpcs() override { return service_->rpcs(); }
  absl::Status Start(const process::Upstreams& upstreams) override;
  void Reload() override { service_->Reload(); }
  void Collect(metrics::Page& page) const override { service_->Collect(page); }

 private:
  // On the loop's thread.
  void OnCommit(const Edit& edit, const Answer& answer, const std::optional<Trial>& trial);

  void Tell(std::vector<Notice> notices);

  // On the worker's, or in Start().
  void Apply();
  void ApplyUnix(const NetconfSettings& wanted);
  void ApplyTcp(const NetconfSettings& wanted);
  absl::Status Listen(const netconf::TcpEndpoint& endpoint, const absl::Status& usable);
  void ApplyCallHome(const NetconfSettings& wanted);
  void Report(const std::string& endpoint, const absl::Status& status, const std::string& place);

  // On any thread.
  void OnCall(const netconf::CallState& state);

  std::string KeyOf(const char* kind, const std::string& name) const;

  const process::Context context_;
  const std::shared_ptr<const Model> model_;
  const std::unique_ptr<ConfigService> service_;
  wire::Writer statuses_;
  Gate gate_;
  Users users_;
  NetconfState state_;
  Notices notices_;
  Actions actions_;
  Front front_;
  std::optional<uint64_t> trial_revision_;  // of the loop: the trial that ran before

  std::unique_ptr<netconf::Server> server_;

  absl::Mutex calls_mutex_;
  // Who is called, and whether the last call failed.
  std::map<std::string, bool> calls_ ABSL_GUARDED_BY(calls_mutex_);

  // Of the worker.
  std::optional<std::string> unix_group_;            // while it is served
  std::map<std::string, netconf::TcpEndpoint> tcp_;  // that are served, by their keys
  std::set<std::string> reported_;                   // keys of those that have a status
  // Last.
  std::unique_ptr<Worker> teller_;  // tells what services report
  std::unique_ptr<Worker> worker_;
};

// What main runs.
absl::StatusOr<std::unique_ptr<process::Service>> NewNetconfService(const process::Context& context,
                                                                    Options options);

}  // namespace portolan::config
