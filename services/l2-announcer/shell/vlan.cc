#include "services/l2-announcer/shell/vlan.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>

namespace portolan::l2 {
namespace {

using Octets = absl::Span<const std::byte>;

// Attributes by type; what does not fit into `octets` is left out.
std::map<uint16_t, Octets> Attributes(Octets octets) {
  std::map<uint16_t, Octets> attributes;
  while (octets.size() >= sizeof(rtattr)) {
    rtattr header;
    std::memcpy(&header, octets.data(), sizeof(header));
    if (header.rta_len < sizeof(header) || header.rta_len > octets.size()) break;
    attributes[header.rta_type & NLA_TYPE_MASK] =
        octets.subspan(sizeof(header), header.rta_len - sizeof(header));
    octets.remove_prefix(std::min<size_t>(RTA_ALIGN(header.rta_len), octets.size()));
  }
  return attributes;
}

template <typename Number>
std::optional<Number> Get(const std::map<uint16_t, Octets>& attributes, uint16_t type) {
  const auto found = attributes.find(type);
  if (found == attributes.end() || found->second.size() < sizeof(Number)) return std::nullopt;
  Number number;
  std::memcpy(&number, found->second.data(), sizeof(number));
  return number;
}

}  // namespace

std::optional<Vlan> VlanIn(absl::Span<const std::byte> message) {
  nlmsghdr header;
  constexpr size_t kFixed = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(ifinfomsg));
  if (message.size() < kFixed) return std::nullopt;
  std::memcpy(&header, message.data(), sizeof(header));
  if (header.nlmsg_type != RTM_NEWLINK || header.nlmsg_len > message.size() ||
      header.nlmsg_len < kFixed) {
    return std::nullopt;
  }
  const auto link = Attributes(message.subspan(kFixed, header.nlmsg_len - kFixed));
  const auto below = Get<uint32_t>(link, IFLA_LINK);
  if (!below.has_value() || link.contains(IFLA_LINK_NETNSID) || !link.contains(IFLA_LINKINFO)) {
    return std::nullopt;
  }
  const auto info = Attributes(link.at(IFLA_LINKINFO));
  const auto kind = info.find(IFLA_INFO_KIND);
  constexpr char kVlan[] = "vlan";
  if (kind == info.end() || kind->second.size() != sizeof(kVlan) ||
      std::memcmp(kind->second.data(), kVlan, sizeof(kVlan)) != 0 ||
      !info.contains(IFLA_INFO_DATA)) {
    return std::nullopt;
  }
  const auto data = Attributes(info.at(IFLA_INFO_DATA));
  const auto id = Get<uint16_t>(data, IFLA_VLAN_ID);
  // Kernels that do not say know no other protocol.
  const auto protocol = Get<uint16_t>(data, IFLA_VLAN_PROTOCOL).value_or(htons(ETH_P_8021Q));
  if (!id.has_value() || *id == 0 || protocol != htons(ETH_P_8021Q)) return std::nullopt;
  return Vlan{.below_ifindex = *below, .id = *id};
}

std::optional<Vlan> ReadVlan(uint32_t ifindex) {
  struct {
    nlmsghdr header;
    ifinfomsg link;
  } request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.link.ifi_index = static_cast<int>(ifindex);
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return std::nullopt;
  std::byte answer[16384];
  const ssize_t size =
      send(fd, &request, sizeof(request), 0) < 0 ? -1 : recv(fd, answer, sizeof(answer), 0);
  close(fd);
  if (size < 0) return std::nullopt;
  std::optional<Vlan> vlan = VlanIn({answer, static_cast<size_t>(size)});
  char name[IF_NAMESIZE];
  if (!vlan.has_value() || if_indextoname(vlan->below_ifindex, name) == nullptr) {
    return std::nullopt;
  }
  vlan->below = name;
  return vlan;
}

}  // namespace portolan::l2
