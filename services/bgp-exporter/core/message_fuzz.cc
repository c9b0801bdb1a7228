// Fuzz target: any octets, cut into messages as a session does it. Must neither crash nor read
// outside its input; what is accepted as an OPEN survives encoding and decoding.
#include <cstdlib>

#include "services/bgp-exporter/core/message.h"

namespace {

using portolan::bgp::Decode;
using portolan::bgp::Decoded;
using portolan::bgp::DecodeOpen;
using portolan::bgp::Frame;
using portolan::bgp::Message;
using portolan::bgp::NextFrame;
using portolan::bgp::Octets;
using portolan::bgp::Open;

void CheckOpen(const Open& open) {
  // Only families that we do not know: not written again, so not the same afterwards.
  if (open.families.has_value() && open.families->empty()) return;
  const std::string again = EncodeOpen(open);
  const auto frame = NextFrame(portolan::bgp::AsOctets(again));
  if (!frame.has_value() || !std::holds_alternative<Frame>(*frame)) abort();
  const Decoded<Open> decoded = DecodeOpen(std::get<Frame>(*frame).body);
  if (!std::holds_alternative<Open>(decoded) || std::get<Open>(decoded) != open) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Octets rest(data, size);
  while (true) {
    const auto frame = NextFrame(rest);
    if (!frame.has_value() || !std::holds_alternative<Frame>(*frame)) return 0;
    const Frame& whole = std::get<Frame>(*frame);
    for (const bool four_octet_as : {false, true}) {
      const Decoded<Message> decoded = Decode(whole, four_octet_as);
      if (!std::holds_alternative<Message>(decoded)) continue;
      const Message& message = std::get<Message>(decoded);
      if (const auto* open = std::get_if<Open>(&message)) CheckOpen(*open);
      if (const auto* said = std::get_if<portolan::bgp::Notification>(&message)) Describe(*said);
    }
    rest.remove_prefix(whole.size);
  }
}
