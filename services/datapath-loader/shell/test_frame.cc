#include "services/datapath-loader/shell/test_frame.h"

#include <netinet/in.h>

namespace portolan::datapath {
namespace {

constexpr size_t kEthernet = 14, kIpv4Header = 20, kIpv6Header = 40, kTcpHeader = 20;
constexpr uint8_t kAck = 0x10;
constexpr char kData[] = "test";

void Append16(std::string& bytes, uint16_t value) {
  bytes.push_back(static_cast<char>(value >> 8));
  bytes.push_back(static_cast<char>(value));
}

void Put16(std::string& bytes, size_t at, uint16_t value) {
  bytes[at] = static_cast<char>(value >> 8);
  bytes[at + 1] = static_cast<char>(value);
}

// RFC 1071, not complemented.
uint32_t Sum(absl::string_view bytes, uint32_t sum) {
  for (size_t i = 0; i < bytes.size(); i++) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    sum += i % 2 == 0 ? byte << 8 : byte;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

bool IsIpv6(absl::string_view frame) { return frame[12] == static_cast<char>(0x86); }

// Of TCP with its pseudo header.
uint32_t TcpSum(absl::string_view frame) {
  const bool ipv6 = IsIpv6(frame);
  const size_t addresses = kEthernet + (ipv6 ? 8 : 12);
  const absl::string_view tcp = frame.substr(kEthernet + (ipv6 ? kIpv6Header : kIpv4Header));
  const uint32_t pseudo =
      Sum(frame.substr(addresses, ipv6 ? 32 : 8), IPPROTO_TCP + static_cast<uint32_t>(tcp.size()));
  return Sum(tcp, pseudo);
}

}  // namespace

std::string TcpFrame(const net::IpAddress& source, uint16_t source_port,
                     const net::IpAddress& destination, uint16_t destination_port) {
  const uint16_t length = kTcpHeader + sizeof(kData) - 1;
  std::string frame(12, '\0');
  if (source.is_ipv6()) {
    Append16(frame, 0x86dd);
    frame.append("\x60\0\0\0", 4);
    Append16(frame, length);
    frame.push_back(IPPROTO_TCP);
    frame.push_back(64);
  } else {
    Append16(frame, 0x0800);
    frame.append("\x45\0", 2);
    Append16(frame, kIpv4Header + length);
    frame.append(4, '\0');
    frame.push_back(64);
    frame.push_back(IPPROTO_TCP);
    frame.append(2, '\0');
  }
  frame += source.ToBytes() + destination.ToBytes();
  if (source.is_ipv4()) {
    Put16(frame, kEthernet + 10, ~Sum(absl::string_view(frame).substr(kEthernet), 0));
  }
  const size_t tcp = frame.size();
  Append16(frame, source_port);
  Append16(frame, destination_port);
  frame.append(8, '\1');  // sequence numbers
  frame.push_back(kTcpHeader / 4 << 4);
  frame.push_back(kAck);
  Append16(frame, 1024);
  frame.append(4, '\0');
  frame += kData;
  Put16(frame, tcp + 16, ~TcpSum(frame));
  return frame;
}

std::string ArpFrame() {
  std::string frame(6, '\xff');
  frame.append(6, '\0');
  Append16(frame, 0x0806);
  frame.append("\0\1\x08\0\6\4\0\1", 8);
  frame.append(46 - 8, '\0');
  return frame;
}

bool HasRightChecksums(absl::string_view frame) {
  const size_t ip = frame.size() > kEthernet && IsIpv6(frame) ? kIpv6Header : kIpv4Header;
  if (frame.size() < kEthernet + ip + kTcpHeader) return false;
  const bool ip_fits = IsIpv6(frame) || Sum(frame.substr(kEthernet, kIpv4Header), 0) == 0xffff;
  return ip_fits && TcpSum(frame) == 0xffff;
}

}  // namespace portolan::datapath
