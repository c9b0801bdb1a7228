#include "services/datapath-loader/shell/xdp_features.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cstring>
#include <optional>
#include <vector>

#include "services/datapath-loader/shell/file_descriptor.h"

namespace portolan::datapath {
namespace {

// linux/netdev.h, which is younger than Debian 12's headers.
constexpr char kFamily[] = "netdev";
constexpr uint8_t kVersion = 1;
constexpr uint8_t kDevGet = 1;           // NETDEV_CMD_DEV_GET
constexpr uint16_t kDevIfindex = 1;      // NETDEV_A_DEV_IFINDEX
constexpr uint16_t kDevXdpFeatures = 3;  // NETDEV_A_DEV_XDP_FEATURES
constexpr uint64_t kNdoXmit = 1 << 2;    // NETDEV_XDP_ACT_NDO_XMIT
constexpr uint64_t kNative = 1 | 2;      // NETDEV_XDP_ACT_BASIC, NETDEV_XDP_ACT_REDIRECT

using Buffer = std::vector<char>;

Buffer Request(uint16_t family, uint8_t command, uint8_t version, uint16_t attribute,
               const void* value, uint16_t size) {
  const size_t attribute_length = NLA_HDRLEN + size;
  Buffer buffer(NLMSG_SPACE(GENL_HDRLEN) + NLA_ALIGN(attribute_length));
  nlmsghdr header{};
  header.nlmsg_len = buffer.size();
  header.nlmsg_type = family;
  header.nlmsg_flags = NLM_F_REQUEST;
  genlmsghdr generic{};
  generic.cmd = command;
  generic.version = version;
  nlattr attr{};
  attr.nla_len = attribute_length;
  attr.nla_type = attribute;
  char* at = buffer.data();
  memcpy(at, &header, sizeof(header));
  memcpy(at + NLMSG_HDRLEN, &generic, sizeof(generic));
  memcpy(at + NLMSG_SPACE(GENL_HDRLEN), &attr, sizeof(attr));
  memcpy(at + NLMSG_SPACE(GENL_HDRLEN) + NLA_HDRLEN, value, size);
  return buffer;
}

// An attribute of the answer, as a number of up to eight octets in host order.
std::optional<uint64_t> Exchange(int fd, const Buffer& request, uint16_t wanted) {
  if (send(fd, request.data(), request.size(), 0) < 0) return std::nullopt;
  alignas(nlmsghdr) char answer[8192];
  const ssize_t size = recv(fd, answer, sizeof(answer), 0);
  nlmsghdr header;
  if (size < static_cast<ssize_t>(NLMSG_HDRLEN)) return std::nullopt;
  memcpy(&header, answer, sizeof(header));
  if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_len > size) return std::nullopt;
  size_t at = NLMSG_SPACE(GENL_HDRLEN);
  while (at + NLA_HDRLEN <= header.nlmsg_len) {
    nlattr attribute;
    memcpy(&attribute, answer + at, sizeof(attribute));
    if (attribute.nla_len < NLA_HDRLEN || at + attribute.nla_len > header.nlmsg_len) break;
    const size_t length = attribute.nla_len - NLA_HDRLEN;
    if ((attribute.nla_type & NLA_TYPE_MASK) == wanted && length <= sizeof(uint64_t)) {
      uint64_t value = 0;
      memcpy(&value, answer + at + NLA_HDRLEN, length);
      return value;
    }
    at += NLA_ALIGN(attribute.nla_len);
  }
  return std::nullopt;
}

}  // namespace

bool XdpFeatureQuery::Open() {
  if (!fd_.ok()) {
    fd_ = FileDescriptor(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC));
  }
  if (fd_.ok() && !family_.has_value()) {
    family_ = Exchange(fd_.get(),
                       Request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, CTRL_ATTR_FAMILY_NAME, kFamily,
                               sizeof(kFamily)),
                       CTRL_ATTR_FAMILY_ID);
  }
  return family_.has_value();
}

std::optional<XdpFeatures> XdpFeatureQuery::Ask(uint32_t ifindex) {
  if (!Open()) return std::nullopt;
  const auto features = Exchange(
      fd_.get(), Request(*family_, kDevGet, kVersion, kDevIfindex, &ifindex, sizeof(ifindex)),
      kDevXdpFeatures);
  if (!features.has_value()) return std::nullopt;
  return XdpFeatures{.native = (*features & kNative) == kNative,
                     .target = (*features & kNdoXmit) != 0};
}

}  // namespace portolan::datapath
