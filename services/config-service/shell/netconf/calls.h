// Calls to the services of this node on behalf of a NETCONF session: blocking, with a deadline, and
// ended when the server stops. Thread-safe; one object for all sessions.
//
// A service that is away is UNAVAILABLE at once, one that is silent DEADLINE_EXCEEDED; the messages
// name it and say what to do.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/base/process/service.h"

namespace portolan::config {

enum class Whom { kIpam, kBgp, kDatapath };

class Calls {
 public:
  // Before the first call.
  void SetServices(const process::Upstreams& upstreams);
  // Ends those that run; there are no more.
  void End();

  using Call = absl::FunctionRef<grpc::Status(const std::shared_ptr<grpc::Channel>& channel,
                                              grpc::ClientContext* context)>;
  // Of several that could answer, the first that is not away does.
  absl::Status Make(Whom whom, absl::Duration deadline, Call call);

 private:
  struct Service {
    std::string name;
    std::vector<std::shared_ptr<grpc::Channel>> channels;
  };

  const Service& Of(Whom whom) const;
  grpc::Status MakeOne(const std::shared_ptr<grpc::Channel>& channel, absl::Time deadline,
                       Call call);

  Service ipam_;
  Service bgp_;
  Service datapath_;
  absl::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<grpc::ClientContext*> running_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace portolan::config
