// Packets for tests: described as a value, built byte by byte with full checksums, so that what a
// program made of one can be compared with the packet that it should have made.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace portolan::bpf {

// An IPv6 extension header. Its octets are 0 but for those that a routing header has.
struct Extension {
  uint8_t type = 0;   // 0: hop-by-hop options, 43: routing, 60: destination options
  uint8_t units = 0;  // of eight octets, behind the first
  uint8_t segments_left = 0;
};

struct PacketSpec {
  bool ipv6 = false;
  std::string source = "192.0.2.7";  // text, of the family that `ipv6` says
  std::string destination = "20.0.10.1";
  uint16_t source_port = 40000;
  uint16_t destination_port = 80;
  uint8_t protocol = 6;
  uint8_t tcp_flags = 0x02;  // SYN
  uint32_t sequence = 0x01020304;
  uint32_t acknowledgement = 0x05060708;
  uint16_t window = 0x2000;
  uint8_t ttl = 64;
  int option_words = 0;               // IPv4: this many no-operation words behind the header
  std::vector<Extension> extensions;  // IPv6: before a fragment header
  uint16_t fragment = 0;  // flags and offset as IPv4 has them, in IPv6 a header of its own
  uint16_t fragment_id = 0x1234;
  bool zero_checksum = false;     // UDP: the sender has not summed
  bool partial_checksum = false;  // only the pseudo-header is summed, as a local sender leaves it
  uint8_t chunk = 1;              // SCTP: type of the first chunk; INIT
  uint16_t ethertype = 0;         // 0: by the family
  std::vector<uint16_t> vlans;    // tags of the frame, the outer one first
  uint8_t payload_byte = 0x5a;
  int payload_length = 32;
  // Of the frame; the destination is what the tests' interface has.
  uint8_t destination_mac[6] = {0x02, 0, 0, 0, 0, 1};
  uint8_t source_mac[6] = {0x02, 0, 0, 0, 0, 2};
};

using Bytes = std::vector<uint8_t>;

Bytes Build(const PacketSpec& spec);

// The packet in two fragments, the first with `first` octets behind the IP header; a multiple of 8.
std::pair<Bytes, Bytes> BuildFragments(PacketSpec spec, size_t first);

// A frame with the addresses and IP header of `outer`, around `payload` of `protocol`.
Bytes BuildAround(PacketSpec outer, uint8_t protocol, const Bytes& payload);

// An ICMP or ICMPv6 message with the addresses, options and TTL of `outer`; `body` is what stands
// behind the checksum.
Bytes BuildIcmp(PacketSpec outer, uint8_t type, uint8_t code, const Bytes& body);
// The body of an ICMP error about `packet`: four octets, its IP header, `l4` octets of the rest.
Bytes Quote(const PacketSpec& packet, size_t l4);

// What is asked of, or said about, an address on a LAN. The frame carries `vlans`, outermost first.
struct NeighbourSpec {
  bool ipv6 = false;
  std::string sender = "192.0.2.7";  // unspecified: a probe
  std::string target = "20.0.10.1";
  std::string destination;  // IPv6; empty: the target's solicited-node group
  uint8_t operation = 1;    // ARP; of the ICMPv6 message the type is 134 + this
  uint8_t hop_limit = 255;  // IPv6, as the next ones
  uint32_t flags = 0;       // of an advertisement
  Bytes options;            // behind the target
  std::vector<uint16_t> vlans;
  uint16_t tag_type = 0x8100;
  Bytes destination_mac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  Bytes source_mac = {0x02, 0, 0, 0, 0, 2};
  Bytes sender_mac = {0x02, 0, 0, 0, 0, 2};  // in the ARP message, as the next one
  Bytes target_mac = {0, 0, 0, 0, 0, 0};
};
Bytes BuildNeighbour(const NeighbourSpec& spec);

// The 16 bytes of an address as the maps hold it: IPv4 in the first four, the rest 0.
void AddressWords(bool ipv6, const std::string& text, uint32_t words[4]);

}  // namespace portolan::bpf
