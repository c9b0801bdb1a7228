// A raw socket on one Ethernet interface: whole frames in and out.
//
// A filter in the kernel (classic BPF) lets up only ARP, Neighbour Solicitations and
// Advertisements, and heartbeats, untagged: what belongs to a VLAN of the interface is not its
// own LAN. Frames that this machine sends are not heard.
//
// Owns its descriptors. One thread; nothing blocks. Needs CAP_NET_RAW.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/base/net/ip_address.h"

namespace portolan::l2 {

class PacketSocket {
 public:
  // PERMISSION_DENIED without CAP_NET_RAW; FAILED_PRECONDITION: the kernel refuses, or the
  // interface is gone.
  static absl::StatusOr<std::unique_ptr<PacketSocket>> Open(const std::string& interface,
                                                            int index);
  ~PacketSocket();
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;

  // To be watched for reading.
  int fd() const { return fd_; }
  absl::Status Send(absl::Span<const uint8_t> frame);
  // The size of the next frame, written to `buffer`; nothing when there is none.
  std::optional<size_t> Receive(absl::Span<uint8_t> buffer);

  // Hear an IPv6 multicast group: in the interface's address filter, and, where the kernel has
  // IPv6 on the interface, by MLD for switches that snoop (RFC 4541). Errors of the second are
  // ignored: a LAN without snooping works without it.
  absl::Status Join(const net::IpAddress& group);
  void Leave(const net::IpAddress& group);

 private:
  PacketSocket(int fd, int index) : fd_(fd), index_(index) {}
  int PacketMembership(int operation, const net::IpAddress& group);
  void MldMembership(int operation, const net::IpAddress& group);

  int fd_;
  int index_;
  int mld_fd_ = -1;
};

}  // namespace portolan::l2
