#include "services/l2-announcer/core/frame.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"

namespace portolan::l2 {
namespace {

using net::IpAddress;
using net::MacAddress;

constexpr uint16_t kArpEtherType = 0x0806;
constexpr uint16_t kIpv6EtherType = 0x86dd;
constexpr size_t kEthernetHeader = 14;
constexpr size_t kMinimumFrame = 60;
constexpr size_t kIpv6Header = 40;
constexpr size_t kNeighborHeader = 24;  // up to the options
constexpr uint8_t kIcmpv6 = 58;
constexpr uint8_t kSolicitation = 135;
constexpr uint8_t kAdvertisement = 136;
constexpr uint8_t kSourceLinkOption = 1;
constexpr uint8_t kTargetLinkOption = 2;
constexpr uint32_t kMagic = 0x50544c4e;  // "PTLN"
constexpr uint8_t kVersion = 1;
constexpr size_t kHeartbeatHeader = 24;
constexpr size_t kHeardEntry = 9;
constexpr uint8_t kReadyFlag = 1;
constexpr uint8_t kFitFlag = 2;
constexpr uint8_t kLeavingFlag = 4;

using Octets = absl::Span<const uint8_t>;

uint64_t Number(Octets octets, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value = (value << 8) | octets[at + i];
  return value;
}

MacAddress Mac(Octets octets, size_t at) {
  MacAddress mac;
  std::copy_n(octets.begin() + at, mac.octets.size(), mac.octets.begin());
  return mac;
}

IpAddress Ip(Octets octets, size_t at, size_t size) {
  absl::uint128 value = 0;
  for (size_t i = 0; i < size; ++i) value = (value << 8) | octets[at + i];
  return IpAddress::FromValue(size == 4 ? net::Family::kIpv4 : net::Family::kIpv6, value);
}

void PutNumber(std::vector<uint8_t>& out, uint64_t value, size_t size) {
  for (size_t i = size; i-- > 0;) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

void PutMac(std::vector<uint8_t>& out, const MacAddress& mac) {
  out.insert(out.end(), mac.octets.begin(), mac.octets.end());
}

void PutIp(std::vector<uint8_t>& out, const IpAddress& address) {
  const std::string bytes = address.ToBytes();
  out.insert(out.end(), bytes.begin(), bytes.end());
}

absl::Status Bad(absl::string_view what) { return absl::InvalidArgumentError(what); }

Standing StandingOf(uint8_t flags) {
  return {.ready = (flags & kReadyFlag) != 0, .fit = (flags & kFitFlag) != 0};
}

uint8_t FlagsOf(const Standing& standing) {
  return (standing.ready ? kReadyFlag : 0) | (standing.fit ? kFitFlag : 0);
}

absl::StatusOr<Frame> DecodeArp(Octets octets) {
  constexpr size_t kSize = 28;
  const Octets arp = octets.subspan(kEthernetHeader);
  if (arp.size() < kSize) return Bad("ARP: truncated");
  if (Number(arp, 0, 2) != 1) return Bad("ARP: hardware type is not Ethernet");
  if (Number(arp, 2, 2) != 0x0800) return Bad("ARP: protocol type is not IPv4");
  if (arp[4] != 6 || arp[5] != 4) return Bad("ARP: address lengths are not 6 and 4");
  const uint64_t operation = Number(arp, 6, 2);
  if (operation != 1 && operation != 2) return Bad("ARP: operation is not request or reply");
  ArpFrame frame{.destination = Mac(octets, 0),
                 .source = Mac(octets, 6),
                 .operation = static_cast<ArpFrame::Operation>(operation),
                 .sender_mac = Mac(arp, 8),
                 .sender_ip = Ip(arp, 14, 4),
                 .target_mac = Mac(arp, 18),
                 .target_ip = Ip(arp, 24, 4)};
  if (frame.sender_mac.IsMulticast()) return Bad("ARP: sender hardware address is a group");
  return frame;
}

// Sum of 16-bit words with the pseudo-header (RFC 8200 8.1); 0xffff when the checksum is right.
uint16_t Icmpv6Sum(Octets addresses, Octets message) {
  uint64_t sum = message.size() + kIcmpv6;
  for (Octets part : {addresses, message}) {
    for (size_t i = 0; i + 1 < part.size(); i += 2) sum += Number(part, i, 2);
    if (part.size() % 2 != 0) sum += part.back() << 8;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// The link-layer address in the options, if there is one; options after it are checked, too.
absl::StatusOr<std::optional<MacAddress>> LinkOption(Octets options, uint8_t wanted) {
  std::optional<MacAddress> found;
  while (!options.empty()) {
    if (options.size() < 8) return Bad("ND: truncated option");
    const size_t size = size_t{8} * options[1];
    if (size == 0) return Bad("ND: option of length zero");
    if (size > options.size()) return Bad("ND: truncated option");
    if (options[0] == wanted && size == 8) found = Mac(options, 2);
    options.remove_prefix(size);
  }
  return found;
}

// RFC 4861 7.1.1.
absl::StatusOr<Frame> CheckedSolicitation(NeighborSolicitation frame) {
  if (frame.source_ip.IsUnspecified()) {
    if (frame.source_link.has_value()) {
      return Bad("ND: a solicitation without source has a source link-layer address");
    }
    if (frame.destination_ip != SolicitedNodeGroup(frame.target)) {
      return Bad("ND: a solicitation without source goes to the wrong group");
    }
  }
  return frame;
}

// RFC 4861 7.1.2.
absl::StatusOr<Frame> CheckedAdvertisement(NeighborAdvertisement frame) {
  if (frame.destination_ip.IsMulticast() && frame.solicited) {
    return Bad("ND: a solicited advertisement to a group");
  }
  return frame;
}

absl::StatusOr<Frame> DecodeNeighbor(Octets octets) {
  Octets ip = octets.subspan(kEthernetHeader);
  if (ip.size() < kIpv6Header) return Bad("IPv6: truncated");
  if (ip[0] >> 4 != 6) return Bad("IPv6: wrong version");
  if (ip[6] != kIcmpv6) return Bad("IPv6: not ICMPv6");
  if (ip[7] != 255) return Bad("ND: hop limit is not 255");
  const size_t length = Number(ip, 4, 2);
  if (ip.size() - kIpv6Header < length) return Bad("IPv6: truncated payload");
  const Octets message = ip.subspan(kIpv6Header, length);
  if (message.size() < kNeighborHeader) return Bad("ND: truncated");
  if (Icmpv6Sum(ip.subspan(8, 32), message) != 0xffff) return Bad("ND: wrong checksum");
  const uint8_t type = message[0];
  if (type != kSolicitation && type != kAdvertisement) return Bad("ICMPv6: not NS or NA");
  if (message[1] != 0) return Bad("ND: code is not 0");
  const IpAddress target = Ip(message, 8, 16);
  if (target.IsMulticast()) return Bad("ND: target is a group");
  ASSIGN_OR_RETURN(std::optional<MacAddress> link,
                   LinkOption(message.subspan(kNeighborHeader),
                              type == kSolicitation ? kSourceLinkOption : kTargetLinkOption));
  if (type == kSolicitation) {
    return CheckedSolicitation({.destination = Mac(octets, 0),
                                .source = Mac(octets, 6),
                                .source_ip = Ip(ip, 8, 16),
                                .destination_ip = Ip(ip, 24, 16),
                                .target = target,
                                .source_link = link});
  }
  return CheckedAdvertisement({.destination = Mac(octets, 0),
                               .source = Mac(octets, 6),
                               .source_ip = Ip(ip, 8, 16),
                               .destination_ip = Ip(ip, 24, 16),
                               .target = target,
                               .router = (message[4] & 0x80) != 0,
                               .solicited = (message[4] & 0x40) != 0,
                               .overrides = (message[4] & 0x20) != 0,
                               .target_link = link});
}

absl::StatusOr<Frame> DecodeHeartbeat(Octets octets) {
  Octets body = octets.subspan(kEthernetHeader);
  if (body.size() < kHeartbeatHeader) return Bad("heartbeat: truncated");
  if (Number(body, 0, 4) != kMagic) return Bad("heartbeat: not ours");
  if (body[4] != kVersion) return Bad("heartbeat: unknown version");
  const size_t name = body[6];
  const size_t heard = body[7];
  if (name == 0 || name > kMaxNodeName) return Bad("heartbeat: length of the node name");
  if (heard > kMaxHeard) return Bad("heartbeat: length of the heard list");
  if (body.size() < kHeartbeatHeader + name + heard * kHeardEntry) {
    return Bad("heartbeat: truncated");
  }
  Heartbeat frame{.destination = Mac(octets, 0),
                  .source = Mac(octets, 6),
                  .life = Number(body, 8, 8),
                  .interval_ms = static_cast<uint32_t>(Number(body, 16, 4)),
                  .dead_interval_ms = static_cast<uint32_t>(Number(body, 20, 4)),
                  .standing = StandingOf(body[5]),
                  .leaving = (body[5] & kLeavingFlag) != 0};
  frame.node.assign(body.begin() + kHeartbeatHeader, body.begin() + kHeartbeatHeader + name);
  for (size_t i = 0, at = kHeartbeatHeader + name; i < heard; ++i, at += kHeardEntry) {
    frame.heard.push_back({Number(body, at, 8), StandingOf(body[at + 8])});
  }
  return frame;
}

void PutEthernet(std::vector<uint8_t>& out, const MacAddress& destination, const MacAddress& source,
                 uint16_t type) {
  PutMac(out, destination);
  PutMac(out, source);
  PutNumber(out, type, 2);
}

void Put(std::vector<uint8_t>& out, const ArpFrame& frame) {
  PutEthernet(out, frame.destination, frame.source, kArpEtherType);
  PutNumber(out, 1, 2);
  PutNumber(out, 0x0800, 2);
  PutNumber(out, 6, 1);
  PutNumber(out, 4, 1);
  PutNumber(out, static_cast<uint16_t>(frame.operation), 2);
  PutMac(out, frame.sender_mac);
  PutIp(out, frame.sender_ip);
  PutMac(out, frame.target_mac);
  PutIp(out, frame.target_ip);
}

// The IPv6 header and the ICMPv6 message, whose checksum is filled in here.
void PutNeighbor(std::vector<uint8_t>& out, const IpAddress& source, const IpAddress& destination,
                 std::vector<uint8_t> message) {
  std::vector<uint8_t> addresses;
  PutIp(addresses, source);
  PutIp(addresses, destination);
  const uint16_t checksum = ~Icmpv6Sum(addresses, message);
  message[2] = checksum >> 8;
  message[3] = checksum & 0xff;
  PutNumber(out, 0x60000000, 4);
  PutNumber(out, message.size(), 2);
  PutNumber(out, kIcmpv6, 1);
  PutNumber(out, 255, 1);
  out.insert(out.end(), addresses.begin(), addresses.end());
  out.insert(out.end(), message.begin(), message.end());
}

std::vector<uint8_t> NeighborMessage(uint8_t type, uint32_t flags, const IpAddress& target,
                                     uint8_t option, const std::optional<MacAddress>& link) {
  std::vector<uint8_t> message;
  PutNumber(message, uint64_t{type} << 24, 4);
  PutNumber(message, flags, 4);
  PutIp(message, target);
  if (link.has_value()) {
    PutNumber(message, option, 1);
    PutNumber(message, 1, 1);
    PutMac(message, *link);
  }
  return message;
}

void Put(std::vector<uint8_t>& out, const NeighborSolicitation& frame) {
  PutEthernet(out, frame.destination, frame.source, kIpv6EtherType);
  PutNeighbor(
      out, frame.source_ip, frame.destination_ip,
      NeighborMessage(kSolicitation, 0, frame.target, kSourceLinkOption, frame.source_link));
}

void Put(std::vector<uint8_t>& out, const NeighborAdvertisement& frame) {
  const uint32_t flags = (frame.router ? 0x80000000u : 0u) | (frame.solicited ? 0x40000000u : 0u) |
                         (frame.overrides ? 0x20000000u : 0u);
  PutEthernet(out, frame.destination, frame.source, kIpv6EtherType);
  PutNeighbor(
      out, frame.source_ip, frame.destination_ip,
      NeighborMessage(kAdvertisement, flags, frame.target, kTargetLinkOption, frame.target_link));
}

void Put(std::vector<uint8_t>& out, const Heartbeat& frame) {
  const std::string name = frame.node.substr(0, kMaxNodeName);
  const size_t heard = std::min(frame.heard.size(), kMaxHeard);
  PutEthernet(out, frame.destination, frame.source, kHeartbeatEtherType);
  PutNumber(out, kMagic, 4);
  PutNumber(out, kVersion, 1);
  PutNumber(out, FlagsOf(frame.standing) | (frame.leaving ? kLeavingFlag : 0), 1);
  PutNumber(out, name.size(), 1);
  PutNumber(out, heard, 1);
  PutNumber(out, frame.life, 8);
  PutNumber(out, frame.interval_ms, 4);
  PutNumber(out, frame.dead_interval_ms, 4);
  out.insert(out.end(), name.begin(), name.end());
  for (size_t i = 0; i < heard; ++i) {
    PutNumber(out, frame.heard[i].life, 8);
    PutNumber(out, FlagsOf(frame.heard[i].standing), 1);
  }
}

}  // namespace

absl::StatusOr<Frame> Decode(absl::Span<const uint8_t> octets) {
  if (octets.size() < kEthernetHeader) return Bad("Ethernet: truncated");
  if (Mac(octets, 6).IsMulticast()) return Bad("Ethernet: source address is a group");
  const uint64_t type = Number(octets, 12, 2);
  switch (type) {
    case kArpEtherType:
      return DecodeArp(octets);
    case kIpv6EtherType:
      return DecodeNeighbor(octets);
    case kHeartbeatEtherType:
      return DecodeHeartbeat(octets);
    default:
      return Bad(absl::StrCat("Ethernet: type 0x", absl::Hex(type, absl::kZeroPad4)));
  }
}

std::vector<uint8_t> Encode(const Frame& frame) {
  std::vector<uint8_t> out;
  out.reserve(128);
  std::visit([&out](const auto& value) { Put(out, value); }, frame);
  if (out.size() < kMinimumFrame) out.resize(kMinimumFrame, 0);
  return out;
}

net::IpAddress SolicitedNodeGroup(const net::IpAddress& address) {
  const absl::uint128 prefix = absl::MakeUint128(0xff02000000000000u, 0x00000001ff000000u);
  return IpAddress::FromValue(net::Family::kIpv6, prefix | (address.value() & 0xffffff));
}

net::MacAddress MulticastMac(const net::IpAddress& group) {
  const uint64_t low = absl::Uint128Low64(group.value());
  MacAddress mac{{0x33, 0x33}};
  for (size_t i = 0; i < 4; ++i) mac.octets[2 + i] = static_cast<uint8_t>(low >> (8 * (3 - i)));
  return mac;
}

net::IpAddress AllNodesGroup() {
  return IpAddress::FromValue(net::Family::kIpv6, absl::MakeUint128(0xff02000000000000u, 1));
}

}  // namespace portolan::l2
