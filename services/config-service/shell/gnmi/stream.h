// The subscriptions of gNMI: ONCE, POLL, and STREAM on change or by a sample interval. State is
// told by ONCE, POLL and SAMPLE; changes on their own are told of the configuration.
//
// A stream keeps what it told last, and tells what differs. While its reader is slow nothing piles
// up: it goes on with what runs once the reader took what was written. Calls come on gRPC's
// threads, Tell() on one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "api/proto/gnmi/gnmi.grpc.pb.h"
#include "services/base/clock/clock.h"
#include "services/base/yang/tree.h"
#include "services/config-service/shell/configuration.h"
#include "services/config-service/shell/gnmi/caller.h"

namespace portolan::config {

class GnmiStream;

class GnmiStreams {
 public:
  // `state`: what the services report; null where it was not asked for.
  using Job = std::function<void(const Configuration&, const yang::Tree* state)>;
  // Runs the job on a thread that may block, never within the call, with what runs then.
  using Read = std::function<void(bool with_state, Job)>;
  // Once, later; from no certain thread.
  using After = std::function<void(absl::Duration, std::function<void()>)>;
  using Reactor = grpc::ServerBidiReactor<::gnmi::SubscribeRequest, ::gnmi::SubscribeResponse>;

  // `clock` is not owned.
  GnmiStreams(std::shared_ptr<const yang::Context> context, Read read, After after,
              const Clock* clock)
      : context_(std::move(context)),
        read_(std::move(read)),
        after_(std::move(after)),
        clock_(clock) {}

  // Of one call of `caller`; gRPC's from now on.
  Reactor* Begin(Caller caller);

  // Another configuration runs now.
  void Tell();

 private:
  const std::shared_ptr<const yang::Context> context_;
  const Read read_;
  const After after_;
  const Clock* const clock_;
  absl::Mutex mutex_;
  std::vector<std::weak_ptr<GnmiStream>> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace portolan::config
