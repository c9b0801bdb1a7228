// The endpoint of this process for Prometheus, as /portolan-system:system/metrics has it.
//
// Follows the configuration; what does not work (a port that is taken) is the ObjectStatus
// metrics/NODE/endpoint/PROCESS and is tried again, from 1 s up to every 30 s. Lives on one loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "services/base/metrics/exporter.h"
#include "services/base/process/service.h"
#include "services/base/wire/hub.h"
#include "services/base/wire/reader.h"

namespace portolan::process {

class MetricsEndpoint {
 public:
  // `process`: the key of its entry. Create before the first reader of the hub comes. The exporter
  // is context.metrics.
  MetricsEndpoint(const Context& context, std::string process);
  ~MetricsEndpoint();  // serves no more
  MetricsEndpoint(const MetricsEndpoint&) = delete;
  MetricsEndpoint& operator=(const MetricsEndpoint&) = delete;

  void Start(const wire::Channels& config);

 private:
  void Want(std::optional<config::v1alpha1::MetricsEndpoint> wanted);
  void Listen();
  void Report(const absl::StatusOr<int>& port);

  const Context context_;
  const std::string process_;
  wire::Writer statuses_;
  const std::unique_ptr<metrics::Exporter::Source> streams_;
  std::optional<config::v1alpha1::MetricsEndpoint> wanted_;
  absl::Duration backoff_ = absl::ZeroDuration();
  Loop::TimerId retry_ = 0;
  std::optional<wire::TypedReader<config::v1alpha1::MetricsEndpoint>> reader_;  // last
};

}  // namespace portolan::process
