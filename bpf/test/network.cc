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
      "ip route add default via 172.18.0.254; ip -6 route add default via 2001:db8:1::254");
}

}  // namespace portolan::bpf
