// What answers the sessions of the NETCONF server: sends each request to its group of operations,
// and tells the datastores, the state and the subscribers who comes and goes. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/base/clock/clock.h"
#include "services/base/log/log.h"
#include "services/base/netconf/handler.h"
#include "services/base/netconf/server.h"
#include "services/config-service/shell/datastores.h"
#include "services/config-service/shell/netconf/actions.h"
#include "services/config-service/shell/netconf/edits.h"
#include "services/config-service/shell/netconf/gate.h"
#include "services/config-service/shell/netconf/notices.h"
#include "services/config-service/shell/netconf/reads.h"
#include "services/config-service/shell/netconf/state.h"
#include "services/config-service/shell/netconf/users.h"

namespace portolan::config {

class Front : public netconf::Handler {
 public:
  // Nothing is owned but the context.
  struct Parts {
    std::shared_ptr<const yang::Context> context;
    Datastores* datastores = nullptr;
    Gate* gate = nullptr;
    NetconfState* state = nullptr;
    Notices* notices = nullptr;
    const Users* users = nullptr;
    Actions* actions = nullptr;
    const Clock* clock = nullptr;
    const Log* log = nullptr;
    // A call home goes on or fails; from any thread.
    std::function<void(const netconf::CallState& state)> on_call;
  };
  explicit Front(Parts parts);

  // Before the first session opens; not owned, and outlives the sessions.
  void SetServer(netconf::Server* server) { server_ = server; }

  void OnOpen(const netconf::SessionInfo& session) override;
  netconf::Reply OnRequest(const netconf::SessionInfo& session,
                           const netconf::Request& request) override;
  void OnClosed(const netconf::SessionInfo& session, const netconf::Ending& ending) override;
  bool IsPassword(const std::string& user, const std::string& password) override;
  bool IsKey(const std::string& user, const std::string& key) override;
  void OnRefused(netconf::Transport transport, const std::string& host,
                 const absl::Status& why) override;
  void OnCall(const netconf::CallState& state) override { parts_.on_call(state); }

 private:
  netconf::Reply Kill(const netconf::SessionInfo& session, yang::Node input);

  // Asked by the datastores, under their lock.
  RpcErrors CheckWrite(uint64_t session, const Draft& before, const Draft& after);

  const Parts parts_;
  absl::Mutex mutex_;
  std::map<uint64_t, netconf::SessionInfo> sessions_ ABSL_GUARDED_BY(mutex_);
  Reads reads_;
  Edits edits_;
  netconf::Server* server_ = nullptr;
};

}  // namespace portolan::config
