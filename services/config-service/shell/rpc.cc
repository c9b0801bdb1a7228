#include "services/config-service/shell/rpc.h"

namespace portolan::config {
namespace {

constexpr char kStopping[] = "config-service is stopping";

}  // namespace

grpc::ServerUnaryReactor* ConfigRpc::Get(grpc::CallbackServerContext*,
                                         const v1alpha1::GetRequest* request,
                                         v1alpha1::GetResponse* response) {
  return wire::Begin(response, kStopping,
                     [&](GetReply reply) { handlers_.on_get(*request, std::move(reply)); });
}

grpc::ServerUnaryReactor* ConfigRpc::Check(grpc::CallbackServerContext*,
                                           const v1alpha1::EditRequest* request,
                                           v1alpha1::EditResponse* response) {
  return wire::Begin(response, kStopping,
                     [&](EditReply reply) { handlers_.on_edit(*request, true, std::move(reply)); });
}

grpc::ServerUnaryReactor* ConfigRpc::Apply(grpc::CallbackServerContext*,
                                           const v1alpha1::EditRequest* request,
                                           v1alpha1::EditResponse* response) {
  return wire::Begin(response, kStopping, [&](EditReply reply) {
    handlers_.on_edit(*request, false, std::move(reply));
  });
}

grpc::ServerUnaryReactor* ConfigRpc::History(grpc::CallbackServerContext*,
                                             const v1alpha1::HistoryRequest* request,
                                             v1alpha1::HistoryResponse* response) {
  return wire::Begin(response, kStopping,
                     [&](HistoryReply reply) { handlers_.on_history(*request, std::move(reply)); });
}

grpc::ServerUnaryReactor* ConfigRpc::Confirm(grpc::CallbackServerContext*,
                                             const v1alpha1::TrialRequest* request,
                                             v1alpha1::EditResponse* response) {
  return wire::Begin(response, kStopping, [&](EditReply reply) {
    handlers_.on_trial(*request, true, std::move(reply));
  });
}

grpc::ServerUnaryReactor* ConfigRpc::Cancel(grpc::CallbackServerContext*,
                                            const v1alpha1::TrialRequest* request,
                                            v1alpha1::EditResponse* response) {
  return wire::Begin(response, kStopping, [&](EditReply reply) {
    handlers_.on_trial(*request, false, std::move(reply));
  });
}

ConfigRpc::WatchReactor* ConfigRpc::Watch(grpc::CallbackServerContext*,
                                          const v1alpha1::WatchRequest* request) {
  return handlers_.on_watch(*request);
}

}  // namespace portolan::config
