#include "services/datapath-loader/core/types.h"

#include "absl/strings/str_cat.h"

namespace portolan::datapath {

std::string ProtocolName(uint8_t protocol) {
  switch (protocol) {
    case kTcp:
      return "tcp";
    case kUdp:
      return "udp";
    case kSctp:
      return "sctp";
    default:
      return absl::StrCat("protocol-", protocol);
  }
}

bool IsCarried(const ServicePort& port) {
  return port.port != 0 &&
         (port.protocol == kTcp || port.protocol == kUdp || port.protocol == kSctp);
}

std::string FrontendKey::ToString() const {
  return absl::StrCat(address.ToString(), "/", ProtocolName(protocol), "/", port);
}

}  // namespace portolan::datapath
