#include "services/l2-announcer/shell/interface_monitor.h"

#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace portolan::l2 {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(1);

void ReadLink(const ifaddrs& entry, Interface& interface) {
  const auto* link = reinterpret_cast<const sockaddr_ll*>(entry.ifa_addr);
  const unsigned flags = entry.ifa_flags;
  interface.index = link->sll_ifindex;
  interface.loopback = (flags & IFF_LOOPBACK) != 0;
  interface.up = (flags & IFF_UP) != 0 && (flags & IFF_RUNNING) != 0;
  interface.ethernet = link->sll_hatype == ARPHRD_ETHER && link->sll_halen == 6 &&
                       (flags & IFF_BROADCAST) != 0 && (flags & IFF_NOARP) == 0;
  if (link->sll_halen == 6) std::copy_n(link->sll_addr, 6, interface.mac.octets.begin());
}

void AddAddress(const void* bytes, size_t size, Interface& interface) {
  absl::StatusOr<net::IpAddress> address =
      net::IpAddress::FromBytes({static_cast<const uint8_t*>(bytes), size});
  if (address.ok()) interface.addresses.push_back(*address);
}

}  // namespace

absl::StatusOr<Interfaces> ReadInterfaces() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot read interfaces: ", std::strerror(errno)));
  }
  Interfaces interfaces;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    // An alias ("eth0:1") is an address of eth0.
    const std::string name(entry->ifa_name, strcspn(entry->ifa_name, ":"));
    Interface& interface = interfaces[name];
    if (entry->ifa_addr->sa_family == AF_PACKET) {
      ReadLink(*entry, interface);
    } else if (entry->ifa_addr->sa_family == AF_INET) {
      AddAddress(&reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr, 4, interface);
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      AddAddress(&reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr)->sin6_addr, 16, interface);
    }
  }
  freeifaddrs(list);
  for (auto& [name, interface] : interfaces) {
    std::sort(interface.addresses.begin(), interface.addresses.end());
  }
  return interfaces;
}

absl::StatusOr<std::unique_ptr<InterfaceMonitor>> InterfaceMonitor::Open(
    Loop* loop, std::function<void(const Interfaces&)> on_change) {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const std::string error = std::strerror(errno);
    if (fd >= 0) close(fd);
    return absl::UnavailableError(
        absl::StrCat("cannot watch the machine's interfaces (rtnetlink): ", error));
  }
  std::unique_ptr<InterfaceMonitor> monitor(new InterfaceMonitor(loop, fd, std::move(on_change)));
  monitor->Read();
  return monitor;
}

InterfaceMonitor::InterfaceMonitor(Loop* loop, int fd,
                                   std::function<void(const Interfaces&)> on_change)
    : loop_(loop), fd_(fd), on_change_(std::move(on_change)) {
  watch_ = loop_->Watch(fd_, Loop::kReadable, [this](int) { Drain(); });
}

InterfaceMonitor::~InterfaceMonitor() {
  loop_->Cancel(retry_);
  loop_->Unwatch(watch_);
  close(fd_);
}

void InterfaceMonitor::Drain() {
  char buffer[8192];
  // ENOBUFS: notifications were lost; what there is is read anyway.
  while (recv(fd_, buffer, sizeof(buffer), 0) > 0 || errno == ENOBUFS || errno == EINTR) {
    errno = 0;
  }
  Read();
}

void InterfaceMonitor::Read() {
  absl::StatusOr<Interfaces> interfaces = ReadInterfaces();
  loop_->Cancel(retry_);
  retry_ = 0;
  if (interfaces.ok()) {
    on_change_(*interfaces);
  } else {
    retry_ = loop_->RunAfter(kRetry, [this] { Read(); });
  }
}

}  // namespace portolan::l2
