#include "plugins/sdk/settings.h"

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace portolan::plugin {
namespace {

using Json = nlohmann::json;

// 64-bit numbers of YANG are text in JSON (RFC 7951, section 6.1).
std::optional<uint64_t> NumberOf(const Json& json) {
  uint64_t number = 0;
  if (json.is_number_unsigned()) return json.get<uint64_t>();
  if (!json.is_string() || !absl::SimpleAtoi(json.get<std::string>(), &number)) return std::nullopt;
  return number;
}

absl::Status ReadNumber(const std::string& subject, const Json& json, const NumberSetting& known) {
  const std::optional<uint64_t> number = NumberOf(json);
  if (!number.has_value() || *number > known.max) {
    return absl::InvalidArgumentError(
        absl::StrCat(subject, ": \"", known.name, "\" must be a whole number from 0 to ", known.max,
                     ", not ", json.dump(-1, ' ', true, Json::error_handler_t::replace)));
  }
  *known.value = *number;
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadSettings(absl::string_view stage, absl::string_view settings,
                          absl::Span<const NumberSetting> known) {
  const std::string subject = absl::StrCat("settings of plugin \"", stage, "\"");
  const absl::string_view text = absl::StripAsciiWhitespace(settings);
  if (text.empty()) return absl::OkStatus();
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const std::string names =
      absl::StrJoin(known, ", ", [](std::string* out, const NumberSetting& setting) {
        absl::StrAppend(out, "\"", setting.name, "\"");
      });
  if (!json.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(subject, ": not a JSON object; write {} or set ", names, " in it"));
  }
  for (const auto& [name, value] : json.items()) {
    const NumberSetting* setting = nullptr;
    for (const NumberSetting& candidate : known) {
      if (candidate.name == name) setting = &candidate;
    }
    if (setting == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          subject, ": there is no \"", absl::CHexEscape(name.substr(0, 64)), "\", only ", names));
    }
    if (absl::Status status = ReadNumber(subject, value, *setting); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace portolan::plugin
