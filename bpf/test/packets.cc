#include "bpf/test/packets.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace portolan::bpf {
namespace {

uint32_t Sum(const uint8_t* data, size_t size, uint32_t sum) {
  for (size_t i = 0; i < size; i += 2) {
    sum += data[i] << 8;
    if (i + 1 < size) sum += data[i + 1];
  }
  return sum;
}

uint16_t Fold(uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

void Put16(uint8_t* at, uint16_t value) {
  at[0] = value >> 8;
  at[1] = value & 0xff;
}

void Append16(Bytes& bytes, uint16_t value) {
  bytes.push_back(value >> 8);
  bytes.push_back(value & 0xff);
}

Bytes AddressBytes(const PacketSpec& spec, const std::string& text) {
  uint32_t words[4];
  AddressWords(spec.ipv6, text, words);
  Bytes bytes(spec.ipv6 ? 16 : 4);
  memcpy(bytes.data(), words, bytes.size());
  return bytes;
}

Bytes BuildL4(const PacketSpec& spec) {
  Bytes l4;
  Append16(l4, spec.source_port);
  Append16(l4, spec.destination_port);
  size_t check_at = 6;
  if (spec.protocol == 6) {
    Append16(l4, spec.sequence >> 16);
    Append16(l4, spec.sequence);
    Append16(l4, spec.acknowledgement >> 16);
    Append16(l4, spec.acknowledgement);
    l4.insert(l4.end(), {0x50, spec.tcp_flags});
    Append16(l4, spec.window);
    l4.insert(l4.end(), {0, 0, 0, 0});
    check_at = 16;
  } else if (spec.protocol == 132) {
    l4.insert(l4.end(), {1, 2, 3, 4, 0xc3, 0x2c, 0xc3, 0x2c, spec.chunk, 0});
    Append16(l4, 4 + spec.payload_length);
  } else {
    Append16(l4, 8 + spec.payload_length);
    Append16(l4, 0);
  }
  for (int i = 0; i < spec.payload_length; i++) l4.push_back(spec.payload_byte + i);
  if (spec.protocol == 132 || (spec.protocol == 17 && spec.zero_checksum)) return l4;
  uint32_t sum = spec.protocol + l4.size();
  const Bytes source = AddressBytes(spec, spec.source);
  const Bytes destination = AddressBytes(spec, spec.destination);
  sum = Sum(source.data(), source.size(), sum);
  sum = Sum(destination.data(), destination.size(), sum);
  if (spec.partial_checksum) {
    Put16(&l4[check_at], Fold(sum));
    return l4;
  }
  uint16_t check = ~Fold(Sum(l4.data(), l4.size(), sum));
  if (spec.protocol == 17 && check == 0) check = 0xffff;
  Put16(&l4[check_at], check);
  return l4;
}

// Each names what follows it, the last one `next`.
Bytes BuildExtensions(const PacketSpec& spec, uint8_t next) {
  Bytes headers;
  for (size_t i = 0; i < spec.extensions.size(); i++) {
    const Extension& extension = spec.extensions[i];
    const bool last = i + 1 == spec.extensions.size();
    Bytes header(8 * (extension.units + 1));
    header[0] = last ? next : spec.extensions[i + 1].type;
    header[1] = extension.units;
    header[3] = extension.segments_left;
    headers.insert(headers.end(), header.begin(), header.end());
  }
  return headers;
}

// With the extension and fragment headers of IPv6.
Bytes BuildIp(const PacketSpec& spec, size_t payload) {
  const Bytes source = AddressBytes(spec, spec.source);
  const Bytes destination = AddressBytes(spec, spec.destination);
  Bytes ip, extensions;
  if (spec.ipv6) {
    const bool fragment = spec.fragment != 0;
    const uint8_t next = fragment ? 44 : spec.protocol;
    extensions = BuildExtensions(spec, next);
    ip = {0x60, 0, 0, 0};
    Append16(ip, extensions.size() + payload + (fragment ? 8 : 0));
    ip.push_back(extensions.empty() ? next : spec.extensions[0].type);
    ip.push_back(spec.ttl);
  } else {
    ip = {static_cast<uint8_t>(0x45 + spec.option_words), 0};
    Append16(ip, 20 + 4 * spec.option_words + payload);
    Append16(ip, spec.fragment_id);
    Append16(ip, spec.fragment);
    ip.push_back(spec.ttl);
    ip.push_back(spec.protocol);
    Append16(ip, 0);
  }
  ip.insert(ip.end(), source.begin(), source.end());
  ip.insert(ip.end(), destination.begin(), destination.end());
  if (!spec.ipv6) {
    ip.insert(ip.end(), 4 * spec.option_words, 1);
    Put16(&ip[10], ~Fold(Sum(ip.data(), ip.size(), 0)));
    return ip;
  }
  ip.insert(ip.end(), extensions.begin(), extensions.end());
  if (spec.fragment != 0) {
    ip.insert(ip.end(), {spec.protocol, 0});
    Append16(ip, (spec.fragment & 0x1fff) << 3 | (spec.fragment >> 13 & 1));
    Append16(ip, 0);
    Append16(ip, spec.fragment_id);
  }
  return ip;
}

Bytes Frame(const PacketSpec& spec, const Bytes& payload) {
  const Bytes ip = BuildIp(spec, payload.size());
  Bytes frame(spec.destination_mac, spec.destination_mac + 6);
  frame.insert(frame.end(), spec.source_mac, spec.source_mac + 6);
  for (uint16_t vlan : spec.vlans) {
    Append16(frame, 0x8100);
    Append16(frame, vlan);
  }
  Append16(frame, spec.ethertype != 0 ? spec.ethertype : spec.ipv6 ? 0x86dd : 0x0800);
  frame.insert(frame.end(), ip.begin(), ip.end());
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

}  // namespace

void AddressWords(bool ipv6, const std::string& text, uint32_t words[4]) {
  memset(words, 0, 16);
  if (inet_pton(ipv6 ? AF_INET6 : AF_INET, text.c_str(), words) != 1) abort();
}

Bytes Build(const PacketSpec& spec) { return Frame(spec, BuildL4(spec)); }

std::pair<Bytes, Bytes> BuildFragments(PacketSpec spec, size_t first) {
  const Bytes l4 = BuildL4(spec);
  spec.fragment = 0x2000;
  const Bytes head = Frame(spec, Bytes(l4.begin(), l4.begin() + first));
  spec.fragment = first / 8;
  return {head, Frame(spec, Bytes(l4.begin() + first, l4.end()))};
}

Bytes BuildIcmp(PacketSpec outer, uint8_t type, uint8_t code, const Bytes& body) {
  outer.protocol = outer.ipv6 ? 58 : 1;
  Bytes message = {type, code, 0, 0};
  message.insert(message.end(), body.begin(), body.end());
  uint32_t sum = 0;
  if (outer.ipv6) {
    const Bytes source = AddressBytes(outer, outer.source);
    const Bytes destination = AddressBytes(outer, outer.destination);
    sum = outer.protocol + message.size();
    sum = Sum(source.data(), source.size(), sum);
    sum = Sum(destination.data(), destination.size(), sum);
  }
  Put16(&message[2], ~Fold(Sum(message.data(), message.size(), sum)));
  return Frame(outer, message);
}

Bytes BuildAround(PacketSpec outer, uint8_t protocol, const Bytes& payload) {
  outer.protocol = protocol;
  return Frame(outer, payload);
}

namespace {

void Append(Bytes& bytes, const Bytes& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

Bytes ArpMessage(const NeighbourSpec& spec) {
  Bytes arp = {0, 1, 8, 0, 6, 4, 0, spec.operation};
  Append(arp, spec.sender_mac);
  Append(arp, AddressBytes({}, spec.sender));
  Append(arp, spec.target_mac);
  Append(arp, AddressBytes({}, spec.target));
  return arp;
}

// The IPv6 packet.
Bytes NdMessage(const NeighbourSpec& spec) {
  PacketSpec outer{.ipv6 = true, .source = spec.sender, .ttl = spec.hop_limit};
  const Bytes target = AddressBytes(outer, spec.target);
  Bytes group = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  group.insert(group.end(), target.end() - 3, target.end());
  char text[INET6_ADDRSTRLEN];
  inet_ntop(AF_INET6, group.data(), text, sizeof(text));
  outer.destination = spec.destination.empty() ? text : spec.destination;
  Bytes body = {static_cast<uint8_t>(spec.flags >> 24), 0, 0, 0};
  Append(body, target);
  Append(body, spec.options);
  const Bytes frame = BuildIcmp(outer, 134 + spec.operation, 0, body);
  return Bytes(frame.begin() + 14, frame.end());
}

}  // namespace

Bytes BuildNeighbour(const NeighbourSpec& spec) {
  Bytes frame = spec.destination_mac;
  Append(frame, spec.source_mac);
  for (const uint16_t vlan : spec.vlans) {
    Append16(frame, spec.tag_type);
    Append16(frame, vlan);
  }
  Append16(frame, spec.ipv6 ? 0x86dd : 0x0806);
  Append(frame, spec.ipv6 ? NdMessage(spec) : ArpMessage(spec));
  return frame;
}

Bytes Quote(const PacketSpec& packet, size_t l4) {
  const Bytes payload = BuildL4(packet);
  const Bytes ip = BuildIp(packet, payload.size());
  Bytes body = {0, 0, 0x05, 0xdc};
  body.insert(body.end(), ip.begin(), ip.end());
  body.insert(body.end(), payload.begin(), payload.begin() + std::min(l4, payload.size()));
  return body;
}

}  // namespace portolan::bpf
