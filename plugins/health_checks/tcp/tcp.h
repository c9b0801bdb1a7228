// Health check "tcp": a connection to the backend's port is accepted. Nothing is sent; the
// connection is closed at once.
#pragma once

#include <memory>

#include "plugins/sdk/factory.h"

namespace portolan::plugin {

std::unique_ptr<Factory> NewTcpCheckFactory();

}  // namespace portolan::plugin
