#include "services/config-service/shell/gnmi/caller.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::config {

absl::StatusOr<Caller> Caller::Of(const grpc::ServerContextBase& context, Access* access) {
  const std::shared_ptr<const grpc::AuthContext> peer = context.auth_context();
  if (peer == nullptr || !peer->IsPeerAuthenticated()) {
    return Caller(access, {.user = "", .external_groups = {}, .recovery = true},
                  {.user = "", .authenticated = false, .origin = "gnmi", .comment = ""});
  }
  const std::vector<grpc::string_ref> names = peer->FindPropertyValues("x509_common_name");
  if (names.empty() || names.front().empty()) {
    return absl::UnauthenticatedError(
        "the client's certificate has no common name (CN), which is the user's name");
  }
  const std::string user(names.front().data(), names.front().size());
  return Caller(access, {.user = user, .external_groups = {}, .recovery = false},
                {.user = user,
                 .authenticated = true,
                 .origin = absl::StrCat("gnmi from ", context.peer()),
                 .comment = ""});
}

void Caller::FilterRead(yang::Tree* tree) const {
  if (!unlimited()) access_->FilterRead(subject_, tree);
}

std::vector<Problem> Caller::CheckWrite(const Configuration& before, const Draft& after) const {
  if (unlimited()) return {};
  const Draft base{before, nullptr, {}};
  const yang::Touched touched = after.ChangedFrom(base);
  std::vector<Problem> problems;
  for (const RpcError& error :
       access_->CheckWrite(subject_, base.Part(touched), after.Part(touched))) {
    problems.push_back({.path = error.path, .rule = error.tag, .message = error.message});
  }
  return problems;
}

}  // namespace portolan::config
