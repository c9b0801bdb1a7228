// The seam between a service's shell and the process that it runs in: its own binary, or
// standalone beside all the others.
//
// A service is created, its RPCs are registered, then it is started, all on its loop's thread or
// before the loop runs. It lives on that loop until it is destroyed there.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/base/clock/clock.h"
#include "services/base/log/log.h"
#include "services/base/loop/loop.h"
#include "services/base/metrics/exporter.h"
#include "services/base/process/review_board.h"
#include "services/base/wire/hub.h"
#include "services/base/wire/reader.h"

namespace grpc {
class Channel;
class Service;
}  // namespace grpc

namespace portolan::process {

// What the process lends to a service. Nothing is owned; all outlives the service.
struct Context {
  std::string node;       // this machine's name in the configuration
  std::string state_dir;  // durable files
  std::string run_dir;    // sockets
  Loop* loop = nullptr;
  wire::Hub* hub = nullptr;  // where it publishes
  const Clock* clock = nullptr;
  const Log* log = nullptr;
  metrics::Exporter* metrics = nullptr;  // null: nobody scrapes
  ReviewBoard* reviews = nullptr;        // null: nobody asks
};

// A process that can be asked what its services report.
struct Peer {
  std::string name;  // "ipam-service"
  std::shared_ptr<grpc::Channel> channel;
};

// Where a service reads from. In standalone all are the same in-process channel. Several of one
// kind: see wire/reader.h whom it follows.
struct Upstreams {
  wire::Channels config;
  wire::Channels intent;
  wire::Channels allocation;
  std::shared_ptr<grpc::Channel> datapath;  // status of this node's datapath
  std::vector<Peer> peers;                  // all processes of this node, for operational state
};

class Service {
 public:
  virtual ~Service() = default;
  // gRPC services beside the hub's stream; owned by this object.
  virtual std::vector<grpc::Service*> rpcs() { return {}; }
  // Begins to read and to act. An error is fatal for the process and says what to do.
  virtual absl::Status Start(const Upstreams& upstreams) = 0;
  // SIGHUP: read files again, if the service has any.
  virtual void Reload() {}
  // What it counts, for one scrape. On its loop's thread.
  virtual void Collect(metrics::Page&) const {}
};

}  // namespace portolan::process
