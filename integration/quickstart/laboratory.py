"""The laboratory: a LAN with a client, two nodes and a top-of-rack router; backends behind each node; a remote client.

                        remote 198.51.100.10
                           |
        client          router (FRR: zebra, bgpd; AS 65000)
       .10 |               | .1
    -------+------- lan 172.18.255.0/24, fd00:18::/64 -------+-------
                   .11 |                                 .12 |
                     node a (AS 65001)                     node b (AS 65001)
              pods 10.244.1.0/24, fd00:244:1::/64   pods 10.244.2.0/24, fd00:244:2::/64
                   a1, a2 (.11, .12)                     b1, b2 (.11, .12)

Portolan runs on node a (`portolan run`); node b joins it (`portolan run --join`).
"""

import os
import shutil

from integration.topology import FrrRouter, HttpBackend, Topology

CLIENT_V6_POOL = "2001:db8:dead:beef::/64"
ROUTER_V4 = "172.18.255.1"
BACKEND_PORT = 8080

_KEPT = "portolan-quickstart"
_NODES = ("a", "b")
_PINS = "/sys/fs/bpf/portolan"  # a directory for each node; portolan pins its maps and links there

_FRR = """
hostname router
router bgp 65000
 bgp router-id 172.18.255.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor nodes peer-group
 neighbor nodes remote-as 65001
 neighbor 172.18.255.11 peer-group nodes
 neighbor 172.18.255.12 peer-group nodes
 address-family ipv4 unicast
  neighbor nodes activate
 exit-address-family
 address-family ipv6 unicast
  neighbor nodes activate
 exit-address-family
"""


class Node:
    """A node of the cluster with its backends and its Portolan process."""

    def __init__(self, lab, name, number, lan):
        self.lab = lab
        self.name = name
        # Unique in the laboratory, and short, as names of interfaces have to be.
        letter = _NODES[number - 1]
        self.host = lab.host(f"node-{letter}", forwarding=True)
        lab.connect(
            self.host, lan, addresses=[f"172.18.255.{10 + number}/24", f"fd00:18::{10 + number}/64"]
        )
        self.host.add_route("default", via=ROUTER_V4)
        self.host.add_route("default", via="fd00:18::1")
        pods = lab.bridge(f"pods-{letter}")
        lab.connect(
            self.host,
            pods,
            interface="pods",
            addresses=[f"10.244.{number}.1/24", f"fd00:244:{number}::1/64"],
        )
        self.backends = [self._backend(pods, f"{letter}{index}", number, index) for index in (1, 2)]
        self.run_dir = os.path.join(lab.run_dir, f"run-{letter}")
        self.state_dir = os.path.join(lab.run_dir, f"state-{letter}")
        self.process = None

    def _backend(self, pods, name, number, index):
        host = self.lab.host(name)
        self.lab.connect(
            host,
            pods,
            interface="eth0",
            addresses=[f"10.244.{number}.{10 + index}/24", f"fd00:244:{number}::{10 + index}/64"],
        )
        host.add_route("default", via=f"10.244.{number}.1")
        host.add_route("default", via=f"fd00:244:{number}::1")
        HttpBackend(host, port=BACKEND_PORT)
        return host

    @property
    def socket(self):
        return os.path.join(self.run_dir, "portolan.sock")

    def arguments(self, binary, *extra):
        return [
            *(binary, "run", "--node", self.name),
            *("--run-dir", self.run_dir, "--state-dir", self.state_dir),
            *extra,
        ]

    def start(self, binary, *extra):
        self.process = self.host.spawn(self.arguments(binary, *extra), name="portolan")


class Laboratory:
    """Use as a context manager: everything is gone at its end, unless `keep`.

    `nodes` are the names of the two nodes; no other portolan on this machine has them, because the pins are called so.
    """

    def __init__(self, binary, keep=False, nodes=_NODES):
        self.binary = binary
        self._names = nodes
        self.topology = Topology(prefix=_KEPT if keep else None, keep=keep)

    def __enter__(self):
        self.topology.__enter__()
        try:
            self._build()
        except BaseException:
            # Half a laboratory is of no use to anybody.
            self.topology.keep = False
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.topology.__exit__()
        if not self.topology.keep:
            remove_pins(self._names)

    def _build(self):
        lab = self.topology
        lan = lab.bridge("lan")
        self.client = lab.host("client")
        lab.connect(self.client, lan, addresses=["172.18.255.10/24", "fd00:18::10/64"])
        # The LAN's hosts know that these addresses are on their link, as they would by a router's prefix option.
        self.client.add_route(CLIENT_V6_POOL, interface="lan")
        self.router_host = lab.host("router", forwarding=True)
        lab.connect(self.router_host, lan, addresses=[f"{ROUTER_V4}/24", "fd00:18::1/64"])
        self.remote = lab.host("remote")
        lab.link(
            self.remote,
            self.router_host,
            ["198.51.100.10/24", "fd00:100::10/64"],
            ["198.51.100.1/24", "fd00:100::1/64"],
        )
        self.remote.add_route("default", via="198.51.100.1")
        self.remote.add_route("default", via="fd00:100::1")
        self.nodes = []
        for number, name in enumerate(self._names, start=1):
            self.nodes.append(Node(lab, name, number, lan))
        self._route_between_nodes()
        self.router = FrrRouter(self.router_host, _FRR)

    def _route_between_nodes(self):
        """What a cluster's own network does: each node reaches the other's pods through the other node."""
        for node, other, number in ((self.nodes[0], 12, 2), (self.nodes[1], 11, 1)):
            node.host.add_route(f"10.244.{number}.0/24", via=f"172.18.255.{other}")
            node.host.add_route(f"fd00:244:{number}::/64", via=f"fd00:18::{other}")

    @property
    def log_dir(self):
        return self.topology.log_dir


def remove_pins(nodes):
    """Detaches the nodes' datapaths: without their pins the links and maps go."""
    for node in nodes:
        shutil.rmtree(os.path.join(_PINS, node), ignore_errors=True)
    if os.path.isdir(_PINS) and not os.listdir(_PINS):
        os.rmdir(_PINS)


def remove_kept():
    """Removes the laboratory that `--keep` left, if there is one."""
    Topology.remove(_KEPT)
    remove_pins(_NODES)
