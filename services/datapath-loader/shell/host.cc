#include "services/datapath-loader/shell/host.h"

#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/datapath-loader/shell/file_descriptor.h"

namespace portolan::datapath {

uint32_t InterfaceIndex(const std::string& name) { return if_nametoindex(name.c_str()); }

std::optional<net::MacAddress> MacAddressOf(const std::string& name) {
  const FileDescriptor fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  if (name.size() >= sizeof(request.ifr_name)) return std::nullopt;
  memcpy(request.ifr_name, name.data(), name.size());
  if (ioctl(fd.get(), SIOCGIFHWADDR, &request) != 0 ||
      request.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
    return std::nullopt;
  }
  net::MacAddress mac;
  memcpy(mac.octets.data(), request.ifr_hwaddr.sa_data, mac.octets.size());
  return mac;
}

std::string DriverOf(const std::string& name) {
  const FileDescriptor fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  ifreq request{};
  if (name.size() >= sizeof(request.ifr_name)) return "";
  memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_data = reinterpret_cast<char*>(&info);
  return ioctl(fd.get(), SIOCETHTOOL, &request) == 0 ? info.driver : "";
}

std::string ReadSysctl(const std::string& name) {
  std::ifstream file(absl::StrCat("/proc/sys/net/", name));
  std::string text;
  std::getline(file, text);
  return text;
}

bool IsForwarding(net::Family family) {
  return ReadSysctl(family == net::Family::kIpv4 ? "ipv4/ip_forward"
                                                 : "ipv6/conf/all/forwarding") == "1";
}

bool HasStrictReversePath(const std::string& interface) {
  // An interface's name may hold dots and slashes do not occur: it is one path component.
  const std::string own = ReadSysctl(absl::StrCat("ipv4/conf/", interface, "/rp_filter"));
  const std::string all = ReadSysctl("ipv4/conf/all/rp_filter");
  return std::max(own, all) == "1";
}

std::optional<std::pair<uint16_t, uint16_t>> LocalPortRange() {
  const std::string text = ReadSysctl("ipv4/ip_local_port_range");
  const std::vector<std::string> words =
      absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  uint32_t first = 0;
  uint32_t last = 0;
  if (words.size() != 2 || !absl::SimpleAtoi(words[0], &first) ||
      !absl::SimpleAtoi(words[1], &last)) {
    return std::nullopt;
  }
  return std::make_pair(static_cast<uint16_t>(first), static_cast<uint16_t>(last));
}

std::optional<net::IpAddress> SourceTowards(const net::IpAddress& destination) {
  const bool ipv4 = destination.is_ipv4();
  const FileDescriptor fd(socket(ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const std::string bytes = destination.ToBytes();
  sockaddr_storage storage{};
  socklen_t size = ipv4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  void* address = ipv4 ? static_cast<void*>(&v4->sin_addr) : static_cast<void*>(&v6->sin6_addr);
  storage.ss_family = ipv4 ? AF_INET : AF_INET6;
  v4->sin_port = htons(9);  // at the same place in both; nothing is sent
  memcpy(address, bytes.data(), bytes.size());
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) return std::nullopt;
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return std::nullopt;
  }
  auto source = net::IpAddress::FromBytes(
      absl::MakeConstSpan(static_cast<const uint8_t*>(address), bytes.size()));
  if (!source.ok() || source->IsUnspecified() || source->IsLoopback()) return std::nullopt;
  return *source;
}

HostWatch::HostWatch(Loop* loop, absl::AnyInvocable<void()> on_change)
    : loop_(loop), fd_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)) {
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                      RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE | 1u << (RTNLGRP_IPV6_RULE - 1);
  if (fd_ < 0 || bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return;
  watch_ =
      loop_->Watch(fd_, Loop::kReadable, [fd = fd_, on_change = std::move(on_change)](int) mutable {
        // What exactly happened does not matter; an overrun is a change too.
        char buffer[8192];
        while (recv(fd, buffer, sizeof(buffer), 0) > 0) {
        }
        on_change();
      });
}

HostWatch::~HostWatch() {
  if (watch_ != 0) loop_->Unwatch(watch_);
  if (fd_ >= 0) close(fd_);
}

}  // namespace portolan::datapath
