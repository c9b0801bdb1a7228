// l2-announcer: answers ARP and Neighbour Discovery for service addresses on this node's LANs.
#include "services/base/process/main.h"

#include <CLI/CLI.hpp>

#include "plugins/builtin/builtin.h"
#include "services/l2-announcer/shell/service.h"

int main(int argc, char** argv) {
  using portolan::process::Context;
  const portolan::plugin::Registry registry = portolan::plugin::NewBuiltinRegistry();
  portolan::l2::Options options;
  return portolan::process::Main(
      argc, argv, "l2-announcer",
      [&](const Context& context) {
        return portolan::l2::NewL2Service(context, registry, options);
      },
      [&](CLI::App& app) {
        app.add_option("--bpf-dir", options.pin_directory,
                       "directory where datapath-loader pins its maps, if not the default");
      });
}
