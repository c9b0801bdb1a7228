// Reads the settings of built-in stages: a JSON object whose members are whole numbers.
//
// Strict, so that a slip of the pen is not silently a default: a member that the stage does not
// know, or a number that does not fit, is INVALID_ARGUMENT and named. A number may be text, as
// 64-bit numbers of YANG are in JSON (RFC 7951, section 6.1). Pure; any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace portolan::plugin {

struct NumberSetting {
  absl::string_view name;
  std::optional<uint64_t>* value;  // stays as it is when the settings do not name it
  uint64_t max = std::numeric_limits<uint64_t>::max();
};

// "" and white space are an empty object. `stage` is named in the error.
absl::Status ReadSettings(absl::string_view stage, absl::string_view settings,
                          absl::Span<const NumberSetting> known);

}  // namespace portolan::plugin
