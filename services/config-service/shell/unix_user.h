// Users of this machine as access control sees them: name and groups from the name service. Blocks
// as long as that takes; any thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "services/config-service/core/nacm.h"

namespace portolan::config {

// At the other end of a UNIX socket. Uid 0 is the recovery session (RFC 8341, section 3.3). Who has
// no name here is called "uid:N" and is in no group.
Subject SubjectOfUid(uid_t uid);

// Empty: there is no such user.
std::vector<std::string> UnixGroupsOf(const std::string& user);

}  // namespace portolan::config
