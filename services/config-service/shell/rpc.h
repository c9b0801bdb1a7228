// The gRPC face of the service: hands each call to a handler together with the way to answer it.
//
// Handlers are called on gRPC's threads. An answer may come from any thread, or never: a call whose
// Reply is dropped ends with UNAVAILABLE, one that the client or a shutdown cancels ends at once.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "services/base/wire/unary.h"

namespace portolan::config {

class ConfigRpc : public v1alpha1::Config::CallbackService {
 public:
  using GetReply = std::shared_ptr<wire::Reply<v1alpha1::GetResponse>>;
  using EditReply = std::shared_ptr<wire::Reply<v1alpha1::EditResponse>>;
  using WatchReactor = grpc::ServerWriteReactor<v1alpha1::WatchResponse>;
  using HistoryReply = std::shared_ptr<wire::Reply<v1alpha1::HistoryResponse>>;
  struct Handlers {
    std::function<void(const v1alpha1::GetRequest&, GetReply)> on_get;
    // `dry_run`: Check, else Apply.
    std::function<void(const v1alpha1::EditRequest&, bool dry_run, EditReply)> on_edit;
    std::function<void(const v1alpha1::HistoryRequest&, HistoryReply)> on_history;
    // `keep`: Confirm, else Cancel.
    std::function<void(const v1alpha1::TrialRequest&, bool keep, EditReply)> on_trial;
    // The call is the handler's, which lives as long as the call.
    std::function<WatchReactor*(const v1alpha1::WatchRequest&)> on_watch;
  };

  explicit ConfigRpc(Handlers handlers) : handlers_(std::move(handlers)) {}

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const v1alpha1::GetRequest* request,
                                v1alpha1::GetResponse* response) override;
  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const v1alpha1::EditRequest* request,
                                  v1alpha1::EditResponse* response) override;
  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* context,
                                  const v1alpha1::EditRequest* request,
                                  v1alpha1::EditResponse* response) override;
  grpc::ServerUnaryReactor* History(grpc::CallbackServerContext* context,
                                    const v1alpha1::HistoryRequest* request,
                                    v1alpha1::HistoryResponse* response) override;
  grpc::ServerUnaryReactor* Confirm(grpc::CallbackServerContext* context,
                                    const v1alpha1::TrialRequest* request,
                                    v1alpha1::EditResponse* response) override;
  grpc::ServerUnaryReactor* Cancel(grpc::CallbackServerContext* context,
                                   const v1alpha1::TrialRequest* request,
                                   v1alpha1::EditResponse* response) override;
  WatchReactor* Watch(grpc::CallbackServerContext* context,
                      const v1alpha1::WatchRequest* request) override;

 private:
  Handlers handlers_;
};

}  // namespace portolan::config
