// Rpcs and actions of our own modules (RFC 7950, sections 7.14 and 7.15): explain, plan, reset,
// drain, undrain, trace, flush-flows. Each checks its arguments and that the list entry that it is
// of is configured, asks a service of this node, and answers as the model says.
//
// Thread-safe. A call blocks its session alone, no longer than its deadline: five seconds, a trace
// as long as it was asked to last. Access is the caller's to check, before.
#pragma once

#include <optional>

#include "services/base/netconf/message.h"
#include "services/base/process/service.h"
#include "services/config-service/shell/datastores.h"
#include "services/config-service/shell/netconf/calls.h"

namespace portolan::config {

class Actions {
 public:
  // Not owned.
  explicit Actions(Datastores* datastores) : datastores_(datastores) {}
  // Before the first session opens.
  void SetServices(const process::Upstreams& upstreams) { calls_.SetServices(upstreams); }
  // Nobody waits for a service any more, now or later.
  void End() { calls_.End(); }

  // Nothing: an operation of somebody else.
  std::optional<netconf::Reply> Handle(const netconf::Request& request);

 private:
  using Method = netconf::Reply (Actions::*)(const netconf::Request& request);
  static Method MethodOf(const netconf::Request& request);

  std::optional<netconf::Reply> Missing(const netconf::Request& request);
  netconf::Reply Explain(const netconf::Request& request);
  netconf::Reply Plan(const netconf::Request& request);
  netconf::Reply Reset(const netconf::Request& request);
  netconf::Reply Drain(const netconf::Request& request);
  netconf::Reply Undrain(const netconf::Request& request);
  netconf::Reply Trace(const netconf::Request& request);
  netconf::Reply FlushFlows(const netconf::Request& request);

  Datastores* const datastores_;
  Calls calls_;
};

}  // namespace portolan::config
