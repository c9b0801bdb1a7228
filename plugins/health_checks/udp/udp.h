// Health check "udp": a datagram is answered by one that begins as expected (any, when nothing is
// expected). "Port unreachable" is told at once; silence is for the caller's time-out.
#pragma once

#include <memory>

#include "plugins/sdk/factory.h"

namespace portolan::plugin {

std::unique_ptr<Factory> NewUdpCheckFactory();

}  // namespace portolan::plugin
