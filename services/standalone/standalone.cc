#include "services/standalone/standalone.h"

#include <iostream>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "plugins/builtin/builtin.h"
#include "services/base/process/main.h"
#include "services/base/process/metrics_endpoint.h"
#include "services/base/process/signals.h"
#include "services/base/status/status_macros.h"
#include "services/base/wire/server.h"
#include "services/bgp-exporter/shell/control_rpc.h"
#include "services/bgp-exporter/shell/service.h"
#include "services/config-service/shell/netconf/service.h"
#include "services/datapath-loader/shell/service.h"
#include "services/ipam-service/shell/leading_service.h"
#include "services/l2-announcer/shell/service.h"
#include "services/standalone/stage.h"
#include "services/standalone/supervisor.h"

namespace portolan::standalone {
namespace {

using process::Context;

// What acts on this node's network; ipam-service, which decides, comes before.
// `ipam_rpc` null: ipam-service runs elsewhere.
std::vector<Supervisor::Entry> Stages(const plugin::Registry& registry,
                                      const std::shared_ptr<ipam::IpamRpc>& ipam_rpc,
                                      const std::shared_ptr<datapath::ControlRpc>& control,
                                      const std::shared_ptr<bgp::ControlRpc>& bgp_control) {
  std::vector<Supervisor::Entry> stages;
  if (ipam_rpc != nullptr) {
    stages.push_back({"ipam", [&registry, ipam_rpc](const Context& c) {
                        return ipam::NewIpamService(c, &registry, ipam_rpc);
                      }});
  }
  stages.push_back({"datapath", [&registry, control](const Context& c) {
                      return datapath::NewDatapathService(c, {.registry = &registry}, control);
                    }});
  stages.push_back({"l2", [&](const Context& c) { return l2::NewL2Service(c, registry); }});
  stages.push_back(
      {"bgp", [bgp_control](const Context& c) { return bgp::NewBgpService(c, bgp_control); }});
  return stages;
}

wire::Channels To(const std::vector<std::string>& sockets) {
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (const std::string& socket : sockets) channels.push_back(wire::Connect(socket));
  return wire::Channels(std::move(channels));
}

absl::Status RunUntilStopped(const Options& options) {
  RETURN_IF_ERROR(process::MakeDirectory(options.run_dir));
  RETURN_IF_ERROR(process::MakeDirectory(options.state_dir));
  const Log log("portolan");
  const plugin::Registry registry = plugin::NewBuiltinRegistry();
  const std::unique_ptr<Loop> loop = NewLoop();
  std::function<void()> reload;
  const auto on_hangup = [&] {
    if (reload) reload();
  };
  const process::Signals signals(
      loop.get(), [&] { loop->Stop(); }, on_hangup);
  wire::Hub hub;
  metrics::Exporter exporter(&SystemClock());
  process::ReviewBoard reviews;
  const Context base{
      options.node, options.state_dir, options.run_dir, loop.get(), &hub, &SystemClock(),
      &log,         &exporter,         &reviews};
  std::optional<process::MetricsEndpoint> endpoint(std::in_place, base, "portolan");

  const auto datapath_control = std::make_shared<datapath::ControlRpc>();
  const auto bgp_control = std::make_shared<bgp::ControlRpc>();
  std::vector<grpc::Service*> rpcs = {hub.service(), &reviews, datapath_control.get(),
                                      bgp_control.get()};
  std::unique_ptr<Stage> config_stage;
  std::shared_ptr<ipam::IpamRpc> ipam_rpc;
  if (options.join.empty()) {
    ipam_rpc = std::make_shared<ipam::IpamRpc>();
    rpcs.push_back(ipam_rpc.get());
    config_stage = std::make_unique<Stage>("config", base);
    RETURN_IF_ERROR(config_stage->Create([&](const Context& context) {
      return config::NewNetconfService(context, {.file = options.config_file,
                                                 .plugin_modules = registry.YangModules(),
                                                 .yang_dir = options.yang_dir});
    }));
    for (grpc::Service* rpc : config_stage->service()->rpcs()) rpcs.push_back(rpc);
  }
  const std::string socket = absl::StrCat(options.run_dir, "/portolan.sock");
  ASSIGN_OR_RETURN(std::unique_ptr<wire::Server> server,
                   wire::Server::Start(absl::StrCat("unix:", socket), rpcs));
  const auto own = server->InProcessChannel();
  const wire::Channels upstream = options.join.empty() ? wire::Channels(own) : To(options.join);
  const process::Upstreams upstreams{.config = upstream,
                                     .intent = upstream,
                                     .allocation = upstream,
                                     .datapath = own,
                                     .peers = {{"portolan", own}}};
  if (config_stage != nullptr) {
    RETURN_IF_ERROR(config_stage->Start(upstreams));
    reload = [&] { config_stage->Post([](process::Service& service) { service.Reload(); }); };
  }

  absl::Status result;
  std::unique_ptr<Supervisor> supervisor =
      std::make_unique<Supervisor>(base, Stages(registry, ipam_rpc, datapath_control, bgp_control),
                                   upstreams, [&](absl::Status status) {
                                     result = std::move(status);
                                     loop->Stop();
                                   });
  endpoint->Start(upstream);
  log.Info("running",
           {{"node", options.node}, {"socket", socket}, {"state_dir", options.state_dir}});
  loop->Run();
  log.Info("stopping");
  endpoint.reset();
  supervisor.reset();
  hub.Shutdown();
  server.reset();  // before the service whose RPCs it serves
  return result;
}

}  // namespace

int Run(const Options& options) {
  const absl::Status status = RunUntilStopped(options);
  if (status.ok()) return 0;
  std::cerr << "portolan: " << status.message() << std::endl;
  return 1;
}

}  // namespace portolan::standalone
