#include "services/config-service/shell/journal_text.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"

namespace portolan::config {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kVersion = 1;
// A line that begins like this is the member of the whole: deeper ones are indented more, and texts
// have no line breaks.
constexpr char kConfigurationMember[] = "\n \"configuration\": ";

constexpr const char* kKinds[] = {"added", "removed", "changed", "reordered"};

Json ToJson(const Commit& commit) {
  Json differences = Json::array();
  for (const yang::Difference& difference : commit.comparison.differences) {
    differences.push_back({{"kind", kKinds[static_cast<int>(difference.kind)]},
                           {"path", difference.path},
                           {"before", difference.before},
                           {"after", difference.after}});
  }
  return {{"time-ms", absl::ToUnixMillis(commit.time)},
          {"user", commit.author.user},
          {"authenticated", commit.author.authenticated},
          {"origin", commit.author.origin},
          {"comment", commit.author.comment},
          {"operation", commit.operation},
          {"differences", std::move(differences)},
          {"more-differences", commit.comparison.more}};
}

Commit CommitFromJson(const Json& entry) {
  Commit commit;
  commit.revision = entry.at("revision").get<uint64_t>();
  // Journals from before there was a history do not say.
  if (!entry.contains("commit")) return commit;
  const Json& json = entry.at("commit");
  commit.time = absl::FromUnixMillis(json.at("time-ms").get<int64_t>());
  commit.author = {json.at("user").get<std::string>(), json.at("authenticated").get<bool>(),
                   json.at("origin").get<std::string>(), json.at("comment").get<std::string>()};
  commit.operation = json.at("operation").get<std::string>();
  commit.comparison.more = json.at("more-differences").get<uint64_t>();
  for (const Json& item : json.at("differences")) {
    yang::Difference difference{.path = item.at("path").get<std::string>(),
                                .before = item.at("before").get<std::string>(),
                                .after = item.at("after").get<std::string>()};
    const std::string kind = item.at("kind").get<std::string>();
    for (int i = 0; i < 4; ++i) {
      if (kind == kKinds[i]) difference.kind = static_cast<yang::Difference::Kind>(i);
    }
    commit.comparison.differences.push_back(std::move(difference));
  }
  return commit;
}

Json ToJson(const Trial& trial) {
  return {{"base-revision", trial.base_revision},
          {"deadline-ms", absl::ToUnixMillis(trial.deadline)},
          {"timeout-ms", absl::ToInt64Milliseconds(trial.timeout)},
          {"session", trial.session},
          {"persist-id", trial.persist_id},
          {"allow-renumber", trial.allow_renumber}};
}

Trial TrialFromJson(const Json& json, uint64_t revision) {
  Trial trial;
  trial.base_revision = json.at("base-revision").get<uint64_t>();
  trial.revision = revision;
  trial.deadline = absl::FromUnixMillis(json.at("deadline-ms").get<int64_t>());
  trial.timeout = absl::Milliseconds(json.at("timeout-ms").get<int64_t>());
  trial.session = json.at("session").get<uint64_t>();
  trial.persist_id = json.at("persist-id").get<std::string>();
  trial.allow_renumber = json.at("allow-renumber").get<bool>();
  return trial;
}

// Paths by the name of their owner.
Json ToJson(const Owners& owners) {
  Json json = Json::object();
  for (const auto& [path, writer] : *owners) json[NameOf(writer)].push_back(path);
  return json;
}

Owners OwnersFromJson(const Json& json) {
  std::map<std::string, Writer> owners;
  for (const Writer writer : {Writer::kOperator, Writer::kFile, Writer::kKube}) {
    if (!json.contains(NameOf(writer))) continue;
    for (const Json& path : json.at(NameOf(writer))) owners[path.get<std::string>()] = writer;
  }
  return owners;
}

// Throws what nlohmann throws when the text is something else.
JournalEntry EntryFromJson(const Json& json) {
  JournalEntry entry;
  entry.revision = json.at("revision").get<uint64_t>();
  entry.loaded_file = json.at("loaded-file").get<std::string>();
  for (const auto& [key, generation] : json.at("generations").items()) {
    entry.generations[key] = generation.get<uint64_t>();
  }
  // Journals from before there was such a permission do not have it.
  entry.allow_renumber = json.value("allow-renumber", false);
  // Journals from before entries had owners: all are nobody's.
  if (json.contains("owners")) entry.owners = OwnersFromJson(json.at("owners"));
  entry.boot_id = json.value("boot-id", "");
  entry.commit = CommitFromJson(json);
  if (json.contains("trial")) entry.trial = TrialFromJson(json.at("trial"), entry.revision);
  entry.configuration = json.at("configuration").dump(1);
  return entry;
}

absl::Status CheckVersion(const Json& json, const std::string& path) {
  const uint64_t version = json.at("version").get<uint64_t>();
  if (version <= kVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path, " was written by a newer Portolan (format ", version, ", this one knows ",
                   kVersion, "); start the newer one"));
}

absl::Status Damaged(const std::string& path, const Json::exception& error) {
  return absl::DataLossError(absl::StrCat(
      path, " is damaged (", error.what(),
      "); restore it from a backup, or remove it to begin anew from the configuration file"));
}

}  // namespace

std::string ToText(const JournalEntry& entry) {
  Json json;
  json["version"] = kVersion;
  json["revision"] = entry.revision;
  json["loaded-file"] = entry.loaded_file;
  json["allow-renumber"] = entry.allow_renumber;
  json["boot-id"] = entry.boot_id;
  json["commit"] = ToJson(entry.commit);
  if (entry.trial.has_value()) json["trial"] = ToJson(*entry.trial);
  json["generations"] = entry.generations;
  json["owners"] = ToJson(entry.owners);
  std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace);
  text.resize(text.size() - 2);  // the line break and the last bracket
  absl::StrAppend(&text, ",", kConfigurationMember, entry.configuration, "\n}\n");
  return text;
}

absl::StatusOr<JournalEntry> FromText(const std::string& text, const std::string& path) {
  try {
    const Json json = Json::parse(text);
    RETURN_IF_ERROR(CheckVersion(json, path));
    return EntryFromJson(json);
  } catch (const Json::exception& error) {
    return Damaged(path, error);
  }
}

absl::StatusOr<Commit> CommitFromText(const std::string& text, const std::string& path) {
  const size_t end = text.find(absl::StrCat(",", kConfigurationMember));
  try {
    const Json json =
        end == std::string::npos ? Json::parse(text) : Json::parse(text.substr(0, end) + "}");
    RETURN_IF_ERROR(CheckVersion(json, path));
    return CommitFromJson(json);
  } catch (const Json::exception& error) {
    return Damaged(path, error);
  }
}

}  // namespace portolan::config
