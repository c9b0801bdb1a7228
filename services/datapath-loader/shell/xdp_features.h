// What a driver says about XDP: generic netlink, family "netdev" (Linux 6.3). Asks the kernel each
// time, because a driver may change its mind: a veth takes frames while its peer has GRO or XDP.
#pragma once

#include <cstdint>
#include <optional>

namespace portolan::datapath {

struct XdpFeatures {
  bool native = false;  // programs run in the driver (NETDEV_XDP_ACT_BASIC and _REDIRECT)
  bool target = false;  // takes frames that another interface's program redirects
};

// Nothing: the kernel cannot say.
std::optional<XdpFeatures> AskXdpFeatures(uint32_t ifindex);

// Does the driver of this interface take frames that another interface's XDP program redirects
// (NETDEV_XDP_ACT_NDO_XMIT)? False also when the kernel cannot say.
bool TakesXdpFrames(uint32_t ifindex);

}  // namespace portolan::datapath
