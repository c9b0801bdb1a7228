// Starts and stops the stages of the pipeline as the configuration says (portolan-pipeline).
//
// A stage without an entry in the configuration runs. At the first synced configuration all
// enabled stages are created before any is started, so that no reader hears "synced" before every
// publisher is there. Lives on the main loop; single-threaded.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "api/proto/config/v1alpha1/config.pb.h"
#include "services/base/process/service.h"
#include "services/base/wire/reader.h"
#include "services/standalone/stage.h"

namespace portolan::standalone {

class Supervisor {
 public:
  struct Entry {
    std::string name;  // as in PipelineStage
    Stage::Factory factory;
  };

  // `entries` in the order of the pipeline; stages stop in the reverse order. `on_failure` is
  // called when a stage does not start at the first launch; a stage that is enabled later and
  // fails is only logged.
  Supervisor(const process::Context& base, std::vector<Entry> entries, process::Upstreams upstreams,
             std::function<void(absl::Status)> on_failure);
  ~Supervisor();

 private:
  void Launch();
  absl::Status Begin(const Entry& entry);
  void Adjust(const std::string& name);
  bool IsEnabled(const std::string& name) const;

  const process::Context base_;
  const std::vector<Entry> entries_;
  const process::Upstreams upstreams_;
  const std::function<void(absl::Status)> on_failure_;
  bool launched_ = false;
  std::map<std::string, bool> enabled_;  // as configured
  std::map<std::string, std::unique_ptr<Stage>> stages_;
  wire::TypedReader<config::v1alpha1::PipelineStage> reader_;  // last: it calls into the above
};

}  // namespace portolan::standalone
