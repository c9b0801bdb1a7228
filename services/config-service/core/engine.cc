#include "services/config-service/core/engine.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/config-service/core/validate.h"

namespace portolan::config {
namespace {

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

std::vector<Effect> Engine::Handle(Event event, absl::Time) {
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
  return {};
}

std::vector<Effect> Engine::On(Started) {
  started_ = true;
  std::vector<Change> changes = Diff(Snapshot(), running_);
  SetGenerations(&changes, generations_);
  return {Publish{revision_, std::move(changes)}};
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
  std::vector<Problem> problems = Validate(edit.candidate);
  if (!problems.empty()) return {Answer{edit.id, revision_, std::move(problems)}};
  const bool ask = started_ && (edit.allow_renumber || TouchesAddresses(edit.candidate));
  AllowRenumber(edit.allow_renumber, &edit.candidate);
  committing_ = committing_ || !edit.dry_run;
  Proposal proposal{edit.id, edit.dry_run, edit.allow_renumber, std::move(edit.candidate), {}, {}};
  proposal.warnings = Warnings(proposal.candidate);
  if (!ask) return Decide(std::move(proposal));
  AskPlan question{proposal.id, proposal.candidate.pools, {}, proposal.candidate.quotas};
  for (const auto& [key, settings] : proposal.candidate.ipam_settings) question.settings = settings;
  if (proposal.dry_run) proposal.candidate = {};  // checked, and not needed any more
  asked_.emplace(proposal.id, std::move(proposal));
  return {std::move(question)};
}

std::vector<Effect> Engine::On(Planned planned) {
  auto asked = asked_.extract(planned.id);
  if (asked.empty()) return {};
  Proposal& proposal = asked.mapped();
  proposal.moves = std::move(planned.moves);
  if (!planned.unasked.empty()) {
    proposal.moves_unknown = true;
    proposal.warnings.push_back(Unasked(planned.unasked, proposal.allow_renumber));
  }
  return Decide(std::move(proposal));
}

// Everything is known that speaks for or against it.
std::vector<Effect> Engine::Decide(Proposal proposal) {
  std::vector<Problem> problems;
  if (!proposal.allow_renumber) problems = RefusalOf(proposal.moves);
  if (!problems.empty() || proposal.dry_run) {
    if (!proposal.dry_run) committing_ = false;
    return {Answer{proposal.id, revision_, std::move(problems), std::move(proposal.moves),
                   std::move(proposal.warnings), proposal.moves_unknown}};
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
  WriteJournal write{written.proposal.id, revision, written.generations,
                     written.proposal.allow_renumber};
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
  ++revision_;
  std::vector<Effect> effects;
  if (started_ && !written.changes.empty()) {
    effects.push_back(Publish{revision_, std::move(written.changes)});
  }
  effects.push_back(Answer{result.id,
                           revision_,
                           {},
                           std::move(written.proposal.moves),
                           std::move(written.proposal.warnings),
                           written.proposal.moves_unknown});
  return effects;
}

}  // namespace portolan::config
