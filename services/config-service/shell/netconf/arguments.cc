#include "services/config-service/shell/netconf/arguments.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"

namespace portolan::config {
namespace {

constexpr size_t kMaxMessage = 2000;

std::optional<Datastore> Named(absl::string_view name) {
  if (name == "running") return Datastore::kRunning;
  if (name == "candidate") return Datastore::kCandidate;
  if (name == "startup") return Datastore::kStartup;
  return std::nullopt;
}

}  // namespace

std::optional<std::string> TextOf(yang::Node parent, absl::string_view child) {
  const yang::Node node = parent.Child(child);
  if (!node) return std::nullopt;
  return node.value();
}

std::string DateAndTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

std::optional<Datastore> DatastoreOf(yang::Node choice) {
  if (choice && choice.name() == "datastore") {
    const std::string value = choice.value();
    return Named(absl::StripPrefix(value, "ietf-datastores:"));
  }
  if (!choice) return std::nullopt;
  const yang::Node datastore = choice.Child("datastore");
  return datastore ? DatastoreOf(datastore)
                   : (choice.first_child() ? Named(choice.first_child().name()) : std::nullopt);
}

netconf::Error ToError(const RpcError& error) {
  netconf::Error result{error.type, error.tag, error.app_tag, error.path, error.message, {}};
  // A value that is wrong may be megabytes long, and stands in the message.
  if (result.message.size() > kMaxMessage) {
    result.message = absl::StrCat(result.message.substr(0, kMaxMessage), "...");
  }
  if (error.tag == "lock-denied") result.info = {{"session-id", absl::StrCat(error.session)}};
  return result;
}

netconf::Reply ToReply(const RpcErrors& errors) {
  netconf::Reply reply;
  for (const RpcError& error : errors) reply.errors.push_back(ToError(error));
  return reply;
}

netconf::Reply Refuse(std::string tag, std::string message) {
  return netconf::Reply::Refuse(
      {{.type = "protocol", .tag = std::move(tag), .message = std::move(message)}});
}

}  // namespace portolan::config
