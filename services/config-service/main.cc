// config-service as its own process: RUN_DIR/config-service.sock. Edits come over the RPC.
#include "services/base/process/main.h"

#include "services/config-service/shell/service.h"

int main(int argc, char** argv) {
  return portolan::process::Main(argc, argv, "config-service",
                                 [](const portolan::process::Context& context) {
                                   return portolan::config::NewConfigService(context, {});
                                 });
}
