#include <grpcpp/grpcpp.h>

#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "api/proto/config/v1alpha1/config.grpc.pb.h"
#include "services/base/status/status_macros.h"
#include "tools/portolan/author.h"
#include "tools/portolan/client.h"
#include "tools/portolan/commands.h"
#include "tools/portolan/differences.h"
#include "tools/portolan/edit_call.h"
#include "tools/portolan/exit_code.h"
#include "tools/portolan/printer.h"
#include "tools/portolan/time_text.h"
#include "tools/portolan/unary_call.h"

namespace portolan::cli {
namespace {

using config::v1alpha1::Commit;
using config::v1alpha1::Config;
using config::v1alpha1::EditResponse;
using config::v1alpha1::HistoryResponse;

// A trial is no row: it is said beside the table.
void PrintTrial(const HistoryResponse& history) {
  if (history.trial_revision() == 0) return;
  std::cerr << "revision " << history.trial_revision() << " waits for its confirmation; in "
            << history.trial_left_s() << " s the configuration goes back to revision "
            << history.trial_base()
            << "; keep it with: portolan config confirm, or go back now: portolan config cancel"
            << std::endl;
}

absl::StatusOr<HistoryResponse> History(const Places& places, uint64_t revision) {
  ASSIGN_OR_RETURN(const Client client, Client::Open(places));
  ASSIGN_OR_RETURN(const auto channel, client.ConfigChannel());
  const auto stub = Config::NewStub(channel);
  config::v1alpha1::HistoryRequest request;
  request.set_revision(revision);
  return Call<HistoryResponse>([&](grpc::ClientContext* context, HistoryResponse* response) {
    return stub->History(context, request, response);
  });
}

absl::StatusOr<EditResponse> CallTrial(const Places& places, const std::string& persist_id,
                                       const std::string& comment, bool keep) {
  ASSIGN_OR_RETURN(const Client client, Client::Open(places));
  ASSIGN_OR_RETURN(const auto channel, client.ConfigChannel());
  const auto stub = Config::NewStub(channel);
  config::v1alpha1::TrialRequest request;
  request.set_persist_id(persist_id);
  *request.mutable_author() = Myself(comment);
  return Call<EditResponse>([&](grpc::ClientContext* context, EditResponse* response) {
    return keep ? stub->Confirm(context, request, response)
                : stub->Cancel(context, request, response);
  });
}

int EndTrial(const Places& places, const std::string& persist_id, const std::string& comment,
             bool keep) {
  const absl::StatusOr<EditResponse> response = CallTrial(places, persist_id, comment, keep);
  if (!response.ok()) return Fail(response.status());
  PrintRemarks(*response);
  if (response->problems_size() > 0) return kError;
  std::cout << (keep ? "confirmed as revision " : "taken back as revision ") << response->revision()
            << std::endl;
  return kOk;
}

}  // namespace

int ConfigHistory(const Places& places, uint64_t revision, Output output) {
  const absl::StatusOr<HistoryResponse> history = History(places, revision);
  if (!history.ok()) return Fail(history.status());
  Printer printer(
      {"REVISION", "TIME", "USER", "VERIFIED", "FROM", "OPERATION", "CHANGES", "COMMENT"});
  for (const Commit& commit : history->commits()) {
    printer.Add({{absl::StrCat(commit.revision())},
                 {commit.time_ms() == 0 ? "-" : PointInTime(commit.time_ms())},
                 {commit.author().user()},
                 {commit.authenticated() ? "yes" : "no"},
                 {commit.author().origin()},
                 {commit.operation()},
                 {absl::StrCat(commit.differences_size() + commit.more_differences())},
                 {commit.author().comment()}});
  }
  printer.Print(std::cout, output);
  if (revision != 0 && output == Output::kTable) PrintDifferences(history->commits(0));
  PrintTrial(*history);
  return kOk;
}

int ConfigRollback(const Places& places, uint64_t revision, const EditOptions& options) {
  config::v1alpha1::EditRequest request;
  request.set_operation(config::v1alpha1::EDIT_OPERATION_ROLLBACK);
  request.set_to_revision(revision);
  return SendEdit(places, std::move(request), options);
}

int ConfigConfirm(const Places& places, const std::string& persist_id, const std::string& comment) {
  return EndTrial(places, persist_id, comment, true);
}

int ConfigCancel(const Places& places, const std::string& persist_id, const std::string& comment) {
  return EndTrial(places, persist_id, comment, false);
}

}  // namespace portolan::cli
