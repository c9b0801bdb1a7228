#include "services/standalone/supervisor.h"

#include <utility>

#include "services/base/status/status_macros.h"

namespace portolan::standalone {

using config::v1alpha1::PipelineStage;

Supervisor::Supervisor(const process::Context& base, std::vector<Entry> entries,
                       process::Upstreams upstreams, std::function<void(absl::Status)> on_failure)
    : base_(base),
      entries_(std::move(entries)),
      upstreams_(std::move(upstreams)),
      on_failure_(std::move(on_failure)),
      reader_(base.loop, upstreams_.config,
              wire::Handlers<PipelineStage>{
                  .on_upsert =
                      [this](const std::string& key, const PipelineStage& stage) {
                        enabled_[key] = stage.enabled();
                        Adjust(key);
                      },
                  .on_remove =
                      [this](const std::string& key) {
                        enabled_.erase(key);
                        Adjust(key);
                      },
                  .on_synced =
                      [this] {
                        if (!std::exchange(launched_, true)) Launch();
                      },
                  .on_connected =
                      [this](bool connected) {
                        base_.log->Info(connected ? "configuration is reachable"
                                                  : "configuration is away; keeping what is known");
                      },
              }) {}

Supervisor::~Supervisor() {
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    stages_.erase(entry->name);
  }
}

bool Supervisor::IsEnabled(const std::string& name) const {
  const auto it = enabled_.find(name);
  return it == enabled_.end() || it->second;
}

void Supervisor::Launch() {
  for (const Entry& entry : entries_) {
    if (!IsEnabled(entry.name)) continue;
    auto stage = std::make_unique<Stage>(entry.name, base_);
    if (const absl::Status status = stage->Create(entry.factory); !status.ok()) {
      return on_failure_(status);
    }
    stages_[entry.name] = std::move(stage);
  }
  for (const Entry& entry : entries_) {
    const auto it = stages_.find(entry.name);
    if (it == stages_.end()) continue;
    if (const absl::Status status = it->second->Start(upstreams_); !status.ok()) {
      return on_failure_(status);
    }
    base_.log->Info("stage runs", {{"stage", entry.name}});
  }
}

absl::Status Supervisor::Begin(const Entry& entry) {
  auto stage = std::make_unique<Stage>(entry.name, base_);
  RETURN_IF_ERROR(stage->Create(entry.factory));
  RETURN_IF_ERROR(stage->Start(upstreams_));
  stages_[entry.name] = std::move(stage);
  return absl::OkStatus();
}

// After the launch, one stage follows its entry in the configuration.
void Supervisor::Adjust(const std::string& name) {
  if (!launched_) return;
  const bool wanted = IsEnabled(name);
  if (wanted == stages_.contains(name)) return;
  if (!wanted) {
    stages_.erase(name);
    base_.log->Info("stage stopped", {{"stage", name}});
    return;
  }
  for (const Entry& entry : entries_) {
    if (entry.name != name) continue;
    const absl::Status status = Begin(entry);
    if (status.ok()) {
      base_.log->Info("stage runs", {{"stage", name}});
    } else {
      base_.log->Error("stage does not start", {{"stage", name}, {"error", status.ToString()}});
    }
  }
}

}  // namespace portolan::standalone
