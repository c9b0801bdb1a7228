// One running WatchEvents call: a bounded queue between the control thread, which puts events in,
// and gRPC, which sends them. What does not fit is counted and told as lost.
//
// Thread-safe. Lives until gRPC is done with the call and everybody has let go of it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "api/proto/datapath/v1alpha1/control.pb.h"

namespace portolan::datapath {

class EventWatcher {
 public:
  using Response = v1alpha1::WatchEventsResponse;
  static constexpr int kMostWaiting = 16384;  // events

  static std::shared_ptr<EventWatcher> Begin();
  grpc::ServerWriteReactor<Response>* reactor();

  void Put(v1alpha1::Event event);
  void Lost(uint64_t events);
  // Ends the call; later ones are ignored.
  void End(const absl::Status& status);
  bool has_ended() const;
  // Called once, on any thread, when the call has ended for whatever reason; at once if it has.
  void OnEnd(std::function<void()> callback);

 private:
  class Reactor;
  EventWatcher() = default;
  void SendNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Finish(const grpc::Status& status);
  void OnWritten(bool ok);
  void OnDone();

  mutable absl::Mutex mutex_;
  Reactor* reactor_ ABSL_GUARDED_BY(mutex_) = nullptr;  // null: gRPC is done with it
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool sending_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
  Response sent_;  // while sending_
  Response waiting_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> on_end_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace portolan::datapath
