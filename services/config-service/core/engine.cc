#include "services/config-service/core/engine.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/config-service/core/validate.h"

namespace portolan::config {
namespace {

// A trial that could not be ended is ended again after this long.
constexpr absl::Duration kGoBackRetry = absl::Seconds(30);

bool AllowsRenumber(const Snapshot& snapshot) {
  for (const auto& [key, settings] : snapshot.ipam_settings) {
    if (settings.allow_renumber) return true;
  }
  return false;
}

void AllowRenumber(bool allow, Snapshot* snapshot) {
  for (auto& [key, settings] : snapshot->ipam_settings) settings.allow_renumber = allow;
}

std::string Unasked(const std::string& reason, bool allow_renumber) {
  return absl::StrCat(
      "ipam-service could not be asked what the edit does to addresses in use (", reason, "); ",
      allow_renumber ? "addresses that the edit makes illegal are moved once it has the edit"
                     : "addresses that the edit makes illegal stay until a commit with "
                       "allow-renumber");
}

}  // namespace

std::vector<Effect> Engine::Handle(Event event, absl::Time now) {
  now_ = now;
  return std::visit([this](auto& e) { return On(std::move(e)); }, event);
}

void Engine::SetGenerations(std::vector<Change>* changes,
                            const std::map<std::string, uint64_t>& generations) const {
  for (Change& change : *changes) {
    if (!std::holds_alternative<Service>(change.object)) continue;
    const auto it = generations.find(change.key);
    if (it != generations.end()) change.generation = it->second;
  }
}

std::vector<Effect> Engine::On(Restored restored) {
  running_ = std::move(restored.running);
  AllowRenumber(restored.allow_renumber, &running_);
  revision_ = restored.revision;
  generations_ = std::move(restored.generations);
  owners_ = std::move(restored.owners);
  trial_ = std::move(restored.trial);
  trial_is_over_ = restored.trial_is_over;
  return {};
}

std::vector<Effect> Engine::On(Started) {
  started_ = true;
  std::vector<Change> changes = Diff(Snapshot(), running_);
  SetGenerations(&changes, generations_);
  std::vector<Effect> effects = {Publish{revision_, std::move(changes)}};
  std::vector<Effect> more;
  if (trial_.has_value() && trial_is_over_) more = EndTrial("not confirmed before a restart");
  if (trial_.has_value() && !trial_is_over_) more = On(TimePassed());
  std::move(more.begin(), more.end(), std::back_inserter(effects));
  return effects;
}

// ---- trials ----

// Whether the edit may go on beside, or with, the trial that runs or does not run.
std::optional<Problem> Engine::RefusalOfTrial(const EditProposed& edit) const {
  if (edit.dry_run) return std::nullopt;
  const bool needs_one = edit.purpose == Purpose::kConfirm || edit.purpose == Purpose::kCancel ||
                         edit.purpose == Purpose::kGoBack;
  if (!trial_.has_value()) {
    // An edit names with one word both the trial that it extends and the one that it begins.
    const bool begins = edit.purpose == Purpose::kEdit && edit.trial.has_value();
    if (!needs_one && (begins || edit.claim.persist_id.empty())) return std::nullopt;
    return Problem{.rule = needs_one ? "nothing-to-confirm" : "persist-id",
                   .message = "no commit waits for a confirmation",
                   .remedy = "look at what was committed: portolan config history"};
  }
  if (edit.purpose == Purpose::kGoBack) {
    if (edit.trial_revision == trial_->revision) return std::nullopt;
    return Problem{.rule = "nothing-to-confirm", .message = "that trial is over"};
  }
  if (edit.purpose == Purpose::kEdit && !edit.trial.has_value()) {
    return Problem{
        .rule = "confirm-pending",
        .message = absl::StrCat("revision ", trial_->revision,
                                " waits for its confirmation, and without it the configuration "
                                "goes back to revision ",
                                trial_->base_revision, ", which would undo this edit, too"),
        .remedy = "first confirm (portolan config confirm) or cancel (portolan config cancel)"};
  }
  if (!trial_->persist_id.empty() || !edit.claim.persist_id.empty()) {
    if (edit.claim.persist_id == trial_->persist_id) return std::nullopt;
    return Problem{.rule = "persist-id",
                   .message = absl::StrCat("revision ", trial_->revision,
                                           " waits for its confirmation under another persist-id"),
                   .remedy =
                       "name the persist-id that it was committed with, or wait until it is "
                       "taken back"};
  }
  if (edit.claim.session == trial_->session) return std::nullopt;
  return Problem{.rule = "confirm-pending",
                 .message = absl::StrCat(
                     "revision ", trial_->revision, " waits for its confirmation by ",
                     trial_->session == 0 ? "the command line"
                                          : absl::StrCat("NETCONF session ", trial_->session)),
                 .remedy = "wait until it is confirmed or taken back"};
}

std::optional<Trial> Engine::TrialAfter(const EditProposed& edit) const {
  if (!edit.trial.has_value()) return std::nullopt;
  Trial trial;
  trial.base_revision = trial_.has_value() ? trial_->base_revision : revision_;
  trial.timeout = edit.trial->timeout;
  trial.persist_id = edit.trial->persist_id;
  // One that goes on under a persist-id stays so.
  if (trial.persist_id.empty() && trial_.has_value()) trial.persist_id = trial_->persist_id;
  if (trial.persist_id.empty()) trial.session = edit.claim.session;
  trial.allow_renumber = edit.allow_renumber || (trial_.has_value() && trial_->allow_renumber);
  return trial;
}

std::vector<Effect> Engine::EndTrial(std::string reason) const {
  return {GoBack{trial_->base_revision, trial_->revision, std::move(reason)},
          WakeAt{now_ + kGoBackRetry}};
}

std::vector<Effect> Engine::On(TimePassed) {
  if (!trial_.has_value()) return {};
  if (trial_is_over_ || now_ >= trial_->deadline) return EndTrial("not confirmed in time");
  return {WakeAt{trial_->deadline}};
}

std::vector<Effect> Engine::On(SessionEnded ended) {
  if (!trial_.has_value() || ended.session == 0 || trial_->session != ended.session) return {};
  trial_is_over_ = true;
  return EndTrial(absl::StrCat("session ", ended.session, " ended without confirming"));
}

// ---- edits ----

std::optional<Problem> Engine::RefusalOfBase(const EditProposed& edit) const {
  if (!edit.base_revision.has_value() || *edit.base_revision == revision_) return std::nullopt;
  return Problem{.rule = "running-changed",
                 .message = absl::StrCat("the edit was made of revision ", *edit.base_revision,
                                         ", and since then somebody committed revision ", revision_,
                                         ", which it would undo"),
                 .remedy = "look at \"portolan config history\" and make the edit anew"};
}

// `candidate` is as YANG has it, without a permission.
bool Engine::TouchesAddresses(const Snapshot& candidate) const {
  if (candidate.pools != running_.pools || candidate.quotas != running_.quotas) return true;
  Snapshot settings{.ipam_settings = running_.ipam_settings};
  AllowRenumber(false, &settings);
  return candidate.ipam_settings != settings.ipam_settings;
}

std::vector<Effect> Engine::On(EditProposed edit) {
  if (!edit.dry_run && committing_) {
    return {Answer{edit.id,
                   revision_,
                   {{.rule = "busy",
                     .message = "another edit is being written",
                     .remedy = "apply the edit again"}}}};
  }
  std::optional<Problem> refusal = RefusalOfBase(edit);
  if (!refusal.has_value()) refusal = RefusalOfTrial(edit);
  if (refusal.has_value()) return {Answer{edit.id, revision_, {*std::move(refusal)}}};
  std::vector<Problem> problems = Validate(edit.candidate);
  if (problems.empty() && !edit.take_over && !edit.owners_back.has_value()) {
    problems = RefusalOf(owners_, edit.touched, edit.writer);
  }
  if (!problems.empty()) return {Answer{edit.id, revision_, std::move(problems)}};
  if (edit.purpose == Purpose::kConfirm) edit.allow_renumber = AllowsRenumber(running_);
  const bool goes_back = edit.purpose == Purpose::kCancel || edit.purpose == Purpose::kGoBack;
  if (goes_back) edit.allow_renumber = trial_->allow_renumber;
  std::vector<Effect> questions = QuestionsAbout(edit);
  AllowRenumber(edit.allow_renumber, &edit.candidate);
  committing_ = committing_ || !edit.dry_run;
  Proposal proposal;
  proposal.id = edit.id;
  proposal.dry_run = edit.dry_run;
  proposal.allow_renumber = edit.allow_renumber;
  proposal.refusable = !goes_back;
  proposal.trial = TrialAfter(edit);
  proposal.owners = edit.owners_back.has_value() ? *std::move(edit.owners_back)
                                                 : OwnersAfter(owners_, edit.touched, edit.writer);
  proposal.candidate = std::move(edit.candidate);
  proposal.warnings = std::move(edit.remarks);
  for (std::string& warning : Warnings(proposal.candidate)) {
    proposal.warnings.push_back(std::move(warning));
  }
  if (questions.empty()) return Decide(std::move(proposal));
  proposal.unanswered = questions.size();
  if (proposal.dry_run) proposal.candidate = {};  // checked, and not needed any more
  asked_.emplace(proposal.id, std::move(proposal));
  return questions;
}

// `edit.candidate` is as YANG has it.
std::vector<Effect> Engine::QuestionsAbout(const EditProposed& edit) const {
  if (!started_ || edit.purpose == Purpose::kConfirm) return {};
  std::vector<Effect> questions;
  if (edit.allow_renumber || TouchesAddresses(edit.candidate)) {
    AskPlan plan{edit.id, edit.candidate.pools, {}, edit.candidate.quotas};
    for (const auto& [key, settings] : edit.candidate.ipam_settings) plan.settings = settings;
    plan.settings.allow_renumber = edit.allow_renumber;
    questions.push_back(std::move(plan));
  }
  for (ReviewQuestion& question : QuestionsOf(running_, edit.candidate)) {
    questions.push_back(AskReview{edit.id, std::move(question)});
  }
  return questions;
}

std::vector<Effect> Engine::On(Planned planned) {
  const auto asked = asked_.find(planned.id);
  if (asked == asked_.end()) return {};
  Proposal& proposal = asked->second;
  proposal.moves = std::move(planned.moves);
  proposal.gains = std::move(planned.gains);
  if (!planned.unasked.empty()) {
    proposal.moves_unknown = true;
    proposal.warnings.push_back(Unasked(planned.unasked, proposal.allow_renumber));
  }
  return DecideWhenAnswered(planned.id);
}

std::vector<Effect> Engine::On(Reviewed reviewed) {
  const uint64_t id = reviewed.id;
  const auto asked = asked_.find(id);
  if (asked == asked_.end()) return {};
  std::string component = reviewed.component;
  asked->second.reviews[std::move(component)] = std::move(reviewed);
  return DecideWhenAnswered(id);
}

std::vector<Effect> Engine::DecideWhenAnswered(uint64_t id) {
  if (--asked_.at(id).unanswered > 0) return {};
  return Decide(std::move(asked_.extract(id).mapped()));
}

// Everything is known that speaks for or against it.
std::vector<Effect> Engine::Decide(Proposal proposal) {
  std::vector<Problem> problems;
  if (!proposal.allow_renumber && proposal.refusable) problems = RefusalOf(proposal.moves);
  for (auto& [component, review] : proposal.reviews) {
    if (!review.unasked.empty()) {
      proposal.warnings.push_back(UnaskedWarning(component, review.unasked));
    }
    for (ReviewFinding& finding : review.findings) {
      if (finding.refuse && proposal.refusable) {
        problems.push_back(std::move(finding.problem));
      } else {
        proposal.warnings.push_back(WarningOf(finding.problem));
      }
    }
  }
  if (!problems.empty() || proposal.dry_run) {
    if (!proposal.dry_run) committing_ = false;
    return {Answer{proposal.id, revision_, std::move(problems), std::move(proposal.moves),
                   std::move(proposal.warnings), proposal.moves_unknown,
                   std::move(proposal.gains)}};
  }
  Written written{std::move(proposal), {}, generations_};
  written.changes = Diff(running_, written.proposal.candidate);
  const uint64_t revision = revision_ + 1;
  for (const Change& change : written.changes) {
    if (!std::holds_alternative<Service>(change.object)) continue;
    if (change.action == Change::Action::kRemove) {
      written.generations.erase(change.key);
    } else {
      written.generations[change.key] = revision;
    }
  }
  SetGenerations(&written.changes, written.generations);
  std::optional<Trial>& trial = written.proposal.trial;
  if (trial.has_value()) {
    trial->revision = revision;
    trial->deadline = now_ + trial->timeout;
  }
  WriteJournal write{
      written.proposal.id,    revision, written.generations, written.proposal.allow_renumber, trial,
      written.proposal.owners};
  written_ = std::move(written);
  return {std::move(write)};
}

std::vector<Effect> Engine::On(JournalWritten result) {
  if (!written_.has_value() || written_->proposal.id != result.id) return {};
  Written written = *std::move(written_);
  written_.reset();
  committing_ = false;
  if (!result.error.empty()) {
    return {Answer{result.id,
                   revision_,
                   {{.rule = "journal",
                     .message = absl::StrCat("the edit could not be made durable, so it is refused "
                                             "and running is unchanged: ",
                                             result.error),
                     .remedy = "repair or free the disk of the state directory and apply the edit "
                               "again"}}}};
  }
  running_ = std::move(written.proposal.candidate);
  generations_ = std::move(written.generations);
  owners_ = std::move(written.proposal.owners);
  ++revision_;
  trial_ = std::move(written.proposal.trial);
  trial_is_over_ = false;
  std::vector<Effect> effects;
  if (trial_.has_value()) effects.push_back(WakeAt{trial_->deadline});
  if (started_ && !written.changes.empty()) {
    effects.push_back(Publish{revision_, std::move(written.changes)});
  }
  effects.push_back(Answer{result.id,
                           revision_,
                           {},
                           std::move(written.proposal.moves),
                           std::move(written.proposal.warnings),
                           written.proposal.moves_unknown,
                           std::move(written.proposal.gains)});
  return effects;
}

}  // namespace portolan::config
