#include "services/l2-announcer/shell/packet_socket.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "services/l2-announcer/core/frame.h"

namespace portolan::l2 {
namespace {

constexpr uint32_t kEtherType = 12;  // offsets from the start of the frame
constexpr uint32_t kNextHeader = 14 + 6;
constexpr uint32_t kIcmpv6Type = 14 + 40;

// BPF_STMT and BPF_JUMP with the types that C++ wants.
constexpr sock_filter Do(uint16_t code, uint32_t k) { return {code, 0, 0, k}; }
constexpr sock_filter If(uint32_t k, uint8_t then, uint8_t otherwise) {
  return {BPF_JMP | BPF_JEQ | BPF_K, then, otherwise, k};
}

constexpr sock_filter kFilter[] = {
    // 0: no VLAN tag, which the kernel has taken out of the frame.
    Do(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)),
    If(0, 0, 9),
    Do(BPF_LD | BPF_H | BPF_ABS, kEtherType),
    If(ETH_P_ARP, 6, 0),
    If(kHeartbeatEtherType, 5, 0),
    If(ETH_P_IPV6, 0, 5),
    Do(BPF_LD | BPF_B | BPF_ABS, kNextHeader),
    If(IPPROTO_ICMPV6, 0, 3),
    Do(BPF_LD | BPF_B | BPF_ABS, kIcmpv6Type),
    If(135, 0, 2),
    // 10: the whole frame.
    Do(BPF_RET | BPF_K, 0xffff),
    // 11: nothing.
    Do(BPF_RET | BPF_K, 0),
    // 12: not a solicitation; an advertisement?
    If(136, 0, 1),
    Do(BPF_RET | BPF_K, 0xffff),
    Do(BPF_RET | BPF_K, 0),
};

absl::Status Failed(const std::string& interface, absl::string_view what) {
  return absl::FailedPreconditionError(
      absl::StrCat("interface ", interface, ": ", what, ": ", std::strerror(errno)));
}

int SetOption(int fd, int level, int option, const void* value, socklen_t size) {
  return setsockopt(fd, level, option, value, size);
}

}  // namespace

absl::StatusOr<std::unique_ptr<PacketSocket>> PacketSocket::Open(const std::string& interface,
                                                                 int index) {
  // Protocol 0: deaf until it is filtered and bound.
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    if (errno == EPERM || errno == EACCES) {
      return absl::PermissionDeniedError(
          absl::StrCat("interface ", interface, ": no permission to open a raw socket"));
    }
    return Failed(interface, "cannot open a raw socket");
  }
  std::unique_ptr<PacketSocket> opened(new PacketSocket(fd, index));
  const int on = 1;
  if (SetOption(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0) {
    return Failed(interface, "cannot ignore outgoing frames (Linux 4.20 or newer is needed)");
  }
  const sock_fprog program{static_cast<unsigned short>(std::size(kFilter)),
                           const_cast<sock_filter*>(kFilter)};
  if (SetOption(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0) {
    return Failed(interface, "cannot attach the frame filter");
  }
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = index;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return Failed(interface, "cannot bind a raw socket");
  }
  return opened;
}

PacketSocket::~PacketSocket() {
  close(fd_);
  if (mld_fd_ >= 0) close(mld_fd_);
}

absl::Status PacketSocket::Send(absl::Span<const uint8_t> frame) {
  const ssize_t sent = send(fd_, frame.data(), frame.size(), 0);
  if (sent == static_cast<ssize_t>(frame.size())) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot send a frame: ", std::strerror(errno)));
}

std::optional<size_t> PacketSocket::Receive(absl::Span<uint8_t> buffer) {
  while (true) {
    sockaddr_ll from{};
    socklen_t from_size = sizeof(from);
    const ssize_t size = recvfrom(fd_, buffer.data(), buffer.size(), 0,
                                  reinterpret_cast<sockaddr*>(&from), &from_size);
    // ENETDOWN and the like are said once; the interface monitor acts on them.
    if (size < 0) return std::nullopt;
    // Heard only because somebody made the interface promiscuous.
    if (from.sll_pkttype == PACKET_OTHERHOST) continue;
    return static_cast<size_t>(size);
  }
}

int PacketSocket::PacketMembership(int operation, const net::IpAddress& group) {
  packet_mreq request{};
  request.mr_ifindex = index_;
  request.mr_type = PACKET_MR_MULTICAST;
  const net::MacAddress mac = MulticastMac(group);
  request.mr_alen = mac.octets.size();
  std::copy(mac.octets.begin(), mac.octets.end(), request.mr_address);
  return SetOption(fd_, SOL_PACKET, operation, &request, sizeof(request));
}

void PacketSocket::MldMembership(int operation, const net::IpAddress& group) {
  if (mld_fd_ < 0) mld_fd_ = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (mld_fd_ < 0) return;
  ipv6_mreq request{};
  const std::string bytes = group.ToBytes();
  std::memcpy(&request.ipv6mr_multiaddr, bytes.data(), bytes.size());
  request.ipv6mr_interface = index_;
  SetOption(mld_fd_, IPPROTO_IPV6, operation, &request, sizeof(request));
}

absl::Status PacketSocket::Join(const net::IpAddress& group) {
  MldMembership(IPV6_JOIN_GROUP, group);
  if (PacketMembership(PACKET_ADD_MEMBERSHIP, group) == 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot join group ", group.ToString(), ": ", std::strerror(errno)));
}

void PacketSocket::Leave(const net::IpAddress& group) {
  MldMembership(IPV6_LEAVE_GROUP, group);
  PacketMembership(PACKET_DROP_MEMBERSHIP, group);
}

}  // namespace portolan::l2
