// Operational state (NMDA, RFC 8342), asked of the services when somebody reads it: portolan-state
// and nothing of the configuration.
//
// Thread-safe; Read() blocks until every service has answered or the deadline is over. A service
// that does not answer is marked under /portolan-system:system/components, and the rest is there
// all the same.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "services/base/process/service.h"
#include "services/base/yang/tree.h"

namespace portolan::config {

class Operational {
 public:
  Operational(std::shared_ptr<const yang::Context> context, std::vector<process::Peer> services,
              absl::Duration deadline);

  yang::Tree Read() const;

 private:
  const std::shared_ptr<const yang::Context> context_;
  const std::vector<process::Peer> services_;
  const absl::Duration deadline_;
};

}  // namespace portolan::config
