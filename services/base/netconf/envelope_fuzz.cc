// Fuzz target: any text as the beginning of a message. A start tag that is found, written again, is
// found again as the same; and what follows the first tags changes nothing.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/base/netconf/envelope.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using portolan::netconf::Envelope;
  using portolan::netconf::ReadEnvelope;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::optional<Envelope> envelope = ReadEnvelope(text);
  if (!envelope.has_value()) return 0;
  if (text.find(envelope->start_tag) == std::string::npos) abort();
  if (envelope->start_tag.rfind(envelope->tag_name, 0) != 0) abort();
  const std::optional<Envelope> again =
      ReadEnvelope(absl::StrCat("<", envelope->start_tag, "></", envelope->tag_name, ">"));
  if (!again.has_value() || again->root != envelope->root ||
      again->start_tag != envelope->start_tag || again->operation.has_value() ||
      again->has_message_id != envelope->has_message_id) {
    abort();
  }
  if (!envelope->operation.has_value()) return 0;
  const std::optional<Envelope> longer = ReadEnvelope(text + "<more/>");
  if (!longer.has_value() || longer->operation != envelope->operation) abort();
  return 0;
}
