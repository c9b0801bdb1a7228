// The gRPC face of the control surface: hands each call to a handler with the way to answer it.
//
// A server must know its RPCs before it starts, and the datapath may come and go while it runs. So
// the face may outlive the service behind it; while there is none, every call is UNAVAILABLE.
// Thread-safe. The handler is called on gRPC's threads; an answer may come from any thread.
#pragma once

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "api/proto/datapath/v1alpha1/control.grpc.pb.h"
#include "services/base/wire/unary.h"
#include "services/datapath-loader/shell/event_watcher.h"

namespace portolan::datapath {

template <typename Response>
using ReplyTo = std::shared_ptr<wire::Reply<Response>>;

// Must not block.
class ControlHandler {
 public:
  virtual ~ControlHandler() = default;
  virtual void Handle(v1alpha1::ListFlowsRequest request,
                      ReplyTo<v1alpha1::ListFlowsResponse> reply) = 0;
  virtual void Handle(v1alpha1::ImportFlowsRequest request,
                      ReplyTo<v1alpha1::ImportFlowsResponse> reply) = 0;
  virtual void Handle(v1alpha1::FlushFlowsRequest request,
                      ReplyTo<v1alpha1::FlushFlowsResponse> reply) = 0;
  virtual void Handle(v1alpha1::GetCapabilitiesRequest request,
                      ReplyTo<v1alpha1::GetCapabilitiesResponse> reply) = 0;
  virtual void Handle(v1alpha1::SimulateRequest request,
                      ReplyTo<v1alpha1::SimulateResponse> reply) = 0;
  virtual void Handle(v1alpha1::UpgradeRequest request,
                      ReplyTo<v1alpha1::UpgradeResponse> reply) = 0;
  virtual void Handle(v1alpha1::AttachRequest request, ReplyTo<v1alpha1::AttachResponse> reply) = 0;
  virtual void Handle(v1alpha1::DetachRequest request, ReplyTo<v1alpha1::DetachResponse> reply) = 0;
  virtual void Handle(v1alpha1::ApplyRequest request, ReplyTo<v1alpha1::ApplyResponse> reply) = 0;
  virtual void Handle(v1alpha1::ListChainRequest request,
                      ReplyTo<v1alpha1::ListChainResponse> reply) = 0;
  virtual void Handle(v1alpha1::SetChainSlotRequest request,
                      ReplyTo<v1alpha1::SetChainSlotResponse> reply) = 0;
  virtual void Watch(v1alpha1::WatchEventsRequest request,
                     std::shared_ptr<EventWatcher> watcher) = 0;
  // A watcher has ended.
  virtual void Refresh() = 0;
};

class ControlRpc : public v1alpha1::DatapathControl::CallbackService {
 public:
  // No call of the handler is running any more when Leave() returns.
  void Serve(ControlHandler* handler);
  void Leave();
  // Passes it on, if somebody serves.
  void Refresh();

  grpc::ServerUnaryReactor* ListFlows(grpc::CallbackServerContext* context,
                                      const v1alpha1::ListFlowsRequest* request,
                                      v1alpha1::ListFlowsResponse* response) override;
  grpc::ServerUnaryReactor* ImportFlows(grpc::CallbackServerContext* context,
                                        const v1alpha1::ImportFlowsRequest* request,
                                        v1alpha1::ImportFlowsResponse* response) override;
  grpc::ServerUnaryReactor* FlushFlows(grpc::CallbackServerContext* context,
                                       const v1alpha1::FlushFlowsRequest* request,
                                       v1alpha1::FlushFlowsResponse* response) override;
  grpc::ServerUnaryReactor* GetCapabilities(grpc::CallbackServerContext* context,
                                            const v1alpha1::GetCapabilitiesRequest* request,
                                            v1alpha1::GetCapabilitiesResponse* response) override;
  grpc::ServerUnaryReactor* Simulate(grpc::CallbackServerContext* context,
                                     const v1alpha1::SimulateRequest* request,
                                     v1alpha1::SimulateResponse* response) override;
  grpc::ServerUnaryReactor* Upgrade(grpc::CallbackServerContext* context,
                                    const v1alpha1::UpgradeRequest* request,
                                    v1alpha1::UpgradeResponse* response) override;
  grpc::ServerUnaryReactor* Attach(grpc::CallbackServerContext* context,
                                   const v1alpha1::AttachRequest* request,
                                   v1alpha1::AttachResponse* response) override;
  grpc::ServerUnaryReactor* Detach(grpc::CallbackServerContext* context,
                                   const v1alpha1::DetachRequest* request,
                                   v1alpha1::DetachResponse* response) override;
  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* context,
                                  const v1alpha1::ApplyRequest* request,
                                  v1alpha1::ApplyResponse* response) override;
  grpc::ServerUnaryReactor* ListChain(grpc::CallbackServerContext* context,
                                      const v1alpha1::ListChainRequest* request,
                                      v1alpha1::ListChainResponse* response) override;
  grpc::ServerUnaryReactor* SetChainSlot(grpc::CallbackServerContext* context,
                                         const v1alpha1::SetChainSlotRequest* request,
                                         v1alpha1::SetChainSlotResponse* response) override;
  grpc::ServerWriteReactor<v1alpha1::WatchEventsResponse>* WatchEvents(
      grpc::CallbackServerContext* context, const v1alpha1::WatchEventsRequest* request) override;

 private:
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Pass(const Request* request, Response* response);

  absl::Mutex mutex_;
  ControlHandler* handler_ ABSL_GUARDED_BY(mutex_) = nullptr;  // null: nobody serves
};

}  // namespace portolan::datapath
