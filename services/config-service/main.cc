// config-service: the YANG configuration, checked, journalled and published.
#include "services/base/process/main.h"

#include <CLI/CLI.hpp>

#include "plugins/builtin/builtin.h"
#include "services/config-service/shell/netconf/service.h"

int main(int argc, char** argv) {
  portolan::config::Options options;
  options.plugin_modules = portolan::plugin::NewBuiltinRegistry().YangModules();
  return portolan::process::Main(
      argc, argv, "config-service",
      [&](const portolan::process::Context& context) {
        return portolan::config::NewNetconfService(context, options);
      },
      [&](CLI::App& app) {
        app.add_option("--config", options.file, "YANG instance data, JSON or XML");
        app.add_option("--yang-dir", options.yang_dir, "YANG modules of plugins")
            ->capture_default_str();
      });
}
