// What the machine says about itself: interfaces, forwarding, addresses. Reads only; of the
// process's own network namespace.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "services/base/loop/loop.h"
#include "services/base/net/ip_address.h"
#include "services/base/net/mac_address.h"

namespace portolan::datapath {

// 0: there is no such interface.
uint32_t InterfaceIndex(const std::string& name);
// Nothing when it is not Ethernet, or not there.
std::optional<net::MacAddress> MacAddressOf(const std::string& name);
// Of the interface, such as "veth"; empty when it does not say.
std::string DriverOf(const std::string& name);

// /proc/sys/net/NAME ("ipv4/ip_forward"); empty when it cannot be read.
std::string ReadSysctl(const std::string& name);
bool IsForwarding(net::Family family);
// Does the kernel check strictly that answers would leave by the interface that a packet came in
// on? (rp_filter 1; the stricter of the interface's and the general setting counts.)
bool HasStrictReversePath(const std::string& interface);
// Ports that the kernel gives to its own connections, inclusive.
std::optional<std::pair<uint16_t, uint16_t>> LocalPortRange();

// The address that this machine's routes choose to talk to `destination` from. Sends nothing.
std::optional<net::IpAddress> SourceTowards(const net::IpAddress& destination);

// Calls back on the loop whenever an interface, an address or a route may have changed; several
// changes may be one call.
class HostWatch {
 public:
  HostWatch(Loop* loop, absl::AnyInvocable<void()> on_change);
  ~HostWatch();
  HostWatch(const HostWatch&) = delete;
  HostWatch& operator=(const HostWatch&) = delete;

 private:
  Loop* const loop_;
  int fd_;
  Loop::FdId watch_ = 0;
};

}  // namespace portolan::datapath
