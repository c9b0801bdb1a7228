#include "bpf/test/network.h"

#include <sched.h>

#include <cstdlib>

namespace portolan::bpf {

bool Run(const std::string& command) { return std::system(command.c_str()) == 0; }

bool EnterTestNetwork() {
  if (unshare(CLONE_NEWNET) != 0) return false;
  return Run(
      "set -e; ip link set lo up;"
      "ip link add t0 address 02:00:00:00:00:01 type veth peer name t1;"
      "ip link set t0 up; ip link set t1 up;"
      "ip addr add 172.18.0.1/24 dev t0; ip -6 addr add 2001:db8:1::1/64 dev t0 nodad;"
      "echo 1 > /proc/sys/net/ipv4/ip_forward;"
      "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding;"
      "ip neigh add 172.18.0.254 lladdr 02:00:00:00:00:fe dev t0 nud permanent;"
      "ip neigh add 2001:db8:1::254 lladdr 02:00:00:00:00:fe dev t0 nud permanent;"
      "ip neigh add 172.18.0.9 lladdr 02:00:00:00:00:09 dev t0 nud permanent;"
      "ip neigh add 2001:db8:1::9 lladdr 02:00:00:00:00:09 dev t0 nud permanent;"
      "ip route add default via 172.18.0.254; ip -6 route add default via 2001:db8:1::254;"
      "ip route add 10.9.0.0/16 via 172.18.0.254 mtu lock 1400;"
      "ip -6 route add 2001:db8:9::/64 via 2001:db8:1::254 mtu lock 1400");
}

}  // namespace portolan::bpf
