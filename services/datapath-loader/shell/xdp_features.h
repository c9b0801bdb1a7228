// What a driver says about XDP: generic netlink, family "netdev" (Linux 6.3). Asks the kernel each
// time, because a driver may change its mind: a veth takes frames while its peer has GRO or XDP.
#pragma once

#include <cstdint>

namespace portolan::datapath {

// Does the driver of this interface take frames that another interface's XDP program redirects
// (NETDEV_XDP_ACT_NDO_XMIT)? False also when the kernel cannot say.
bool TakesXdpFrames(uint32_t ifindex);

}  // namespace portolan::datapath
