#include "services/config-service/shell/running.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/config-service/shell/entries.h"
#include "services/config-service/shell/problems.h"

namespace portolan::config {
namespace {

absl::Time WholeMilliseconds(absl::Time time) {
  return absl::FromUnixMillis(absl::ToUnixMillis(time));
}

}  // namespace

Running::Running(std::shared_ptr<const Model> model, Files* files, const std::string& state_dir,
                 const Clock* clock, std::string boot_id)
    : model_(std::move(model)),
      files_(files),
      clock_(clock),
      boot_id_(std::move(boot_id)),
      journal_(files, state_dir),
      configuration_(model_->Empty()) {}

absl::StatusOr<std::optional<Restored>> Running::Restore() {
  ASSIGN_OR_RETURN(std::optional<JournalEntry> entry, journal_.Read());
  if (!entry.has_value()) return std::nullopt;
  Prepared prepared = model_->Replace(entry->configuration, yang::Format::kJson, journal_.path());
  if (!prepared.candidate.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the journal of the running configuration does not fit this Portolan; start the one that "
        "wrote it, or remove the file to begin anew:\n",
        ToText(prepared.problems)));
  }
  return TakeOver(*std::move(entry), *std::move(prepared.candidate));
}

absl::StatusOr<std::optional<Restored>> Running::TakeOver(JournalEntry entry,
                                                          Configuration configuration) {
  configuration_ = std::move(configuration);
  revision_ = entry.revision;
  loaded_file_ = std::move(entry.loaded_file);
  owners_ = entry.owners;
  Restored restored;
  restored.owners = std::move(entry.owners);
  restored.running = configuration_.snapshot();
  restored.revision = entry.revision;
  restored.generations = std::move(entry.generations);
  restored.allow_renumber = entry.allow_renumber;
  if (entry.trial.has_value()) {
    restored.trial = *std::move(entry.trial);
    restored.trial_is_over = restored.trial->session != 0 || entry.boot_id != boot_id_;
    // A clock that was set back must not make the trial longer than it was asked for.
    const absl::Duration left =
        std::min(restored.trial->deadline - clock_->WallNow(), restored.trial->timeout);
    restored.trial->deadline = clock_->Now() + left;
  }
  return restored;
}

Prepared Running::Prepare(Edit* edit) const {
  Prepared prepared = Apply(edit);
  if (prepared.candidate.has_value()) {
    edit->comparison = Compare(configuration_, *prepared.candidate, kMaxDifferences);
    edit->touched = TouchedEntries(configuration_, *prepared.candidate);
  }
  return prepared;
}

Prepared Running::Apply(Edit* edit) const {
  switch (edit->kind) {
    case Edit::Kind::kMerge:
      return model_->Merge(configuration_, edit->data, edit->format, edit->source);
    case Edit::Kind::kReplace:
      return Kept(model_->Replace(edit->data, edit->format, edit->source), edit);
    case Edit::Kind::kDelete:
      return model_->Delete(configuration_, edit->path);
    case Edit::Kind::kRollback:
      return Recalled(edit);
    case Edit::Kind::kDraft:
      return model_->Validate(*edit->draft);
    case Edit::Kind::kMake: {
      Edited edited = edit->make(configuration_);
      if (!edited.draft.has_value()) return {std::nullopt, std::move(edited.problems)};
      return model_->Validate(*edited.draft);
    }
    case Edit::Kind::kKeep:
      return {configuration_, {}};
    case Edit::Kind::kLoadFile:
      break;
  }
  absl::StatusOr<std::string> text = files_->Read(edit->source);
  if (!text.ok()) {
    return {std::nullopt,
            {{.source = edit->source,
              .rule = "file",
              .message = absl::StrCat("cannot be read: ", text.status().message()),
              .remedy = "put the file there, readable by this process"}}};
  }
  edit->data = *std::move(text);
  edit->fingerprint = Fingerprint(edit->data);
  return Kept(model_->Replace(edit->data, yang::Format::kGuess, edit->source), edit);
}

Prepared Running::Kept(Prepared prepared, Edit* edit) const {
  if (!prepared.candidate.has_value() || edit->take_over) return prepared;
  std::vector<std::string> kept;
  const std::optional<Draft> draft =
      WithEntriesOfOthers(configuration_, *prepared.candidate, owners_, edit->writer, &kept);
  if (!draft.has_value()) return prepared;
  edit->remarks.push_back(
      absl::StrCat(kept.size(), kept.size() == 1 ? " entry" : " entries", " of other writers ",
                   kept.size() == 1 ? "stays: " : "stay, the first is ", kept.front(), " (of ",
                   NameOf(owners_->at(kept.front())), "); see portolan config owners"));
  return model_->Validate(*draft);
}

Prepared Running::Recalled(Edit* edit) const {
  const uint64_t revision = edit->revision;
  edit->owners_back = Owners();
  // Before the first commit the defaults ran.
  if (revision == 0) return {model_->Empty(), {}};
  absl::StatusOr<JournalEntry> entry = journal_.Recall(revision);
  if (!entry.ok()) {
    return {std::nullopt,
            {{.rule = "no-such-revision",
              .message = std::string(entry.status().message()),
              .remedy = "choose one that \"portolan config history\" shows"}}};
  }
  edit->owners_back = std::move(entry->owners);
  return model_->Replace(entry->configuration, yang::Format::kJson,
                         absl::StrCat("revision ", revision));
}

absl::Status Running::Persist(Edit* edit, const WriteJournal& write) {
  JournalEntry entry;
  entry.revision = write.revision;
  entry.generations = write.generations;
  entry.loaded_file = edit->kind == Edit::Kind::kLoadFile ? edit->fingerprint : loaded_file_;
  entry.allow_renumber = write.allow_renumber;
  entry.commit = {write.revision, WholeMilliseconds(clock_->WallNow()), edit->author,
                  OperationOf(*edit), edit->comparison};
  entry.boot_id = boot_id_;
  if (write.trial.has_value()) {
    entry.trial = write.trial;
    entry.trial->deadline =
        WholeMilliseconds(clock_->WallNow() + (write.trial->deadline - clock_->Now()));
  }
  entry.owners = write.owners;
  entry.configuration = edit->candidate->ToJson();
  RETURN_IF_ERROR(journal_.Write(entry));
  std::swap(configuration_, *edit->candidate);  // what was goes with the edit
  revision_ = entry.revision;
  loaded_file_ = std::move(entry.loaded_file);
  owners_ = std::move(entry.owners);
  return absl::OkStatus();
}

absl::StatusOr<std::string> PartOf(const Configuration& configuration, const std::string& xpath,
                                   yang::Format format, bool secrets) {
  absl::StatusOr<yang::Tree> shown =
      xpath.empty() ? configuration.ToTree() : configuration.Select(xpath);
  RETURN_IF_ERROR(shown.status());
  if (!secrets) shown->RemoveSecrets();
  return shown->Print(format, yang::Defaults::kExplicit);
}

std::string BootId() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

}  // namespace portolan::config
