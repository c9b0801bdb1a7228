#include "bpf/test/packets.h"

#include <arpa/inet.h>

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
    const uint8_t rest[] = {1, 2, 3, 4, 5, 6, 7, 8, 0x50, spec.tcp_flags, 0x20, 0, 0, 0, 0, 0};
    l4.insert(l4.end(), rest, rest + sizeof(rest));
    check_at = 16;
  } else {
    Append16(l4, 8 + spec.payload_length);
    Append16(l4, 0);
  }
  for (int i = 0; i < spec.payload_length; i++) l4.push_back(spec.payload_byte + i);
  if (spec.protocol == 17 && spec.zero_checksum) return l4;
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

Bytes BuildIp(const PacketSpec& spec, size_t payload) {
  const Bytes source = AddressBytes(spec, spec.source);
  const Bytes destination = AddressBytes(spec, spec.destination);
  Bytes ip;
  if (spec.ipv6) {
    ip = {0x60, 0, 0, 0};
    Append16(ip, payload);
    ip.push_back(spec.protocol);
    ip.push_back(spec.ttl);
  } else {
    ip = {static_cast<uint8_t>(0x45 + spec.option_words), 0};
    Append16(ip, 20 + 4 * spec.option_words + payload);
    Append16(ip, 0x1234);
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
  }
  return ip;
}

}  // namespace

void AddressWords(bool ipv6, const std::string& text, uint32_t words[4]) {
  memset(words, 0, 16);
  if (inet_pton(ipv6 ? AF_INET6 : AF_INET, text.c_str(), words) != 1) abort();
}

Bytes Build(const PacketSpec& spec) {
  const Bytes l4 = BuildL4(spec);
  const Bytes ip = BuildIp(spec, l4.size());
  Bytes frame(spec.destination_mac, spec.destination_mac + 6);
  frame.insert(frame.end(), {0x02, 0, 0, 0, 0, 2});
  Append16(frame, spec.ethertype != 0 ? spec.ethertype : spec.ipv6 ? 0x86dd : 0x0800);
  frame.insert(frame.end(), ip.begin(), ip.end());
  frame.insert(frame.end(), l4.begin(), l4.end());
  return frame;
}

}  // namespace portolan::bpf
