#include "services/standalone/stage.h"

#include <utility>

#include "services/base/status/status_macros.h"

namespace portolan::standalone {

Stage::Stage(std::string name, const process::Context& base)
    : name_(std::move(name)), log_(name_), loop_(NewLoop()), context_(base) {
  context_.loop = loop_.get();
  context_.log = &log_;
}

Stage::~Stage() { Stop(); }

absl::Status Stage::Create(const Factory& factory) {
  auto created = factory(context_);
  if (!created.ok()) return Annotate(created.status(), name_);
  service_ = *std::move(created);
  return absl::OkStatus();
}

absl::Status Stage::Start(const process::Upstreams& upstreams) {
  if (const absl::Status status = service_->Start(upstreams); !status.ok()) {
    service_.reset();
    return Annotate(status, name_);
  }
  if (context_.metrics != nullptr) {
    figures_ = context_.metrics->Add(name_, loop_.get(),
                                     [this](metrics::Page& page) { service_->Collect(page); });
  }
  thread_ = std::thread([this] { loop_->Run(); });
  return absl::OkStatus();
}

void Stage::Stop() {
  if (thread_.joinable()) {
    loop_->Post([this] {
      figures_.reset();
      service_.reset();
      loop_->Stop();
    });
    thread_.join();
  }
  service_.reset();
}

void Stage::Post(std::function<void(process::Service&)> call) {
  loop_->Post([this, call = std::move(call)] {
    if (service_ != nullptr) call(*service_);
  });
}

}  // namespace portolan::standalone
