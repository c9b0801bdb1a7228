// config-service: the YANG configuration, checked, journalled and published.
#include "services/base/process/main.h"

#include <CLI/CLI.hpp>

#include "services/config-service/shell/netconf/service.h"

int main(int argc, char** argv) {
  portolan::config::Options options;
  return portolan::process::Main(
      argc, argv, "config-service",
      [&](const portolan::process::Context& context) {
        return portolan::config::NewNetconfService(context, options);
      },
      [&](CLI::App& app) {
        app.add_option("--config", options.file, "YANG instance data, JSON or XML");
      });
}
