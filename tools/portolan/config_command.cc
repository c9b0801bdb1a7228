#include <iostream>
#include <utility>
#include <vector>

#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "plugins/builtin/builtin.h"
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

using config::v1alpha1::GetRequest;
using config::v1alpha1::GetResponse;

absl::StatusOr<GetResponse> Get(const Places& places, const GetRequest& request) {
  ASSIGN_OR_RETURN(const Client client, Client::Open(places));
  ASSIGN_OR_RETURN(const auto channel, client.ConfigChannel());
  const auto stub = Config::NewStub(channel);
  return Call<GetResponse>([&](grpc::ClientContext* context, GetResponse* got) {
    return stub->Get(context, request, got);
  });
}

const char* NameOf(config::v1alpha1::Writer writer) {
  switch (writer) {
    case config::v1alpha1::WRITER_FILE:
      return "file";
    case config::v1alpha1::WRITER_KUBE:
      return "kube";
    default:
      return "operator";
  }
}

absl::StatusOr<std::string> Show(const Places& places, const std::string& path, bool xml,
                                 bool secrets, bool state) {
  GetRequest request;
  request.set_path(path);
  request.set_secrets(secrets);
  request.set_state(state);
  request.set_format(xml ? config::v1alpha1::FORMAT_XML : config::v1alpha1::FORMAT_JSON);
  ASSIGN_OR_RETURN(GetResponse response, Get(places, request));
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

int ConfigOwners(const Places& places, Output output) {
  GetRequest request;
  request.set_owners(true);
  const absl::StatusOr<GetResponse> response = Get(places, request);
  if (!response.ok()) return Fail(response.status());
  Printer printer({"OWNER", "ENTRY"});
  for (const config::v1alpha1::EntryOwner& entry : response->owners()) {
    printer.Add({{NameOf(entry.owner())}, {entry.path()}});
  }
  printer.Print(std::cout, output);
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

int ConfigCheck(const std::string& file, const std::string& yang_dir) {
  std::vector<std::string> problems;
  std::vector<config::PluginModule> modules =
      config::BuiltinModules(plugin::NewBuiltinRegistry().YangModules());
  for (config::PluginModule& module : config::ReadPluginModules(yang_dir, &problems)) {
    modules.push_back(std::move(module));
  }
  for (const std::string& problem : problems) std::cerr << "warning: " << problem << '\n';
  const auto check = config::CheckFile(file, modules);
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
