#include "tools/portolan/edit_call.h"

#include <grpcpp/grpcpp.h>

#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "services/base/status/status_macros.h"
#include "tools/portolan/client.h"
#include "tools/portolan/unary_call.h"

namespace portolan::cli {
namespace {

using config::v1alpha1::Config;
using config::v1alpha1::EditRequest;
using config::v1alpha1::EditResponse;
using config::v1alpha1::Problem;

absl::StatusOr<std::string> ReadFile(const std::string& file) {
  std::ostringstream text;
  if (file == "-") {
    text << std::cin.rdbuf();
    return text.str();
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return absl::InvalidArgumentError(absl::StrCat("cannot read ", file));
  text << stream.rdbuf();
  return text.str();
}

}  // namespace

absl::StatusOr<EditRequest> EditOfFile(const std::string& file, bool replace) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(file));
  EditRequest request;
  request.set_operation(replace ? config::v1alpha1::EDIT_OPERATION_REPLACE
                                : config::v1alpha1::EDIT_OPERATION_MERGE);
  request.set_data(std::move(text));
  request.set_source_name(file == "-" ? "standard input" : file);
  return request;
}

EditRequest DeletionOf(const std::string& path) {
  EditRequest request;
  request.set_operation(config::v1alpha1::EDIT_OPERATION_DELETE);
  request.set_path(path);
  return request;
}

absl::StatusOr<EditResponse> CallEdit(const Places& places, const EditRequest& request,
                                      bool dry_run) {
  ASSIGN_OR_RETURN(const Client client, Client::Open(places));
  ASSIGN_OR_RETURN(const auto channel, client.ConfigChannel());
  const auto stub = Config::NewStub(channel);
  return Call<EditResponse>([&](grpc::ClientContext* context, EditResponse* response) {
    return dry_run ? stub->Check(context, request, response)
                   : stub->Apply(context, request, response);
  });
}

void PrintProblem(const Problem& problem) {
  std::cerr << (problem.source().empty() ? "" : absl::StrCat(problem.source(), ": "))
            << (problem.path().empty() ? "" : absl::StrCat(problem.path(), ": "))
            << problem.message()
            << (problem.rule().empty() ? "" : absl::StrCat(" [", problem.rule(), "]")) << '\n';
  if (!problem.remedy().empty()) std::cerr << "    remedy: " << problem.remedy() << '\n';
}

void PrintRemarks(const EditResponse& response) {
  for (const std::string& warning : response.warnings()) {
    std::cerr << "warning: " << warning << '\n';
  }
  for (const Problem& problem : response.problems()) PrintProblem(problem);
  if (response.problems_size() == 0) return;
  std::cerr << "refused: " << response.problems_size()
            << (response.problems_size() == 1 ? " problem" : " problems")
            << "; the running configuration is unchanged" << std::endl;
}

}  // namespace portolan::cli
