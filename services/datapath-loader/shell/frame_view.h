// An Ethernet frame as far as a simulation wants to know it: which entries of the flow tables it
// can touch, and what to call it. Decides nothing; the programs parse for themselves
// (bpf/lib/packet.h). Pure, for any bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "bpf/include/datapath_maps.h"
#include "services/base/net/ip_address.h"

namespace portolan::datapath {

struct FrameView {
  net::IpAddress source;
  net::IpAddress destination;
  uint8_t protocol = 0;
  // Of the flow that it belongs to. An ICMP error belongs to that of the answers to the packet that
  // it quotes; a later fragment has no ports by itself.
  net::IpAddress flow_source;
  net::IpAddress flow_destination;
  uint8_t flow_protocol = 0;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  bool has_ports = false;
  bool is_error = false;
  std::optional<uint32_t> fragment_id;  // of a fragment

  bool is_ipv6() const { return destination.is_ipv6(); }
  portolan_flow_key4 Key4() const;
  portolan_flow_key6 Key6() const;
  portolan_fragment_key FragmentKey() const;
};

// Nothing: not IPv4 or IPv6, behind up to two VLAN tags, or shorter than its headers.
std::optional<FrameView> ViewFrame(absl::string_view frame);

}  // namespace portolan::datapath
