// Health check "grpc": the backend says SERVING by the gRPC health checking protocol, over a
// connection of its own without TLS.
#pragma once

#include <memory>

#include "plugins/sdk/factory.h"

namespace portolan::plugin {

std::unique_ptr<Factory> NewGrpcCheckFactory();

}  // namespace portolan::plugin
