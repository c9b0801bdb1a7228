#include <iostream>

#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "services/base/status/status_macros.h"
#include "services/config-service/shell/check.h"
#include "tools/portolan/client.h"
#include "tools/portolan/commands.h"
#include "tools/portolan/edit_call.h"
#include "tools/portolan/exit_code.h"
#include "tools/portolan/unary_call.h"

namespace portolan::cli {
namespace {

using config::v1alpha1::Config;
using config::v1alpha1::EditRequest;
using config::v1alpha1::Problem;

absl::StatusOr<std::string> Show(const Places& places, const std::string& path, bool xml,
                                 bool secrets, bool state) {
  ASSIGN_OR_RETURN(const Client client, Client::Open(places));
  ASSIGN_OR_RETURN(const auto channel, client.ConfigChannel());
  const auto stub = Config::NewStub(channel);
  config::v1alpha1::GetRequest request;
  request.set_path(path);
  request.set_secrets(secrets);
  request.set_state(state);
  request.set_format(xml ? config::v1alpha1::FORMAT_XML : config::v1alpha1::FORMAT_JSON);
  using config::v1alpha1::GetResponse;
  ASSIGN_OR_RETURN(GetResponse response,
                   Call<GetResponse>([&](grpc::ClientContext* context, GetResponse* got) {
                     return stub->Get(context, request, got);
                   }));
  return std::move(*response.mutable_data());
}

}  // namespace

int ConfigShow(const Places& places, const std::string& path, bool xml, bool secrets, bool state) {
  const absl::StatusOr<std::string> data = Show(places, path, xml, secrets, state);
  if (!data.ok()) return Fail(data.status());
  std::cout << *data;
  if (data->empty() || data->back() != '\n') std::cout << '\n';
  return kOk;
}

int ConfigApply(const Places& places, const std::string& file, bool replace,
                const EditOptions& options) {
  absl::StatusOr<EditRequest> request = EditOfFile(file, replace);
  if (!request.ok()) return Fail(request.status());
  return SendEdit(places, *std::move(request), options);
}

int ConfigDelete(const Places& places, const std::string& path, const EditOptions& options) {
  return SendEdit(places, DeletionOf(path), options);
}

int ConfigCheck(const std::string& file) {
  const auto check = config::CheckFile(file);
  if (!check.ok()) return Fail(check.status());
  for (const std::string& warning : check->warnings) {
    std::cerr << file << ": warning: " << warning << '\n';
  }
  for (const auto& problem : check->problems) {
    Problem wire;
    wire.set_source(problem.source);
    wire.set_path(problem.path);
    wire.set_rule(problem.rule);
    wire.set_message(problem.message);
    wire.set_remedy(problem.remedy);
    PrintProblem(wire);
  }
  if (!check->problems.empty()) return kError;
  std::cout << file << ": valid" << std::endl;
  return kOk;
}

}  // namespace portolan::cli
