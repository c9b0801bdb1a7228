// Who edits with this command line: what it says of itself to the service, which cannot know it
// better. Pure but for asking the machine; any thread.
#pragma once

#include <string>

#include "api/proto/config/v1alpha1/config.pb.h"

namespace portolan::cli {

// The user (of sudo, if it is), this program and machine.
config::v1alpha1::Author Myself(const std::string& comment);

}  // namespace portolan::cli
