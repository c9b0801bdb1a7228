#include "services/config-service/shell/journal.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"

namespace portolan::config {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kVersion = 1;

std::string Serialize(const JournalEntry& entry) {
  Json json;
  json["version"] = kVersion;
  json["revision"] = entry.revision;
  json["loaded-file"] = entry.loaded_file;
  json["allow-renumber"] = entry.allow_renumber;
  json["generations"] = Json::object();
  for (const auto& [key, generation] : entry.generations) json["generations"][key] = generation;
  json["configuration"] = Json::parse(entry.configuration);
  return json.dump(1) + "\n";
}

// Throws what nlohmann throws when the text is something else.
JournalEntry Deserialize(const Json& json) {
  JournalEntry entry;
  entry.revision = json.at("revision").get<uint64_t>();
  entry.loaded_file = json.at("loaded-file").get<std::string>();
  for (const auto& [key, generation] : json.at("generations").items()) {
    entry.generations[key] = generation.get<uint64_t>();
  }
  // Journals from before there was such a permission do not have it.
  entry.allow_renumber = json.value("allow-renumber", false);
  entry.configuration = json.at("configuration").dump(1);
  return entry;
}

}  // namespace

Journal::Journal(Files* files, std::string directory)
    : files_(files), directory_(std::move(directory)), path_(directory_ + "/running.json") {}

absl::StatusOr<std::optional<JournalEntry>> Journal::Read() {
  absl::StatusOr<std::string> text = files_->Read(path_);
  if (absl::IsNotFound(text.status())) return std::nullopt;
  if (!text.ok()) return text.status();
  try {
    const Json json = Json::parse(*text);
    const uint64_t version = json.at("version").get<uint64_t>();
    if (version > kVersion) {
      return absl::FailedPreconditionError(
          absl::StrCat(path_, " was written by a newer Portolan (format ", version,
                       ", this one knows ", kVersion, "); start the newer one"));
    }
    JournalEntry entry = Deserialize(json);
    durable_ = *std::move(text);
    return entry;
  } catch (const Json::exception& error) {
    return absl::DataLossError(absl::StrCat(
        path_, " is damaged (", error.what(),
        "); restore it from a backup, or remove it to begin anew from the configuration file"));
  }
}

// Best effort: the refused entry must not come to life at the next start.
void Journal::PutBack() {
  if (durable_.has_value()) {
    const std::string beside = path_ + ".new";
    if (files_->Write(beside, *durable_).ok()) files_->Rename(beside, path_).IgnoreError();
  } else {
    files_->Remove(path_).IgnoreError();
  }
}

absl::Status Journal::Write(const JournalEntry& entry) {
  std::string text = Serialize(entry);
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
  durable_ = std::move(text);
  return absl::OkStatus();
}

std::string Fingerprint(const std::string& text) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return absl::StrCat(absl::Hex(hash, absl::kZeroPad16), "-", text.size());
}

}  // namespace portolan::config
