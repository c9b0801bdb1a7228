// Asks ipam-service what a configuration would do to addresses in use (Ipam.Plan).
//
// Ask() returns at once; the answer comes through the callback on a thread of gRPC, within the
// deadline. It does not wait for an ipam-service that is away. Thread-safe. The destructor cancels
// what is out, and every question is answered before it returns.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "api/proto/ipam/v1alpha1/ipam.grpc.pb.h"
#include "services/base/wire/reader.h"
#include "services/config-service/core/plan.h"

namespace portolan::config {

class Planner {
 public:
  // An error: there is no answer; its message says why in a few words.
  using Answer = absl::StatusOr<AddressPlan>;
  using Callback = std::function<void(Answer)>;

  // Of several, the one that answers is the one that leads; `deadline` is for all together.
  Planner(const wire::Channels& ipam, absl::Duration deadline);
  ~Planner();

  void Ask(ipam::v1alpha1::PlanRequest request, Callback callback);

 private:
  struct Call;

  void Begin(Call* call);
  void Finish(Call* call);
  Answer AnswerOf(const Call& call) const;

  std::vector<std::unique_ptr<ipam::v1alpha1::Ipam::Stub>> stubs_;
  const absl::Duration deadline_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<Call>> calls_ ABSL_GUARDED_BY(mutex_);  // that can be cancelled
  int unfinished_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace portolan::config
