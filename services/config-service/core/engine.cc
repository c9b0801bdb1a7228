#include "services/config-service/core/engine.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/config-service/core/validate.h"

namespace portolan::config {

std::vector<Effect> Engine::Handle(Event event, absl::Time) {
  return std::visit([this](auto&& e) { return On(std::move(e)); }, std::move(event));
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

std::vector<Effect> Engine::On(EditProposed edit) {
  if (pending_.has_value()) {
    return {Answer{edit.id,
                   revision_,
                   {{.rule = "busy",
                     .message = "another edit is being written",
                     .remedy = "apply the edit again"}}}};
  }
  std::vector<Problem> problems = Validate(edit.candidate);
  if (!problems.empty() || edit.dry_run) {
    return {Answer{edit.id, revision_, std::move(problems)}};
  }
  Pending pending;
  pending.id = edit.id;
  pending.changes = Diff(running_, edit.candidate);
  pending.candidate = std::move(edit.candidate);
  pending.generations = generations_;
  const uint64_t revision = revision_ + 1;
  for (const Change& change : pending.changes) {
    if (!std::holds_alternative<Service>(change.object)) continue;
    if (change.action == Change::Action::kRemove) {
      pending.generations.erase(change.key);
    } else {
      pending.generations[change.key] = revision;
    }
  }
  SetGenerations(&pending.changes, pending.generations);
  WriteJournal write{edit.id, revision, pending.generations};
  pending_ = std::move(pending);
  return {std::move(write)};
}

std::vector<Effect> Engine::On(JournalWritten written) {
  if (!pending_.has_value() || pending_->id != written.id) return {};
  Pending pending = *std::move(pending_);
  pending_.reset();
  if (!written.error.empty()) {
    return {Answer{written.id,
                   revision_,
                   {{.rule = "journal",
                     .message = absl::StrCat("the edit could not be made durable, so it is refused "
                                             "and running is unchanged: ",
                                             written.error),
                     .remedy = "repair or free the disk of the state directory and apply the edit "
                               "again"}}}};
  }
  running_ = std::move(pending.candidate);
  generations_ = std::move(pending.generations);
  ++revision_;
  std::vector<Effect> effects;
  if (started_ && !pending.changes.empty()) {
    effects.push_back(Publish{revision_, std::move(pending.changes)});
  }
  effects.push_back(Answer{written.id, revision_, {}});
  return effects;
}

}  // namespace portolan::config
