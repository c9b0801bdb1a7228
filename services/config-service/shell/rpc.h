// The gRPC face of the service: hands each call to a handler together with the way to answer it.
//
// Handlers are called on gRPC's threads. An answer may come from any thread, or never: a call whose
// Reply is dropped ends with UNAVAILABLE, one that the client or a shutdown cancels ends at once.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"

namespace portolan::config {

// The way to answer one call, once. Thread-safe.
template <typename Response>
class Reply {
 public:
  virtual ~Reply() = default;
  virtual void Send(const absl::Status& status, Response response) = 0;
};

class ConfigRpc : public v1alpha1::Config::CallbackService {
 public:
  using GetReply = std::shared_ptr<Reply<v1alpha1::GetResponse>>;
  using EditReply = std::shared_ptr<Reply<v1alpha1::EditResponse>>;
  struct Handlers {
    std::function<void(const v1alpha1::GetRequest&, GetReply)> on_get;
    // `dry_run`: Check, else Apply.
    std::function<void(const v1alpha1::EditRequest&, bool dry_run, EditReply)> on_edit;
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

 private:
  Handlers handlers_;
};

}  // namespace portolan::config
