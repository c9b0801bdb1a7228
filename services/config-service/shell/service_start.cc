// How ConfigService begins: the journal, else startup, then the file. Before the worker is used.
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/config-service/shell/problems.h"
#include "services/config-service/shell/service.h"

namespace portolan::config {
namespace {

// An edit waits for the services that it concerns no longer than this.
constexpr absl::Duration kPlanDeadline = absl::Seconds(5);
// What a service has not reported by then is missing from the operational state.
constexpr absl::Duration kStateDeadline = absl::Seconds(2);

}  // namespace

absl::StatusOr<bool> ConfigService::Restore() {
  ASSIGN_OR_RETURN(std::optional<Restored> restored, running_.Restore());
  TakeEffect();
  for (const std::string& reason : running_.journal().damaged()) {
    context_.log->Warning("a commit of the history cannot be read", {{"reason", reason}});
  }
  if (!restored.has_value()) {
    // Nothing was ever configured: the defaults are what runs.
    engine_.Handle(Restored{.running = running_.Defaults()}, context_.clock->Now());
    return false;
  }
  engine_.Handle(*std::move(restored), context_.clock->Now());
  context_.log->Info("configuration restored", {{"file", running_.journal().path()},
                                                {"revision", absl::StrCat(running_.revision())}});
  return true;
}

// Before anything is published nobody is asked, so the edit goes straight through.
std::vector<Problem> ConfigService::CommitAtStart(Edit* edit, Prepared prepared) {
  if (!prepared.candidate.has_value()) return std::move(prepared.problems);
  edit->candidate = std::move(prepared.candidate);
  std::vector<Effect> effects =
      engine_.Handle(EditProposed{.id = edit->id,
                                  .candidate = edit->candidate->snapshot(),
                                  .writer = edit->writer,
                                  .touched = edit->touched,
                                  .remarks = edit->remarks},
                     context_.clock->Now());
  if (const auto* write = std::get_if<WriteJournal>(&effects.front()); write != nullptr) {
    const absl::Status status = running_.Persist(edit, *write);
    TakeEffect();
    effects = engine_.Handle(JournalWritten{write->id, std::string(status.message())},
                             context_.clock->Now());
  }
  Answer& answer = std::get<Answer>(effects.back());
  if (answer.problems.empty()) LogWarnings(*edit, answer);
  return std::move(answer.problems);
}

absl::StatusOr<bool> ConfigService::LoadStartup() {
  ASSIGN_OR_RETURN(std::optional<std::string> text, startup_.Read());
  if (!text.has_value()) return false;
  Edit edit{.id = ++last_id_, .kind = Edit::Kind::kReplace, .source = startup_.path()};
  edit.data = *std::move(text);
  edit.author.origin = "startup";
  std::vector<Problem> problems = CommitAtStart(&edit, running_.Prepare(&edit));
  if (problems.empty()) return true;
  NameSource(edit, &problems);
  return absl::FailedPreconditionError(
      absl::StrCat("the startup configuration is refused; correct or remove ", startup_.path(),
                   ":\n", ToText(problems)));
}

absl::Status ConfigService::LoadFileAtStart(bool restored) {
  Edit edit = FileEdit();
  edit.id = ++last_id_;
  Prepared prepared = running_.Prepare(&edit);
  std::vector<Problem> problems;
  if (prepared.candidate.has_value() && restored && edit.fingerprint == running_.loaded_file()) {
    context_.log->Info("the file was loaded before; commits since then stand",
                       {{"file", options_.file}});
  } else {
    problems = CommitAtStart(&edit, std::move(prepared));
  }
  NameSource(edit, &problems);
  if (!problems.empty() && !restored) {
    return absl::InvalidArgumentError(absl::StrCat("the configuration file ", options_.file,
                                                   " is refused, and there is no earlier "
                                                   "configuration to go on with:\n",
                                                   ToText(problems)));
  }
  ReportFile(problems);
  return absl::OkStatus();
}

absl::Status ConfigService::Start(const process::Upstreams& upstreams) {
  planner_ = std::make_unique<Planner>(upstreams.allocation, kPlanDeadline);
  reviewers_ = std::make_unique<Reviewers>(upstreams.peers, kPlanDeadline);
  operational_ = std::make_unique<Operational>(yang_context_, upstreams.peers, kStateDeadline);
  events_ = std::make_unique<EventSource>(context_, upstreams);
  ASSIGN_OR_RETURN(lock_, DirectoryLock::Take(context_.state_dir));
  ASSIGN_OR_RETURN(bool restored, Restore());
  if (!restored) {
    ASSIGN_OR_RETURN(restored, LoadStartup());
  }
  if (!options_.file.empty()) RETURN_IF_ERROR(LoadFileAtStart(restored));
  Execute(engine_.Handle(Started{}, context_.clock->Now()));
  publisher_.MarkSynced();
  locks_.EndCommit(engine_.trial());
  return absl::OkStatus();
}

}  // namespace portolan::config
