// get, get-config (RFC 6241), get-data (RFC 8526) and get-schema (RFC 6022), with subtree and XPath
// filters and all modes of with-defaults (RFC 6243). No state but what it is lent; any thread.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "services/base/netconf/message.h"
#include "services/base/yang/tree.h"
#include "services/config-service/shell/datastores.h"
#include "services/config-service/shell/netconf/gate.h"
#include "services/config-service/shell/netconf/state.h"

namespace portolan::config {

class Reads {
 public:
  // Nothing is owned.
  Reads(std::shared_ptr<const yang::Context> context, Datastores* datastores, StateSource* state,
        Gate* gate)
      : context_(std::move(context)), datastores_(datastores), state_(state), gate_(gate) {}

  // Nothing: an operation of somebody else.
  std::optional<netconf::Reply> Handle(const netconf::SessionInfo& session,
                                       const netconf::Request& request);

 private:
  netconf::Reply Get(const netconf::SessionInfo& session, yang::Node input);
  netconf::Reply GetConfig(const netconf::SessionInfo& session, yang::Node input);
  netconf::Reply GetData(const netconf::SessionInfo& session, yang::Node input);
  netconf::Reply GetSchema(yang::Node input) const;
  absl::StatusOr<yang::Tree> WithState(const netconf::SessionInfo& session,
                                       const yang::Touched& scope);

  const std::shared_ptr<const yang::Context> context_;
  Datastores* const datastores_;
  StateSource* const state_;
  Gate* const gate_;
};

}  // namespace portolan::config
