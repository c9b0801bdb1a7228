// What a driver says about XDP: generic netlink, family "netdev" (Linux 6.3). Asks the kernel each
// time, because a driver may change its mind: a veth takes frames while its peer has GRO or XDP.
// One thread; blocks for one question and its answer.
#pragma once

#include <cstdint>
#include <optional>

#include "services/datapath-loader/shell/file_descriptor.h"

namespace portolan::datapath {

struct XdpFeatures {
  bool native = false;  // programs run in the driver (NETDEV_XDP_ACT_BASIC and _REDIRECT)
  bool target = false;  // takes frames that another interface's program redirects
};

class XdpFeatureQuery {
 public:
  // Nothing: the kernel cannot say. Of the network namespace in which it is asked first.
  std::optional<XdpFeatures> Ask(uint32_t ifindex);
  // Does the driver of this interface take frames that another interface's XDP program redirects
  // (NETDEV_XDP_ACT_NDO_XMIT)? False also when the kernel cannot say.
  bool TakesXdpFrames(uint32_t ifindex) { return Ask(ifindex).value_or(XdpFeatures()).target; }

 private:
  bool Open();

  FileDescriptor fd_;
  std::optional<uint64_t> family_;  // its number, which the kernel gives out once
};

}  // namespace portolan::datapath
