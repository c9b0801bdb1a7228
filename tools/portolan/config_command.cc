#include <grpcpp/grpcpp.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "services/base/status/status_macros.h"
#include "services/config-service/shell/check.h"
#include "tools/portolan/client.h"
#include "tools/portolan/commands.h"
#include "tools/portolan/exit_code.h"

namespace portolan::cli {
namespace {

using config::v1alpha1::Config;
using config::v1alpha1::EditRequest;
using config::v1alpha1::EditResponse;
using config::v1alpha1::Problem;

absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
}

void PrintProblem(const Problem& problem) {
  std::cerr << (problem.source().empty() ? "" : absl::StrCat(problem.source(), ": "))
            << (problem.path().empty() ? "" : absl::StrCat(problem.path(), ": "))
            << problem.message()
            << (problem.rule().empty() ? "" : absl::StrCat(" [", problem.rule(), "]")) << '\n';
  if (!problem.remedy().empty()) std::cerr << "    remedy: " << problem.remedy() << '\n';
}

int Edit(const Places& places, const EditRequest& request, bool dry_run) {
  const absl::StatusOr<Client> client = Client::Open(places);
  if (!client.ok()) return Fail(client.status());
  const auto channel = client->ConfigChannel();
  if (!channel.ok()) return Fail(channel.status());
  const auto stub = Config::NewStub(*channel);
  grpc::ClientContext context;
  SetDeadline(context);
  EditResponse response;
  const grpc::Status status = dry_run ? stub->Check(&context, request, &response)
                                      : stub->Apply(&context, request, &response);
  if (!status.ok()) return Fail(FromGrpc(status));
  for (const Problem& problem : response.problems()) PrintProblem(problem);
  if (response.problems_size() > 0) {
    std::cerr << "refused: " << response.problems_size()
              << (response.problems_size() == 1 ? " problem" : " problems")
              << "; the running configuration is unchanged" << std::endl;
    return kError;
  }
  if (dry_run) {
    std::cout << "valid; nothing changed" << std::endl;
  } else {
    std::cout << "committed as revision " << response.revision() << std::endl;
  }
  return kOk;
}

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

int ConfigShow(const Places& places, const std::string& path, bool xml) {
  const absl::StatusOr<Client> client = Client::Open(places);
  if (!client.ok()) return Fail(client.status());
  const auto channel = client->ConfigChannel();
  if (!channel.ok()) return Fail(channel.status());
  const auto stub = Config::NewStub(*channel);
  grpc::ClientContext context;
  SetDeadline(context);
  config::v1alpha1::GetRequest request;
  request.set_path(path);
  request.set_format(xml ? config::v1alpha1::FORMAT_XML : config::v1alpha1::FORMAT_JSON);
  config::v1alpha1::GetResponse response;
  const grpc::Status status = stub->Get(&context, request, &response);
  if (!status.ok()) return Fail(FromGrpc(status));
  std::cout << response.data();
  if (response.data().empty() || response.data().back() != '\n') std::cout << '\n';
  return kOk;
}

int ConfigApply(const Places& places, const std::string& file, bool replace, bool dry_run) {
  const absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) return Fail(text.status());
  EditRequest request;
  request.set_operation(replace ? config::v1alpha1::EDIT_OPERATION_REPLACE
                                : config::v1alpha1::EDIT_OPERATION_MERGE);
  request.set_data(*text);
  request.set_source_name(file == "-" ? "standard input" : file);
  return Edit(places, request, dry_run);
}

int ConfigDelete(const Places& places, const std::string& path, bool dry_run) {
  EditRequest request;
  request.set_operation(config::v1alpha1::EDIT_OPERATION_DELETE);
  request.set_path(path);
  return Edit(places, request, dry_run);
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
