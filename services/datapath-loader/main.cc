// The datapath-loader binary. `--detach` takes a node's datapath off its interfaces and ends.
#include "services/base/process/main.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "plugins/builtin/builtin.h"
#include "services/datapath-loader/shell/service.h"

namespace portolan::datapath {
namespace {

// Its own parser: the flags of a running service that matter here, and nothing is started.
int DetachMain(int argc, char** argv) {
  std::string node = process::HostName();
  std::string state_dir = "/var/lib/portolan";
  Options options;
  bool detach = false;  // known already
  CLI::App app{"Takes a node's datapath off its interfaces, with all flows", "datapath-loader"};
  app.add_flag("--detach", detach, "do this");
  app.add_option("--node", node, "this machine's name in the configuration")->capture_default_str();
  app.add_option("--state-dir", state_dir, "directory of durable files")->capture_default_str();
  app.add_option("--bpf-dir", options.pin_directory, "directory of the pins, if not the default");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = Detach(node, state_dir, options);
  if (status.ok()) return 0;
  std::cerr << "datapath-loader: " << status.message() << std::endl;
  return 1;
}

int Main(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    if (std::string(argv[i]) == "--detach") return DetachMain(argc, argv);
  }
  const plugin::Registry registry = plugin::NewBuiltinRegistry();
  Options options;
  options.registry = &registry;
  bool detach = false;
  return process::Main(
      argc, argv, "datapath-loader",
      [&](const process::Context& context) { return NewDatapathService(context, options); },
      [&](CLI::App& app) {
        app.add_option("--bpf-dir", options.pin_directory,
                       "directory on a BPF file system for maps and links");
        app.add_flag("--alone", options.alone,
                     "read no streams: carry only what is attached and applied by RPC");
        app.add_flag("--detach", detach, "take the datapath off its interfaces and end");
      });
}

}  // namespace
}  // namespace portolan::datapath

int main(int argc, char** argv) { return portolan::datapath::Main(argc, argv); }
