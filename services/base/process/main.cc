#include "services/base/process/main.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/process/metrics_endpoint.h"
#include "services/base/process/signals.h"
#include "services/base/status/status_macros.h"
#include "services/base/wire/server.h"

namespace portolan::process {
namespace {

struct Flags {
  std::string node = HostName();
  std::string run_dir = "/run/portolan";
  std::string state_dir = "/var/lib/portolan";
  std::vector<std::string> upstream_dirs;
};

absl::Status Run(const Flags& flags, absl::string_view name, const Factory& factory) {
  RETURN_IF_ERROR(MakeDirectory(flags.run_dir));
  RETURN_IF_ERROR(MakeDirectory(flags.state_dir));
  const Log log((std::string(name)));
  const std::unique_ptr<Loop> loop = NewLoop();
  wire::Hub hub;
  metrics::Exporter exporter(&SystemClock());
  ReviewBoard reviews;
  std::unique_ptr<Service> service;
  const Signals signals(
      loop.get(), [&] { loop->Stop(); },
      [&] {
        if (service != nullptr) service->Reload();
      });
  const Context context{flags.node, flags.state_dir, flags.run_dir, loop.get(),
                        &hub,       &SystemClock(),  &log,          &exporter,
                        &reviews};
  ASSIGN_OR_RETURN(service, factory(context));
  std::optional<MetricsEndpoint> endpoint(std::in_place, context, std::string(name));
  const auto figures = exporter.Add(std::string(name), loop.get(),
                                    [&](metrics::Page& page) { service->Collect(page); });
  std::vector<grpc::Service*> rpcs = service->rpcs();
  rpcs.push_back(hub.service());
  rpcs.push_back(&reviews);
  ASSIGN_OR_RETURN(
      std::unique_ptr<wire::Server> server,
      wire::Server::Start(absl::StrCat("unix:", flags.run_dir, "/", name, ".sock"), rpcs));
  const auto channel = [&](const std::string& directory, absl::string_view peer) {
    return wire::Connect(absl::StrCat("unix:", directory, "/", peer, ".sock"));
  };
  std::vector<std::string> above = flags.upstream_dirs;
  if (above.empty()) above.push_back(flags.run_dir);
  const auto config = channel(above.front(), "config-service");
  std::vector<std::shared_ptr<grpc::Channel>> allocators;
  for (const std::string& directory : above) {
    allocators.push_back(channel(directory, "ipam-service"));
  }
  std::vector<Peer> peers;
  for (const char* peer :
       {"config-service", "ipam-service", "l2-announcer", "bgp-exporter", "datapath-loader"}) {
    peers.push_back({peer, channel(flags.run_dir, peer)});
  }
  RETURN_IF_ERROR(service->Start(Upstreams{
      .config = config,
      .intent = config,
      .allocation = wire::Channels(std::move(allocators)),
      .datapath = channel(flags.run_dir, "datapath-loader"),
      .peers = std::move(peers),
  }));
  endpoint->Start(config);
  log.Info("running", {{"node", flags.node}, {"run_dir", flags.run_dir}});
  loop->Run();
  log.Info("stopping");
  endpoint.reset();
  hub.Shutdown();
  server.reset();  // before the service whose RPCs it serves
  return absl::OkStatus();
}

}  // namespace

int Main(int argc, char** argv, absl::string_view name, const Factory& factory,
         const std::function<void(CLI::App&)>& add_flags) {
  Flags flags;
  CLI::App app{absl::StrCat("Portolan ", name), std::string(name)};
  app.add_option("--node", flags.node, "this machine's name in the configuration")
      ->capture_default_str();
  app.add_option("--run-dir", flags.run_dir, "directory of the sockets")->capture_default_str();
  app.add_option("--state-dir", flags.state_dir, "directory of durable files")
      ->capture_default_str();
  app.add_option("--upstream-dir", flags.upstream_dirs,
                 "directory of config-service's and ipam-service's sockets, if not --run-dir; may "
                 "be repeated: config-service is in the first, ipam-service in any");
  if (add_flags) add_flags(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const absl::Status status = Run(flags, name, factory);
  if (status.ok()) return 0;
  std::cerr << name << ": " << status.message() << std::endl;
  return 1;
}

absl::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  const bool created = std::filesystem::create_directories(path, error);
  if (error) {
    return absl::FailedPreconditionError(absl::StrCat("cannot create directory ", path, ": ",
                                                      error.message(),
                                                      "; run as root or choose another path"));
  }
  if (created) {
    std::filesystem::permissions(path, std::filesystem::perms(0750), error);
  }
  return absl::OkStatus();
}

std::string HostName() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  return name;
}

}  // namespace portolan::process
