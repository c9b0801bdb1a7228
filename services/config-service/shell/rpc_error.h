// An error as NETCONF says it (RFC 6241, section 4.3 and appendix A). Regular values, and pure
// functions that make them of problems.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/config-service/core/problem.h"

namespace portolan::config {

struct RpcError {
  std::string type = "application";  // "transport", "rpc", "protocol", "application"
  std::string tag;                   // "data-exists"
  std::string app_tag;               // the rule of the model or of ours; may be empty
  std::string path;                  // data path as in RFC 7951; may be empty
  std::string message;               // for a person, with the remedy
  uint64_t session = 0;              // with lock-denied: the holder, or 0
  friend bool operator==(const RpcError&, const RpcError&) = default;
};

// Empty: it is done.
using RpcErrors = std::vector<RpcError>;

RpcError ToRpcError(const Problem& problem);
RpcErrors ToRpcErrors(const std::vector<Problem>& problems);

}  // namespace portolan::config
