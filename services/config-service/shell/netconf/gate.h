// Who may do what over NETCONF: access control (shell/access.h) asked for a session. Thread-safe;
// costs nothing for root on the UNIX socket.
#pragma once

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "services/base/netconf/message.h"
#include "services/base/yang/tree.h"
#include "services/config-service/shell/access.h"
#include "services/config-service/shell/configuration.h"
#include "services/config-service/shell/rpc_error.h"

namespace portolan::config {

class Gate {
 public:
  // `access` is not owned.
  Gate(std::shared_ptr<const yang::Context> context, Access* access)
      : context_(std::move(context)), access_(access) {}

  // Empty: yes.
  RpcErrors MayCall(const netconf::SessionInfo& session, absl::string_view module,
                    absl::string_view operation);
  // The same of an action, as it stands in a request.
  RpcErrors MayAct(const netconf::SessionInfo& session, yang::Node action);
  // Removes what the session may not read.
  void FilterRead(const netconf::SessionInfo& session, yang::Tree* tree);
  // Empty: the session may turn `before` into `after`.
  RpcErrors CheckWrite(const netconf::SessionInfo& session, const Draft& before,
                       const Draft& after);
  // Every node of a text of operational state (RFC 7951); empty: yes.
  bool MayRead(const netconf::SessionInfo& session, const std::string& state);
  bool MayReceive(const netconf::SessionInfo& session, absl::string_view module,
                  absl::string_view notification);

 private:
  const std::shared_ptr<const yang::Context> context_;
  Access* const access_;
};

}  // namespace portolan::config
