// bgp-exporter as its own process: RUN_DIR/bgp-exporter.sock.
#include "services/base/process/main.h"

#include <memory>

#include "services/bgp-exporter/shell/service.h"

int main(int argc, char** argv) {
  return portolan::process::Main(
      argc, argv, "bgp-exporter", [](const portolan::process::Context& context) {
        return portolan::bgp::NewBgpService(context,
                                            std::make_shared<portolan::bgp::ControlRpc>());
      });
}
