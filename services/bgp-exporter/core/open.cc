// OPEN and its optional parameters: RFC 4271 section 4.2, RFC 5492, RFC 9072.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/bgp-exporter/core/message.h"

namespace portolan::bgp {
namespace {

constexpr uint8_t kVersion = 4;
constexpr uint8_t kCapabilitiesParameter = 2;
constexpr uint8_t kExtendedParameters = 255;  // RFC 9072 section 2

constexpr uint8_t kMultiprotocol = 1;
constexpr uint8_t kRouteRefreshCapability = 2;
constexpr uint8_t kExtendedNextHop = 5;
constexpr uint8_t kGracefulRestart = 64;
constexpr uint8_t kFourOctetAs = 65;

ProtocolError OpenProblem(uint8_t subcode, std::string text, std::string data = "") {
  return {{kOpenError, subcode, std::move(data)}, std::move(text)};
}

ProtocolError BadCapability(uint8_t code, size_t length) {
  return OpenProblem(0, absl::StrCat("capability ", code, " has a wrong length of ", length));
}

void AddFamily(net::Family family, std::vector<net::Family>& families) {
  if (std::find(families.begin(), families.end(), family) == families.end()) {
    families.push_back(family);
  }
}

bool ReadMultiprotocol(ByteReader in, Open& open) {
  const uint16_t afi = in.U16();
  in.U8();  // reserved
  const uint8_t safi = in.U8();
  if (!in.ok() || !in.empty()) return false;
  if (!open.families) open.families.emplace();
  if (const auto family = UnicastFamily(afi, safi)) AddFamily(*family, *open.families);
  return true;
}

bool ReadExtendedNextHop(ByteReader in, Open& open) {
  if (in.remaining() % 6 != 0) return false;
  while (!in.empty()) {
    const uint16_t afi = in.U16();
    const uint16_t safi = in.U16();
    const uint16_t next_hop_afi = in.U16();
    if (afi == 1 && safi == 1 && next_hop_afi == 2) open.ipv4_over_ipv6_hop = true;
  }
  return true;
}

// Once each; the last one counts.
void SetFamilyState(const GracefulRestart::FamilyState& state, GracefulRestart& restart) {
  for (GracefulRestart::FamilyState& known : restart.families) {
    if (known.family == state.family) {
      known = state;
      return;
    }
  }
  restart.families.push_back(state);
}

bool ReadGracefulRestart(ByteReader in, Open& open) {
  if (in.remaining() < 2 || in.remaining() % 4 != 2) return false;
  GracefulRestart restart;
  const uint16_t flags_and_time = in.U16();
  restart.restarting = (flags_and_time & 0x8000) != 0;
  restart.restart_time_s = flags_and_time & 0x0fff;
  while (!in.empty()) {
    const uint16_t afi = in.U16();
    const uint8_t safi = in.U8();
    const bool kept = (in.U8() & 0x80) != 0;
    if (const auto family = UnicastFamily(afi, safi)) SetFamilyState({*family, kept}, restart);
  }
  open.graceful_restart = std::move(restart);  // the last one counts, RFC 4724 section 3
  return true;
}

bool ReadCapability(uint8_t code, Octets value, Open& open) {
  switch (code) {
    case kMultiprotocol:
      return ReadMultiprotocol(ByteReader(value), open);
    case kRouteRefreshCapability:
      open.route_refresh = true;
      return value.empty();
    case kExtendedNextHop:
      return ReadExtendedNextHop(ByteReader(value), open);
    case kGracefulRestart:
      return ReadGracefulRestart(ByteReader(value), open);
    case kFourOctetAs:
      open.four_octet_as = true;
      open.as_number = ByteReader(value).U32();
      return value.size() == 4;
    default:
      return true;  // RFC 5492 section 4: ignored
  }
}

std::optional<ProtocolError> ReadCapabilities(Octets octets, Open& open) {
  ByteReader in(octets);
  while (!in.empty()) {
    const uint8_t code = in.U8();
    const uint8_t length = in.U8();
    const Octets value = in.Take(length);
    if (!in.ok()) return OpenProblem(0, absl::StrCat("capability ", code, " is cut off"));
    if (!ReadCapability(code, value, open)) return BadCapability(code, length);
  }
  return std::nullopt;
}

std::optional<ProtocolError> ReadParameters(ByteReader in, Open& open) {
  const uint8_t length = in.U8();
  bool extended = false;
  size_t total = length;
  if (length != 0 && in.remaining() >= 3) {
    ByteReader probe = in;  // the old length is ignored when the first type is 255
    if (probe.U8() == kExtendedParameters) {
      extended = true;
      total = probe.U16();
      in = probe;
    }
  }
  if (!in.ok() || in.remaining() != total) {
    return OpenProblem(0, absl::StrCat("optional parameters have length ", total, ", but ",
                                       in.remaining(), " octets follow"));
  }
  while (!in.empty()) {
    const uint8_t type = in.U8();
    const size_t size = extended ? in.U16() : in.U8();
    const Octets value = in.Take(size);
    if (!in.ok()) return OpenProblem(0, absl::StrCat("optional parameter ", type, " is cut off"));
    if (type != kCapabilitiesParameter) {
      return OpenProblem(4, absl::StrCat("optional parameter ", type, " is unknown"));
    }
    if (auto error = ReadCapabilities(value, open)) return error;
  }
  return std::nullopt;
}

void WriteCapability(uint8_t code, absl::string_view value, ByteWriter& out) {
  out.U8(code);
  out.U8(static_cast<uint8_t>(value.size()));
  out.Append(value);
}

std::string GracefulRestartValue(const GracefulRestart& restart) {
  ByteWriter value;
  value.U16(
      static_cast<uint16_t>((restart.restarting ? 0x8000 : 0) | (restart.restart_time_s & 0x0fff)));
  for (const GracefulRestart::FamilyState& state : restart.families) {
    value.U16(AfiOf(state.family));
    value.U8(1);
    value.U8(state.forwarding_kept ? 0x80 : 0);
  }
  return value.Release();
}

std::string Capabilities(const Open& open) {
  ByteWriter out;
  if (open.families.has_value()) {
    for (const net::Family family : *open.families) {
      ByteWriter value;
      value.U16(AfiOf(family));
      value.U8(0);
      value.U8(1);
      WriteCapability(kMultiprotocol, value.octets(), out);
    }
  }
  if (open.route_refresh) WriteCapability(kRouteRefreshCapability, "", out);
  if (open.ipv4_over_ipv6_hop) {
    ByteWriter value;
    for (const uint16_t number : {1, 1, 2}) value.U16(number);
    WriteCapability(kExtendedNextHop, value.octets(), out);
  }
  if (open.graceful_restart.has_value()) {
    WriteCapability(kGracefulRestart, GracefulRestartValue(*open.graceful_restart), out);
  }
  if (open.four_octet_as) {
    ByteWriter value;
    value.U32(open.as_number);
    WriteCapability(kFourOctetAs, value.octets(), out);
  }
  return out.Release();
}

}  // namespace

Decoded<Open> DecodeOpen(Octets body) {
  ByteReader in(body);
  const uint8_t version = in.U8();
  Open open;
  const uint16_t two_octet_as = in.U16();
  open.hold_time_s = in.U16();
  open.router_id = in.U32();
  if (version != kVersion) {
    return OpenProblem(kUnsupportedVersion, absl::StrCat("BGP version ", version, ", we speak 4"),
                       std::string("\0\4", 2));
  }
  open.as_number = two_octet_as;
  if (auto error = ReadParameters(in, open)) return *std::move(error);
  if (open.as_number == 0) return OpenProblem(kBadPeerAs, "the peer says AS 0 (RFC 7607)");
  if (open.router_id == 0) return OpenProblem(kBadIdentifier, "the BGP identifier is 0.0.0.0");
  if (open.hold_time_s == 1 || open.hold_time_s == 2) {
    return OpenProblem(kUnacceptableHoldTime,
                       absl::StrCat("hold time ", open.hold_time_s, " s is below 3 s"));
  }
  return open;
}

std::string EncodeOpen(const Open& open) {
  ByteWriter out;
  out.U8(kVersion);
  out.U16(static_cast<uint16_t>(open.as_number > 0xffff ? kAsTrans : open.as_number));
  out.U16(open.hold_time_s);
  out.U32(open.router_id);
  const std::string capabilities = Capabilities(open);  // always far below 253 octets
  if (capabilities.empty()) {
    out.U8(0);
  } else {
    out.U8(static_cast<uint8_t>(capabilities.size() + 2));
    out.U8(kCapabilitiesParameter);
    out.U8(static_cast<uint8_t>(capabilities.size()));
    out.Append(capabilities);
  }
  return WithHeader(MessageType::kOpen, out.octets());
}

}  // namespace portolan::bgp
