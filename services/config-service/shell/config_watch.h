// Config.Watch: what runs, then every commit with what it changed, for any number of readers.
//
// A reader keeps what it heard last, which it shares with what runs, and hears the difference. So
// nothing piles up while it is slow: it goes on with what runs once it took what was written.
// Calls come on gRPC's threads, Tell() on one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "services/config-service/shell/commit.h"
#include "services/config-service/shell/configuration.h"

namespace portolan::config {

class ConfigWatch;

class ConfigWatches {
 public:
  // `newest`: the commit that runs; null: there was none yet.
  using Job = std::function<void(const Configuration&, uint64_t revision, const Commit* newest)>;
  // Runs the job on a thread that may block, never within the call, with what runs then.
  using Read = std::function<void(Job)>;
  using Reactor = grpc::ServerWriteReactor<v1alpha1::WatchResponse>;

  explicit ConfigWatches(Read read) : read_(std::move(read)) {}

  // Of one call; gRPC's from now on. It ends with INVALID_ARGUMENT when the path is none.
  Reactor* Begin(const v1alpha1::WatchRequest& request);

  // Another configuration runs now.
  void Tell();

 private:
  const Read read_;
  absl::Mutex mutex_;
  std::vector<std::weak_ptr<ConfigWatch>> watches_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace portolan::config
