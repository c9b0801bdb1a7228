// One service of the pipeline with the loop and the thread that it lives on.
//
// Owned and called by the main thread only. The service itself is created on the main thread,
// before its loop runs, and from Start() on is touched by the loop's thread alone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "services/base/process/service.h"

namespace portolan::standalone {

class Stage {
 public:
  using Factory = std::function<absl::StatusOr<std::unique_ptr<process::Service>>(
      const process::Context& context)>;

  // `base` is copied; its loop and log are replaced by the stage's own.
  Stage(std::string name, const process::Context& base);
  ~Stage();  // as Stop()
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  const std::string& name() const { return name_; }
  absl::Status Create(const Factory& factory);
  process::Service* service() { return service_.get(); }
  // Starts the service, then its thread. On error the stage is as before Create().
  absl::Status Start(const process::Upstreams& upstreams);
  // Destroys the service on its own thread and ends the thread. Harmless twice.
  void Stop();
  // Runs `call` on the loop's thread, some time soon.
  void Post(std::function<void(process::Service&)> call);

 private:
  const std::string name_;
  const Log log_;
  const std::unique_ptr<Loop> loop_;
  process::Context context_;
  std::unique_ptr<process::Service> service_;
  std::unique_ptr<metrics::Exporter::Source> figures_;  // of the service, while it runs
  std::thread thread_;
};

}  // namespace portolan::standalone
