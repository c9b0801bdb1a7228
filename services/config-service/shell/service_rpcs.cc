// What ConfigService answers to its RPCs. All on the loop's thread.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/config-service/shell/convert.h"
#include "services/config-service/shell/edit_convert.h"
#include "services/config-service/shell/service.h"

namespace portolan::config {
namespace {

yang::Format FormatOf(const v1alpha1::GetRequest& request) {
  return request.format() == v1alpha1::FORMAT_XML ? yang::Format::kXml : yang::Format::kJson;
}

v1alpha1::GetResponse OwnersOf(const Running& running) {
  v1alpha1::GetResponse response;
  response.set_revision(running.revision());
  for (const auto& [path, owner] : *running.owners()) {
    v1alpha1::EntryOwner* entry = response.add_owners();
    entry->set_path(path);
    entry->set_owner(ToProto(owner));
  }
  return response;
}

}  // namespace

void ConfigService::OnGetState(const v1alpha1::GetRequest& request, ConfigRpc::GetReply reply) {
  state_worker_->Run([this, request, reply] {
    absl::StatusOr<yang::Tree> state = operational_->Read();
    if (!request.path().empty()) state = state->Select(request.path());
    if (!state.ok()) return reply->Send(state.status(), {});
    v1alpha1::GetResponse response;
    response.set_data(state->Print(FormatOf(request), yang::Defaults::kExplicit));
    reply->Send(absl::OkStatus(), std::move(response));
  });
}

void ConfigService::OnGet(const v1alpha1::GetRequest& request, ConfigRpc::GetReply reply) {
  if (request.state()) return OnGetState(request, std::move(reply));
  worker_->Run([this, request, reply] {
    if (request.owners()) return reply->Send(absl::OkStatus(), OwnersOf(running_));
    absl::StatusOr<std::string> data =
        PartOf(running_.configuration(), request.path(), FormatOf(request), request.secrets());
    if (!data.ok()) return reply->Send(data.status(), {});
    v1alpha1::GetResponse response;
    response.set_revision(running_.revision());
    response.set_data(*std::move(data));
    reply->Send(absl::OkStatus(), std::move(response));
  });
}

void ConfigService::OnEdit(const v1alpha1::EditRequest& request, bool dry_run,
                           ConfigRpc::EditReply reply) {
  absl::StatusOr<Edit> edit = FromProto(request);
  if (!edit.ok()) return reply->Send(edit.status(), {});
  edit->dry_run = dry_run;
  edit->done = [reply](const Edit& done, const Answer& answer) {
    reply->Send(absl::OkStatus(), ToProto(done, answer));
  };
  Enqueue(*std::move(edit));
}

void ConfigService::OnHistory(const v1alpha1::HistoryRequest& request,
                              ConfigRpc::HistoryReply reply) {
  v1alpha1::HistoryResponse response;
  if (const std::optional<Trial>& trial = engine_.trial(); trial.has_value()) {
    const absl::Duration left =
        std::max(trial->deadline - context_.clock->Now(), absl::ZeroDuration());
    response.set_trial_revision(trial->revision);
    response.set_trial_base(trial->base_revision);
    response.set_trial_left_s(static_cast<uint32_t>(absl::ToInt64Seconds(left)));
  }
  worker_->Run([this, revision = request.revision(), response, reply]() mutable {
    for (const Commit& commit : running_.History()) {
      if (revision == 0 || revision == commit.revision) *response.add_commits() = ToProto(commit);
    }
    if (revision != 0 && response.commits().empty()) {
      return reply->Send(
          absl::NotFoundError(
              absl::StrCat("revision ", revision, " is not kept; see \"portolan config history\"")),
          {});
    }
    reply->Send(absl::OkStatus(), std::move(response));
  });
}

void ConfigService::OnTrial(const v1alpha1::TrialRequest& request, bool keep,
                            ConfigRpc::EditReply reply) {
  Edit edit;
  edit.kind = Edit::Kind::kKeep;
  edit.purpose = keep ? Purpose::kConfirm : Purpose::kCancel;
  edit.claim.persist_id = request.persist_id();
  edit.author = FromProto(request.author());
  edit.done = [reply](const Edit& done, const Answer& answer) {
    reply->Send(absl::OkStatus(), ToProto(done, answer));
  };
  Enqueue(std::move(edit));
}

}  // namespace portolan::config
