// The main function of every service binary: flags, loop, hub, server, signals.
// Everything that it makes lives until it returns; the service runs on the calling thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/base/process/service.h"

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's own
class App;
}

namespace portolan::process {

using Factory = std::function<absl::StatusOr<std::unique_ptr<Service>>(const Context& context)>;

// Runs one service on RUN_DIR/NAME.sock, reading from RUN_DIR/{config-service,ipam-service,
// datapath-loader}.sock, until SIGTERM or SIGINT. Flags: --node, --run-dir, --state-dir,
// --upstream-dir (where config-service and ipam-service live when it is another directory; several
// where ipam-service has a standby).
// SIGHUP calls Service::Reload(). `add_flags` adds the service's own flags (bind them to variables
// that `factory` reads). Returns the exit code: 0 in order, 1 when the service could not start
// (said on stderr), 2 usage.
int Main(int argc, char** argv, absl::string_view name, const Factory& factory,
         const std::function<void(CLI::App&)>& add_flags = nullptr);

// Creates `path` (and parents) for the owner and its group only. Error names the path.
absl::Status MakeDirectory(const std::string& path);

// The host's name: the default of --node.
std::string HostName();

}  // namespace portolan::process
