// The gRPC face of the exporter's orders: hands each to a handler with the way to answer it.
//
// A server must know its RPCs before it starts, and a stage may come and go while it runs. So the
// face may outlive the service behind it; while there is none, every call is UNAVAILABLE.
// Thread-safe. The handler is called on gRPC's threads; an answer may come from any thread.
#pragma once

#include <functional>
#include <string>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "api/proto/bgp/v1alpha1/control.grpc.pb.h"
#include "services/bgp-exporter/core/events.h"

namespace portolan::bgp {

class ControlRpc : public v1alpha1::BgpControl::CallbackService {
 public:
  using Order = std::variant<ResetRequested, DrainRequested, UndrainRequested>;
  // `message`: what was done. Called once; one that is dropped is UNAVAILABLE.
  using Answer = std::function<void(const absl::Status& status, std::string message)>;
  using Handler = std::function<void(Order order, Answer answer)>;

  // Must not block. Does not run any more when Leave() returns.
  void Serve(Handler handler);
  void Leave();

  grpc::ServerUnaryReactor* ResetPeer(grpc::CallbackServerContext* context,
                                      const v1alpha1::ResetPeerRequest* request,
                                      v1alpha1::ResetPeerResponse* response) override;
  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context,
                                  const v1alpha1::DrainRequest* request,
                                  v1alpha1::DrainResponse* response) override;
  grpc::ServerUnaryReactor* Undrain(grpc::CallbackServerContext* context,
                                    const v1alpha1::UndrainRequest* request,
                                    v1alpha1::UndrainResponse* response) override;

 private:
  template <typename Response>
  grpc::ServerUnaryReactor* Pass(Order order, Response* response);

  absl::Mutex mutex_;
  Handler handler_ ABSL_GUARDED_BY(mutex_);  // empty: nobody serves
};

}  // namespace portolan::bgp
