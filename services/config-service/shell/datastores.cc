#include "services/config-service/shell/datastores.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/config-service/core/validate.h"

namespace portolan::config {
namespace {

constexpr const char* kNames[kDatastores] = {"running", "candidate", "startup"};

const char* NameOf(Datastore datastore) { return kNames[static_cast<size_t>(datastore)]; }

RpcErrors One(RpcError error) { return {std::move(error)}; }

RpcErrors Stopping() {
  return One({.tag = "operation-failed", .message = "config-service is stopping"});
}

RpcErrors Failed(const absl::Status& status) {
  if (absl::IsUnavailable(status)) return Stopping();
  return One({.tag = "operation-failed", .message = std::string(status.message())});
}

RpcErrors Unsupported(Datastore target, const std::string& remedy) {
  return One({.type = "protocol",
              .tag = "operation-not-supported",
              .message = absl::StrCat(NameOf(target), " cannot be the target of this operation; ",
                                      remedy)});
}

// YANG and the rules between entries.
std::vector<Problem> ProblemsOf(const Model& model, const Draft& draft) {
  Prepared prepared = model.Validate(draft);
  if (!prepared.candidate.has_value()) return std::move(prepared.problems);
  return config::Validate(prepared.candidate->snapshot());
}

}  // namespace

Datastores::Datastores(std::shared_ptr<const Model> model, RunningStore* running, Locks* locks,
                       Startup* startup)
    : model_(std::move(model)), running_(running), locks_(locks), startup_(startup) {}

// ---- sessions and locks ----

void Datastores::OpenSession(uint64_t session, Author author) {
  absl::MutexLock lock(&mutex_);
  sessions_[session] = std::move(author);
}

void Datastores::CloseSession(uint64_t session) {
  {
    absl::MutexLock lock(&mutex_);
    if (sessions_.erase(session) == 0) return;
    // RFC 6241, section 8.3.5.2.
    if (locks_->Holder(Datastore::kCandidate) == session) candidate_.reset();
    locks_->Release(session);
  }
  running_->EndSession(session);
}

RpcErrors Datastores::KillSession(uint64_t session, uint64_t victim) {
  {
    absl::MutexLock lock(&mutex_);
    if (session == victim || sessions_.count(victim) == 0) {
      return One({.tag = "invalid-value",
                  .message = session == victim ? "a session does not kill itself; use close-session"
                                               : absl::StrCat("there is no session ", victim)});
    }
  }
  CloseSession(victim);
  return {};
}

RpcErrors Datastores::Lock(uint64_t session, Datastore target) {
  const auto denied = [&](const Locks::Denial& denial) {
    return One({.type = "protocol",
                .tag = "lock-denied",
                .message = absl::StrCat(NameOf(target), " cannot be locked: ", denial.reason),
                .session = denial.session});
  };
  if (target == Datastore::kCandidate) {
    absl::MutexLock lock(&mutex_);
    const uint64_t holder = locks_->Holder(target);
    if (holder == 0 && candidate_.has_value()) {
      return denied({0, "it was edited, and the edits were neither committed nor discarded"});
    }
    const std::optional<Locks::Denial> denial = locks_->Lock(target, session);
    return denial.has_value() ? denied(*denial) : RpcErrors();
  }
  // Not under mutex_: this waits for a commit.
  const std::optional<Locks::Denial> denial = locks_->Lock(target, session);
  return denial.has_value() ? denied(*denial) : RpcErrors();
}

RpcErrors Datastores::Unlock(uint64_t session, Datastore target) {
  absl::MutexLock lock(&mutex_);
  if (!locks_->Unlock(target, session)) {
    const uint64_t holder = locks_->Holder(target);
    return One(
        {.type = "protocol",
         .tag = "operation-failed",
         .message = absl::StrCat(NameOf(target), " is not locked by this session",
                                 holder == 0 ? "" : absl::StrCat(", but by session ", holder))});
  }
  // RFC 6241, section 8.3.5.2.
  if (target == Datastore::kCandidate) candidate_.reset();
  return {};
}

RpcErrors Datastores::RefusalOf(uint64_t session, Datastore target) const {
  const uint64_t holder = locks_->HolderAgainst(target, session);
  if (holder == 0) return {};
  return One({.type = "protocol",
              .tag = "in-use",
              .message = absl::StrCat("session ", holder, " has locked ", NameOf(target)),
              .session = holder});
}

// ---- data ----

absl::StatusOr<Datastores::Candidate> Datastores::ReadLocked(Datastore source) {
  if (source == Datastore::kCandidate && candidate_.has_value()) return *candidate_;
  if (source == Datastore::kStartup) {
    ASSIGN_OR_RETURN(const std::optional<std::string> text, startup_->Read());
    if (!text.has_value()) return Candidate{Draft{model_->Empty()}};
    Edited parsed = model_->Parse(*text, yang::Format::kJson);
    if (!parsed.draft.has_value()) {
      return absl::DataLossError(absl::StrCat(
          startup_->path(), " does not fit this Portolan: ", parsed.problems.front().message,
          "; copy another configuration to startup"));
    }
    return Candidate{*std::move(parsed.draft)};
  }
  std::optional<RunningStore::Copy> copy = running_->Read();
  if (!copy.has_value()) return absl::UnavailableError("config-service is stopping");
  return Candidate{Draft{std::move(copy->configuration)}, copy->revision};
}

absl::StatusOr<Draft> Datastores::ReadDraft(Datastore source) {
  if (source == Datastore::kRunning) {
    // Not under mutex_: a commit of another session holds it for long.
    std::optional<RunningStore::Copy> copy = running_->Read();
    if (!copy.has_value()) return absl::UnavailableError("config-service is stopping");
    return Draft{std::move(copy->configuration)};
  }
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(Candidate candidate, ReadLocked(source));
  return std::move(candidate.draft);
}

absl::StatusOr<yang::Tree> Datastores::Read(Datastore source) {
  ASSIGN_OR_RETURN(const Draft draft, ReadDraft(source));
  return draft.ToTree();
}

absl::StatusOr<yang::Tree> Datastores::ReadPart(Datastore source, const yang::Touched& scope) {
  ASSIGN_OR_RETURN(const Draft draft, ReadDraft(source));
  return draft.Part(scope);
}

RpcErrors Datastores::Edit(uint64_t session, Datastore target, const EditConfig& edit) {
  if (target != Datastore::kCandidate) return Unsupported(target, "edit the candidate");
  absl::MutexLock lock(&mutex_);
  if (RpcErrors refusal = RefusalOf(session, target); !refusal.empty()) return refusal;
  const absl::StatusOr<Candidate> base = ReadLocked(target);
  if (!base.ok()) return Failed(base.status());
  Edited edited =
      model_->ApplyOperations(base->draft, edit.config, edit.format, edit.default_operation);
  if (!edited.draft.has_value()) return ToRpcErrors(edited.problems);
  if (write_check_) {
    RpcErrors denied = write_check_(session, base->draft, *edited.draft);
    if (!denied.empty()) return denied;
  }
  if (edit.test_option != TestOption::kSet) {
    const std::vector<Problem> problems = ProblemsOf(*model_, *edited.draft);
    if (!problems.empty()) return ToRpcErrors(problems);
    if (edit.test_option == TestOption::kTestOnly) return {};
  }
  candidate_.emplace(Candidate{*std::move(edited.draft), base->base_revision});
  return {};
}

RpcErrors Datastores::Store(uint64_t session, Draft draft, Datastore target) {
  if (target == Datastore::kStartup) {
    const std::vector<Problem> problems = ProblemsOf(*model_, draft);
    if (!problems.empty()) return ToRpcErrors(problems);
    const absl::Status status =
        startup_->Write(draft.ToTree().Print(yang::Format::kJson, yang::Defaults::kExplicit));
    if (status.ok()) return {};
    return One({.tag = "resource-denied",
                .message = absl::StrCat("startup could not be written: ", status.message())});
  }
  const std::optional<RunningStore::Copy> running = running_->Read();
  if (!running.has_value()) return Stopping();
  if (write_check_) {
    const Draft before = candidate_.has_value() ? candidate_->draft : Draft{running->configuration};
    if (RpcErrors denied = write_check_(session, before, draft); !denied.empty()) return denied;
  }
  candidate_.emplace(Candidate{std::move(draft), running->revision});
  return {};
}

RpcErrors Datastores::Copy(uint64_t session, Datastore source, Datastore target) {
  if (source == target) {
    return One(
        {.type = "protocol", .tag = "invalid-value", .message = "source and target are the same"});
  }
  if (target == Datastore::kRunning) return Unsupported(target, "copy to candidate and commit");
  absl::MutexLock lock(&mutex_);
  if (RpcErrors refusal = RefusalOf(session, target); !refusal.empty()) return refusal;
  absl::StatusOr<Candidate> copy = ReadLocked(source);
  if (!copy.ok()) return Failed(copy.status());
  return Store(session, std::move(copy->draft), target);
}

RpcErrors Datastores::CopyText(uint64_t session, const std::string& config, yang::Format format,
                               Datastore target) {
  if (target == Datastore::kRunning) return Unsupported(target, "copy to candidate and commit");
  absl::MutexLock lock(&mutex_);
  if (RpcErrors refusal = RefusalOf(session, target); !refusal.empty()) return refusal;
  Edited parsed = model_->Parse(config, format);
  if (!parsed.draft.has_value()) return ToRpcErrors(parsed.problems);
  return Store(session, *std::move(parsed.draft), target);
}

RpcErrors Datastores::Delete(uint64_t session, Datastore target) {
  if (target != Datastore::kStartup) return Unsupported(target, "only startup is deleted");
  absl::MutexLock lock(&mutex_);
  if (RpcErrors refusal = RefusalOf(session, target); !refusal.empty()) return refusal;
  const absl::Status status = startup_->Remove();
  return status.ok() ? RpcErrors() : Failed(status);
}

RpcErrors Datastores::DiscardChanges(uint64_t session) {
  absl::MutexLock lock(&mutex_);
  if (RpcErrors refusal = RefusalOf(session, Datastore::kCandidate); !refusal.empty()) {
    return refusal;
  }
  candidate_.reset();
  return {};
}

RpcErrors Datastores::Validate(Datastore source) {
  const absl::StatusOr<Draft> draft = ReadDraft(source);
  return draft.ok() ? ToRpcErrors(ProblemsOf(*model_, *draft)) : Failed(draft.status());
}

RpcErrors Datastores::ValidateText(const std::string& config, yang::Format format) const {
  const Edited parsed = model_->Parse(config, format);
  if (!parsed.draft.has_value()) return ToRpcErrors(parsed.problems);
  return ToRpcErrors(ProblemsOf(*model_, *parsed.draft));
}

// ---- forecasts ----

Datastores::Forecast Datastores::Plan(Datastore source) {
  absl::StatusOr<Draft> draft = ReadDraft(source);
  if (!draft.ok()) return {.errors = Failed(draft.status())};
  return Foresee(*std::move(draft));
}

Datastores::Forecast Datastores::PlanEdit(const EditConfig& edit) {
  absl::StatusOr<Draft> draft = ReadDraft(Datastore::kRunning);
  if (!draft.ok()) return {.errors = Failed(draft.status())};
  Edited edited = model_->ApplyOperations(*draft, edit.config, edit.format, edit.default_operation);
  if (!edited.draft.has_value()) return {.errors = ToRpcErrors(edited.problems)};
  return Foresee(*std::move(edited.draft));
}

// With the permission to renumber, since what would move is no refusal but the answer; and whose
// the entries are is not asked.
Datastores::Forecast Datastores::Foresee(Draft draft) {
  config::Edit edit;
  edit.kind = config::Edit::Kind::kDraft;
  edit.draft = std::move(draft);
  edit.dry_run = true;
  edit.allow_renumber = true;
  edit.take_over = true;
  std::optional<Answer> answer = running_->CommitEdit(std::move(edit));
  if (!answer.has_value()) return {.errors = Stopping()};
  if (!answer->problems.empty()) return {.errors = ToRpcErrors(answer->problems)};
  if (answer->moves_unknown) {
    return {.errors = One({.tag = "operation-failed",
                           .app_tag = "service-unavailable",
                           .message = "ipam-service does not answer, so it is not known what a "
                                      "commit would do to addresses in use; see that it runs: "
                                      "portolan get problems"})};
  }
  return {.moves = std::move(answer->moves),
          .gains = std::move(answer->gains),
          .warnings = std::move(answer->warnings)};
}

// ---- commits ----

RpcErrors Datastores::Send(config::Edit edit, uint64_t session) {
  edit.claim.session = session;
  if (const auto it = sessions_.find(session); it != sessions_.end()) edit.author = it->second;
  const std::optional<Answer> answer = running_->CommitEdit(std::move(edit));
  return answer.has_value() ? ToRpcErrors(answer->problems) : Stopping();
}

RpcErrors Datastores::Commit(uint64_t session, const CommitConfig& commit) {
  absl::MutexLock lock(&mutex_);
  if (RpcErrors refusal = RefusalOf(session, Datastore::kCandidate); !refusal.empty()) {
    return refusal;
  }
  config::Edit edit;
  edit.kind = config::Edit::Kind::kKeep;
  edit.purpose = Purpose::kCommit;
  edit.claim.persist_id = commit.persist_id;
  if (commit.confirmed) edit.trial = TrialRequest{commit.timeout, commit.persist};
  if (candidate_.has_value()) {
    edit.kind = config::Edit::Kind::kDraft;
    edit.draft = candidate_->draft;
    edit.base_revision = candidate_->base_revision;
    // What others put into the candidate counts, too.
    if (write_check_) {
      const std::optional<RunningStore::Copy> running = running_->Read();
      if (!running.has_value()) return Stopping();
      if (RpcErrors denied =
              write_check_(session, Draft{running->configuration}, candidate_->draft);
          !denied.empty()) {
        return denied;
      }
    }
  }
  RpcErrors errors = Send(std::move(edit), session);
  if (errors.empty()) candidate_.reset();
  return errors;
}

RpcErrors Datastores::CancelCommit(uint64_t session, const std::string& persist_id) {
  absl::MutexLock lock(&mutex_);
  config::Edit edit;
  edit.kind = config::Edit::Kind::kKeep;
  edit.purpose = Purpose::kCancel;
  edit.claim.persist_id = persist_id;
  return Send(std::move(edit), session);
}

}  // namespace portolan::config
