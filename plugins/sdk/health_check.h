// Extension point "health-check": does a backend serve?
//
// Unlike other stages it does I/O, so shells ask it, never cores. A check is const: what is under
// way is an Attempt, which the caller owns. Nothing blocks; `loop` outlives the attempts. When to
// ask, how long to wait and how many answers make a verdict is the caller's affair.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "plugins/sdk/stage.h"
#include "services/base/loop/loop.h"
#include "services/base/net/ip_address.h"

namespace portolan::plugin {

struct HealthTarget {
  net::IpAddress address;
  uint16_t port = 0;
  // What the kinds of checks understand, see /portolan-service:services/service/health-check.
  std::string path;
  std::string host;
  std::string service_name;
  std::string send;
  std::string expect;
  friend bool operator==(const HealthTarget&, const HealthTarget&) = default;
};

class HealthCheck : public Stage {
 public:
  static constexpr char kExtensionPoint[] = "health-check";

  // Gives up when it is destroyed: `done` is not called any more.
  class Attempt {
   public:
    virtual ~Attempt() = default;
  };
  // OK: the backend serves. Else the message says in a few words what happened instead.
  using Done = absl::AnyInvocable<void(absl::Status)>;

  // On the loop's thread. Calls `done` at most once, there, and never before Begin() has returned.
  virtual std::unique_ptr<Attempt> Begin(Loop* loop, const HealthTarget& target,
                                         Done done) const = 0;
};

}  // namespace portolan::plugin
