#include "services/datapath-loader/shell/frame_view.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <utility>

#include "services/datapath-loader/shell/directory.h"

namespace portolan::datapath {
namespace {

constexpr uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd, kVlan = 0x8100, kServiceVlan = 0x88a8;

// Big-endian reading with a sticky end: what is not there is 0.
class Bytes {
 public:
  explicit Bytes(absl::string_view bytes) : bytes_(bytes) {}
  uint8_t Byte(size_t at) {
    if (at < bytes_.size()) return bytes_[at];
    beyond_ = true;
    return 0;
  }
  uint16_t Word(size_t at) { return Byte(at) << 8 | Byte(at + 1); }
  uint32_t Long(size_t at) { return static_cast<uint32_t>(Word(at)) << 16 | Word(at + 2); }
  net::IpAddress Address(size_t at, size_t size) {
    uint8_t octets[16] = {};
    for (size_t i = 0; i < size; i++) octets[i] = Byte(at + i);
    return *net::IpAddress::FromBytes(absl::MakeConstSpan(octets, size));
  }
  bool beyond() const { return beyond_; }

 private:
  const absl::string_view bytes_;
  bool beyond_ = false;
};

bool HasPorts(uint8_t protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

// An IP header: where the next one begins, and whether ports can follow.
struct IpHeader {
  net::IpAddress source, destination;
  uint8_t protocol = 0;
  size_t next = 0;
  bool is_later = false;
  std::optional<uint32_t> fragment_id;
};

IpHeader ReadIp(Bytes& bytes, size_t at, bool ipv6) {
  IpHeader header;
  if (!ipv6) {
    const uint16_t fragment = bytes.Word(at + 6);
    header.source = bytes.Address(at + 12, 4);
    header.destination = bytes.Address(at + 16, 4);
    header.protocol = bytes.Byte(at + 9);
    header.next = at + (bytes.Byte(at) & 15) * 4;
    header.is_later = fragment & 0x1fff;
    if (fragment & 0x3fff) header.fragment_id = htons(bytes.Word(at + 4));
    return header;
  }
  header.source = bytes.Address(at + 8, 16);
  header.destination = bytes.Address(at + 24, 16);
  header.protocol = bytes.Byte(at + 6);
  header.next = at + 40;
  if (header.protocol != IPPROTO_FRAGMENT) return header;
  header.protocol = bytes.Byte(at + 40);
  header.is_later = bytes.Word(at + 42) & 0xfff8;
  header.fragment_id = htonl(bytes.Long(at + 44));
  header.next = at + 48;
  return header;
}

bool IsError(uint8_t protocol, uint8_t type) {
  if (protocol == IPPROTO_ICMP) return type == 3 || type == 11 || type == 12;
  return protocol == IPPROTO_ICMPV6 && type >= 1 && type <= 4;
}

}  // namespace

std::optional<FrameView> ViewFrame(absl::string_view frame) {
  Bytes bytes(frame);
  size_t at = 12;
  uint16_t type = bytes.Word(at);
  for (int tags = 0; tags < 2 && (type == kVlan || type == kServiceVlan); tags++) {
    at += 4;
    type = bytes.Word(at);
  }
  if (type != kIpv4 && type != kIpv6) return std::nullopt;
  const IpHeader ip = ReadIp(bytes, at + 2, type == kIpv6);
  FrameView view{.source = ip.source,
                 .destination = ip.destination,
                 .protocol = ip.protocol,
                 .flow_source = ip.source,
                 .flow_destination = ip.destination,
                 .flow_protocol = ip.protocol};
  view.fragment_id = ip.fragment_id;
  size_t ports = ip.next;
  view.has_ports = HasPorts(ip.protocol) && !ip.is_later;
  if (!ip.is_later && IsError(ip.protocol, bytes.Byte(ip.next))) {
    const IpHeader quoted = ReadIp(bytes, ip.next + 8, type == kIpv6);
    view.is_error = true;
    view.flow_source = quoted.destination;
    view.flow_destination = quoted.source;
    view.flow_protocol = quoted.protocol;
    view.has_ports = HasPorts(quoted.protocol);
    ports = quoted.next;
  }
  if (view.has_ports) {
    view.source_port = bytes.Word(ports);
    view.destination_port = bytes.Word(ports + 2);
    if (view.is_error) std::swap(view.source_port, view.destination_port);
  }
  if (bytes.beyond()) return std::nullopt;
  return view;
}

portolan_flow_key4 FrameView::Key4() const {
  __be32 from[4], to[4];
  PutAddress(flow_source, from);
  PutAddress(flow_destination, to);
  portolan_flow_key4 key{};
  key.saddr = from[0];
  key.daddr = to[0];
  key.sport = htons(source_port);
  key.dport = htons(destination_port);
  key.protocol = flow_protocol;
  return key;
}

portolan_flow_key6 FrameView::Key6() const {
  portolan_flow_key6 key{};
  PutAddress(flow_source, key.saddr);
  PutAddress(flow_destination, key.daddr);
  key.sport = htons(source_port);
  key.dport = htons(destination_port);
  key.protocol = flow_protocol;
  return key;
}

portolan_fragment_key FrameView::FragmentKey() const {
  portolan_fragment_key key{};
  PutAddress(source, key.saddr);
  PutAddress(destination, key.daddr);
  key.id = fragment_id.value_or(0);
  key.protocol = protocol;
  key.family = is_ipv6() ? PORTOLAN_FAMILY_IPV6 : PORTOLAN_FAMILY_IPV4;
  return key;
}

}  // namespace portolan::datapath
