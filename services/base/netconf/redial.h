// When and where a call-home client is called next (RFC 8071; names of ietf-netconf-server). Pure:
// time and chance are arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace portolan::netconf {

struct CallHomePlan {
  enum class StartWith : uint8_t { kFirstListed, kLastConnected, kRandomSelection };

  size_t endpoints = 1;  // at least one
  StartWith start_with = StartWith::kFirstListed;
  uint32_t max_attempts = 3;  // at an endpoint, before the next one; at least one
  absl::Duration period;      // zero: the connection is persistent
  friend bool operator==(const CallHomePlan&, const CallHomePlan&) = default;
};

class Redial {
 public:
  explicit Redial(const CallHomePlan& plan) : plan_(plan) {}

  struct Call {
    size_t endpoint = 0;
    absl::Duration wait;  // before it
    friend bool operator==(const Call&, const Call&) = default;
  };
  // `chance` is in [0, 1).
  Call First(double chance);
  // The last call came to nothing.
  Call AfterFailure();
  // The last call's session, of `began`, is over.
  Call AfterSession(absl::Time began, absl::Time now, double chance);

 private:
  size_t Start(double chance) const;

  const CallHomePlan plan_;
  size_t endpoint_ = 0;
  std::optional<size_t> last_connected_;
  uint32_t attempts_ = 0;  // at this endpoint
  uint32_t failures_ = 0;  // since there was a session
};

}  // namespace portolan::netconf
