#include "services/config-service/shell/journal.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/base/status/status_macros.h"
#include "services/config-service/shell/journal_text.h"

namespace portolan::config {

Journal::Journal(Files* files, std::string directory)
    : files_(files), directory_(std::move(directory)), path_(directory_ + "/running.json") {}

std::string Journal::KeptPath(uint64_t revision) const {
  return absl::StrCat(directory_, "/history.", revision, ".json");
}

absl::StatusOr<std::optional<JournalEntry>> Journal::Read() {
  absl::StatusOr<std::string> text = files_->Read(path_);
  if (absl::IsNotFound(text.status())) return std::nullopt;
  if (!text.ok()) return text.status();
  ASSIGN_OR_RETURN(JournalEntry entry, FromText(*text, path_));
  kept_ = {{entry.commit, text->size()}};
  ReadHistory();
  return entry;
}

// What was running before the entry that is. Files of the same or a later revision are none of its
// past: left by a write that did not come to its end, or by whoever put an old running.json back.
void Journal::ReadHistory() {
  const absl::StatusOr<std::vector<std::string>> names = files_->List(directory_);
  if (!names.ok()) {
    damaged_.push_back(std::string(names.status().message()));
    return;
  }
  for (const std::string& name : *names) {
    absl::string_view middle = name;
    uint64_t revision = 0;
    if (!absl::ConsumePrefix(&middle, "history.") || !absl::ConsumeSuffix(&middle, ".json") ||
        !absl::SimpleAtoi(middle, &revision) || revision >= kept_.back().commit.revision) {
      continue;
    }
    const std::string path = absl::StrCat(directory_, "/", name);
    const absl::StatusOr<std::string> text = files_->Read(path);
    absl::StatusOr<Commit> commit =
        text.ok() ? CommitFromText(*text, path) : absl::StatusOr<Commit>(text.status());
    if (commit.ok() && commit->revision == revision) {
      kept_.push_front({*std::move(commit), text->size()});
    } else {
      damaged_.push_back(commit.ok() ? absl::StrCat(path, " holds another revision")
                                     : std::string(commit.status().message()));
    }
  }
  std::sort(kept_.begin(), kept_.end(),
            [](const Kept& a, const Kept& b) { return a.commit.revision < b.commit.revision; });
}

absl::Status Journal::KeepCurrent() {
  const std::string kept = KeptPath(kept_.back().commit.revision);
  if (files_->Link(path_, kept).ok()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string text, files_->Read(path_));
  absl::Status status = files_->Write(kept, text);
  if (!status.ok()) files_->Remove(kept).IgnoreError();
  return status;
}

// Best effort: the refused entry must not come to life at the next start.
void Journal::PutBack() {
  if (kept_.empty()) {
    files_->Remove(path_).IgnoreError();
  } else {
    files_->Rename(KeptPath(kept_.back().commit.revision), path_).IgnoreError();
  }
}

// What stays for want of a working disk goes another time.
void Journal::Prune(uint64_t needed_revision) {
  size_t bytes = 0;
  for (const Kept& kept : kept_) bytes += kept.bytes;
  auto oldest = kept_.begin();
  while (kept_.size() > kMaxCommits || (bytes > kMaxBytes && kept_.size() > 2)) {
    if (oldest->commit.revision == needed_revision) ++oldest;
    if (oldest + 1 == kept_.end()) return;
    files_->Remove(KeptPath(oldest->commit.revision)).IgnoreError();
    bytes -= oldest->bytes;
    oldest = kept_.erase(oldest);
  }
}

absl::Status Journal::Write(const JournalEntry& entry) {
  if (!kept_.empty()) RETURN_IF_ERROR(KeepCurrent());
  const std::string text = ToText(entry);
  const std::string beside = path_ + ".new";
  if (absl::Status status = files_->Write(beside, text); !status.ok()) {
    files_->Remove(beside).IgnoreError();  // a part of it would keep a full disk full
    return status;
  }
  RETURN_IF_ERROR(files_->Rename(beside, path_));
  if (absl::Status status = files_->SyncDirectory(directory_); !status.ok()) {
    PutBack();
    return status;
  }
  kept_.push_back({entry.commit, text.size()});
  Prune(entry.trial.has_value() ? entry.trial->base_revision : 0);
  return absl::OkStatus();
}

absl::StatusOr<JournalEntry> Journal::Recall(uint64_t revision) const {
  for (const Kept& kept : kept_) {
    if (kept.commit.revision != revision) continue;
    const std::string path = revision == kept_.back().commit.revision ? path_ : KeptPath(revision);
    ASSIGN_OR_RETURN(const std::string text, files_->Read(path));
    return FromText(text, path);
  }
  return absl::NotFoundError(absl::StrCat("revision ", revision, " is not kept"));
}

std::vector<Commit> Journal::History() const {
  std::vector<Commit> commits;
  for (auto kept = kept_.rbegin(); kept != kept_.rend(); ++kept) commits.push_back(kept->commit);
  return commits;
}

std::string Fingerprint(const std::string& text) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return absl::StrCat(absl::Hex(hash, absl::kZeroPad16), "-", text.size());
}

}  // namespace portolan::config
