#include "tools/portolan/edit_call.h"

#include <grpcpp/grpcpp.h>

#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "services/base/status/status_macros.h"
#include "tools/portolan/author.h"
#include "tools/portolan/client.h"
#include "tools/portolan/exit_code.h"
#include "tools/portolan/unary_call.h"

namespace portolan::cli {
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

int SendEdit(const Places& places, EditRequest request, const EditOptions& options) {
  request.set_allow_renumber(options.allow_renumber);
  request.set_take_over(options.take_over);
  request.set_confirm_within_s(options.confirm_within_s);
  request.set_persist_id(options.persist_id);
  *request.mutable_author() = Myself(options.comment);
  const absl::StatusOr<EditResponse> response = CallEdit(places, request, options.dry_run);
  if (!response.ok()) return Fail(response.status());
  PrintRemarks(*response);
  if (response->problems_size() > 0) return kError;
  if (options.dry_run) {
    std::cout << "valid; nothing changed" << std::endl;
    return kOk;
  }
  std::cout << "committed as revision " << response->revision() << std::endl;
  if (options.confirm_within_s == 0) return kOk;
  std::cout << "taken back in " << options.confirm_within_s
            << " s unless confirmed with: portolan config confirm"
            << (options.persist_id.empty() ? ""
                                           : absl::StrCat(" --persist-id ", options.persist_id))
            << std::endl;
  return kOk;
}

}  // namespace portolan::cli
