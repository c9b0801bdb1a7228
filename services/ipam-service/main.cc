// ipam-service: gives Services their addresses.
#include "services/base/process/main.h"

#include <memory>

#include "plugins/builtin/builtin.h"
#include "services/ipam-service/shell/leading_service.h"

int main(int argc, char** argv) {
  using portolan::process::Context;
  const portolan::plugin::Registry registry = portolan::plugin::NewBuiltinRegistry();
  return portolan::process::Main(argc, argv, "ipam-service", [&](const Context& context) {
    return portolan::ipam::NewIpamService(context, &registry,
                                          std::make_shared<portolan::ipam::IpamRpc>());
  });
}
