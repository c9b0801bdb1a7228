// The notifications of RFC 6470 as XML, each the notification's own element. Pure functions, any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "services/base/netconf/message.h"
#include "services/base/yang/compare.h"
#include "services/base/yang/context.h"

namespace portolan::config {

std::string SessionStart(const netconf::SessionInfo& session);
std::string SessionEnd(const netconf::SessionInfo& session, const netconf::Ending& ending);

// `session` 0: the server, or somebody without a session.
struct By {
  uint64_t session = 0;
  std::string user;
};

// Of running; names what `comparison` does.
std::string ConfigChange(const yang::Context& context, const By& by,
                         const yang::Comparison& comparison);
// "start", "extend", "complete", "cancel", "timeout".
std::string ConfirmedCommit(const By& by, const std::string& event,
                            std::optional<uint32_t> timeout_s);

}  // namespace portolan::config
