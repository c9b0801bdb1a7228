// Fuzz target: any octets as what a client sends, a hello of the first octet's version before them.
// However they are cut, the library gets the same; what it gets is well framed, and each message
// has a start tag or is the one that stands for bad XML.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/netconf/intake.h"

namespace {

using portolan::netconf::Deframer;
using portolan::netconf::ElementName;
using portolan::netconf::Error;
using portolan::netconf::Intake;
using portolan::netconf::ReadEnvelope;
using portolan::netconf::Version;

struct Result {
  bool goes_on = true;
  std::string ready;
  int refused = 0;
  friend bool operator==(const Result&, const Result&) = default;
};

Result Feed(Version version, absl::string_view octets, size_t piece) {
  Result result;
  Intake intake({.read_hello = [&](const std::string&) { return version; },
                 .check_operation = [](const ElementName& operation) -> std::optional<Error> {
                   if (operation.name.size() % 2 == 0) return std::nullopt;
                   return Error{.tag = "operation-not-supported"};
                 },
                 .refuse = [&](Error) { return absl::StrCat("refused:", ++result.refused); },
                 .max_message = [] { return Deframer::kHead; }});
  if (!intake.Feed("]]>]]>")) abort();
  intake.ready().Clear();
  while (!octets.empty() && result.goes_on) {
    result.goes_on = intake.Feed(octets.substr(0, piece));
    octets.remove_prefix(std::min(piece, octets.size()));
  }
  result.ready = std::string(intake.ready());
  return result;
}

void CheckReady(Version version, absl::string_view ready) {
  Deframer deframer;
  deframer.SetVersion(version);
  while (!ready.empty()) {
    // Nothing is left over behind the last message.
    if (deframer.Feed(&ready) != Deframer::Step::kMessage) abort();
    const std::string text(deframer.Take().text);
    if (text != "<" && !ReadEnvelope(text).has_value()) abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Version version = data[0] % 2 == 0 ? Version::k10 : Version::k11;
  const absl::string_view octets(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Result whole = Feed(version, octets, octets.size() + 1);
  // In up to 64 pieces, which is dear; the shorter the octets, the more of all cuts are tried.
  const size_t piece = 1 + octets.size() / 64;
  if (Feed(version, octets, piece) != whole) abort();
  CheckReady(version, whole.ready);
  return 0;
}
