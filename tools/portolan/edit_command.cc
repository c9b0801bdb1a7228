#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "services/base/status/status_macros.h"
#include "tools/portolan/client.h"
#include "tools/portolan/commands.h"
#include "tools/portolan/differences.h"
#include "tools/portolan/edit_call.h"
#include "tools/portolan/exit_code.h"
#include "tools/portolan/unary_call.h"

namespace portolan::cli {
namespace {

using config::v1alpha1::Config;
using config::v1alpha1::EditRequest;
using config::v1alpha1::EditResponse;
using config::v1alpha1::GetResponse;

absl::StatusOr<GetResponse> Running(const Places& places) {
  ASSIGN_OR_RETURN(const Client client, Client::Open(places));
  ASSIGN_OR_RETURN(const auto channel, client.ConfigChannel());
  const auto stub = Config::NewStub(channel);
  config::v1alpha1::GetRequest request;
  request.set_secrets(true);  // what comes back replaces everything
  return Call<GetResponse>([&](grpc::ClientContext* context, GetResponse* response) {
    return stub->Get(context, request, response);
  });
}

// Checks the edit and prints what it would change. kOk: it is valid; `changes` says whether there
// is anything.
int ShowDifference(const Places& places, const EditRequest& request, bool* changes) {
  const absl::StatusOr<EditResponse> response = CallEdit(places, request, /*dry_run=*/true);
  if (!response.ok()) return Fail(response.status());
  PrintRemarks(*response);
  if (response->problems_size() > 0) return kError;
  *changes = response->differences_size() > 0;
  if (*changes) {
    PrintDifferences(*response);
  } else {
    std::cout << "no difference" << std::endl;
  }
  return kOk;
}

// A file for the editor, for this user only.
absl::StatusOr<std::string> WriteTemporary(const std::string& text) {
  const char* directory = std::getenv("TMPDIR");
  std::string path =
      absl::StrCat(directory == nullptr ? "/tmp" : directory, "/portolan-config-XXXXXX");
  const int fd = mkstemp(path.data());
  if (fd < 0) return absl::UnavailableError(absl::StrCat("cannot create ", path));
  close(fd);
  std::ofstream stream(path, std::ios::binary);
  stream << text;
  stream.close();
  if (!stream) return absl::UnavailableError(absl::StrCat("cannot write ", path));
  return path;
}

absl::Status RunEditor(const std::string& path) {
  const char* editor = std::getenv("VISUAL");
  if (editor == nullptr) editor = std::getenv("EDITOR");
  if (editor == nullptr) editor = "vi";
  // The variable may hold arguments, as other programs take it; the path has no special characters
  // but those of TMPDIR.
  const std::string command = absl::StrCat(editor, " '", path, "'");
  if (std::system(command.c_str()) == 0) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("the editor failed: ", command));
}

bool Agrees() {
  std::cout << "apply this? [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

// From the text in the editor to the commit.
int EditText(const Places& places, const std::string& path, const GetResponse& running,
             const EditOptions& options) {
  if (const absl::Status status = RunEditor(path); !status.ok()) return Fail(status);
  const absl::StatusOr<std::string> after = ReadFile(path);
  if (!after.ok()) return Fail(after.status());
  if (*after == running.data()) {
    std::cout << "no difference" << std::endl;
    return kOk;
  }
  EditRequest request;
  request.set_operation(config::v1alpha1::EDIT_OPERATION_REPLACE);
  request.set_data(*after);
  request.set_source_name(path);
  request.set_base_revision(running.revision());
  request.set_allow_renumber(options.allow_renumber);
  request.set_take_over(options.take_over);
  bool changes = false;
  const int shown = ShowDifference(places, request, &changes);
  if (shown != kOk || !changes) return shown;
  if (!options.dry_run && !Agrees()) {
    std::cout << "nothing changed" << std::endl;
    return kNotSatisfied;
  }
  return SendEdit(places, std::move(request), options);
}

}  // namespace

int ConfigDiff(const Places& places, const std::string& file, bool replace,
               const EditOptions& options) {
  absl::StatusOr<EditRequest> request = EditOfFile(file, replace);
  if (!request.ok()) return Fail(request.status());
  request->set_allow_renumber(options.allow_renumber);
  request->set_take_over(options.take_over);
  bool changes = false;
  return ShowDifference(places, *request, &changes);
}

int ConfigEdit(const Places& places, const EditOptions& options) {
  const absl::StatusOr<GetResponse> running = Running(places);
  if (!running.ok()) return Fail(running.status());
  const absl::StatusOr<std::string> path = WriteTemporary(running->data());
  if (!path.ok()) return Fail(path.status());
  const int code = EditText(places, *path, *running, options);
  if (code == kOk) {
    unlink(path->c_str());
  } else {
    std::cerr << "the text is kept in " << *path << std::endl;
  }
  return code;
}

}  // namespace portolan::cli
