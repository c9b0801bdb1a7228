#include "services/config-service/shell/config_watch.h"

#include <grpcpp/grpcpp.h>

#include <optional>

#include "absl/status/statusor.h"
#include "services/base/status/status_macros.h"
#include "services/base/wire/grpc_status.h"
#include "services/config-service/shell/edit_convert.h"
#include "services/config-service/shell/running.h"

namespace portolan::config {
namespace {

using v1alpha1::WatchRequest;
using v1alpha1::WatchResponse;

absl::StatusOr<yang::Comparison> Differences(const Configuration& from, const Configuration& to,
                                             const std::string& xpath) {
  if (xpath.empty()) return Compare(from, to, kMaxDifferences);
  ASSIGN_OR_RETURN(const yang::Tree before, from.Select(xpath));
  ASSIGN_OR_RETURN(const yang::Tree after, to.Select(xpath));
  return yang::Compare(before, after, kMaxDifferences);
}

}  // namespace

// One call. Its reactor is gRPC's and is spoken to under the lock, as long as it is not finished.
class ConfigWatch : public std::enable_shared_from_this<ConfigWatch> {
 public:
  ConfigWatch(ConfigWatches::Read read, ConfigWatches::Reactor* reactor, WatchRequest request)
      : read_(std::move(read)), request_(std::move(request)), reactor_(reactor) {}

  // Something is to be told.
  void Change() {
    absl::MutexLock lock(&mutex_);
    due_ = true;
    Pump();
  }
  void OnWritten(bool ok) {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok) return Finish(absl::CancelledError("the client is gone"));
    Pump();
  }
  void Cancel() {
    absl::MutexLock lock(&mutex_);
    Finish(absl::CancelledError("cancelled"));
  }

 private:
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (reactor_ == nullptr || writing_ || asked_ || !due_) return;
    due_ = false;
    asked_ = true;
    read_([watch = shared_from_this()](const Configuration& running, uint64_t revision,
                                       const Commit* newest) {
      absl::MutexLock lock(&watch->mutex_);
      watch->asked_ = false;
      if (watch->reactor_ == nullptr) return;
      if (const absl::Status status = watch->Look(running, revision, newest); !status.ok()) {
        return watch->Finish(status);
      }
      watch->Pump();
    });
  }

  absl::Status Look(const Configuration& running, uint64_t revision, const Commit* newest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    response_.Clear();
    response_.set_revision(revision);
    if (!told_.has_value()) {
      const yang::Format format =
          request_.format() == v1alpha1::FORMAT_XML ? yang::Format::kXml : yang::Format::kJson;
      ASSIGN_OR_RETURN(*response_.mutable_data(),
                       PartOf(running, request_.path(), format, /*secrets=*/false));
      response_.set_snapshot(true);
    } else {
      if (revision == told_revision_ || newest == nullptr) return absl::OkStatus();
      ASSIGN_OR_RETURN(yang::Comparison comparison, Differences(*told_, running, request_.path()));
      if (comparison.differences.empty() && !request_.path().empty()) return absl::OkStatus();
      response_.set_from_revision(told_revision_);
      Commit commit = *newest;
      commit.comparison = std::move(comparison);
      *response_.mutable_commit() = ToProto(commit);
    }
    told_ = running;
    told_revision_ = revision;
    writing_ = true;
    reactor_->StartWrite(&response_);
    return absl::OkStatus();
  }

  void Finish(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (reactor_ == nullptr) return;
    told_.reset();
    std::exchange(reactor_, nullptr)->Finish(wire::ToGrpc(status));
  }

  const ConfigWatches::Read read_;
  const WatchRequest request_;

  absl::Mutex mutex_;
  ConfigWatches::Reactor* reactor_ ABSL_GUARDED_BY(mutex_);  // null once finished
  WatchResponse response_ ABSL_GUARDED_BY(mutex_);           // of the write that is out
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool asked_ ABSL_GUARDED_BY(mutex_) = false;  // what runs is being read
  bool due_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<Configuration> told_ ABSL_GUARDED_BY(mutex_);
  uint64_t told_revision_ ABSL_GUARDED_BY(mutex_) = 0;
};

namespace {

class WatchReactor : public ConfigWatches::Reactor {
 public:
  WatchReactor(ConfigWatches::Read read, const WatchRequest& request)
      : watch_(std::make_shared<ConfigWatch>(std::move(read), this, request)) {}
  const std::shared_ptr<ConfigWatch>& watch() const { return watch_; }
  // With references of their own: finishing may end in OnDone() before it returns.
  void OnWriteDone(bool ok) override { std::shared_ptr<ConfigWatch>(watch_)->OnWritten(ok); }
  void OnCancel() override { std::shared_ptr<ConfigWatch>(watch_)->Cancel(); }
  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<ConfigWatch> watch_;
};

}  // namespace

ConfigWatches::Reactor* ConfigWatches::Begin(const WatchRequest& request) {
  auto* reactor = new WatchReactor(read_, request);
  const std::shared_ptr<ConfigWatch> watch = reactor->watch();
  {
    absl::MutexLock lock(&mutex_);
    std::erase_if(watches_, [](const auto& weak) { return weak.expired(); });
    watches_.push_back(watch);
  }
  watch->Change();
  return reactor;
}

void ConfigWatches::Tell() {
  std::vector<std::shared_ptr<ConfigWatch>> watches;
  {
    absl::MutexLock lock(&mutex_);
    for (const std::weak_ptr<ConfigWatch>& weak : watches_) {
      if (std::shared_ptr<ConfigWatch> watch = weak.lock()) watches.push_back(std::move(watch));
    }
  }
  for (const std::shared_ptr<ConfigWatch>& watch : watches) watch->Change();
}

}  // namespace portolan::config
