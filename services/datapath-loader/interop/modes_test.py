"""Every forwarding mode with real TCP, UDP, HTTP and ICMP, in the laboratory of datapath_test: sent by XDP, by tc beside
an XDP program that cannot send (as on any veth to a bridge), and by tc alone. Who sent is told by the driver's counters.

For the modes in which the backend answers the client itself, node b is the backend: it has the service's addresses on
its loopback interface, and for the tunnel a loader of its own, which takes the packets out.
"""

import importlib
import json
import os
import unittest

from integration.topology import HttpBackend, wait_until

lab_module = importlib.import_module("services.datapath-loader.interop.laboratory")
VIPS = {4: lab_module.VIP_V4, 6: lab_module.VIP_V6}
NODE_A = lab_module.NODE_A
NODE_B = {4: "172.18.255.12", 6: "fd00:18::12"}
POD_B = lab_module.BACKENDS["b1"][1]
_UPLOAD = 2_000_000


@unittest.skipUnless(os.geteuid() == 0, "network namespaces and BPF need root")
class ModesTest(unittest.TestCase):
    """XDP sends."""

    lan_mode = "xdp"
    xdp_sends = True

    def setUp(self):
        self.lab = lab_module.Laboratory()
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__)
        if self.xdp_sends:
            self.lab.wire_like()
        self.lab.configure(self.lan_mode)

    def serve(self, mode, addresses, port, families=(4, 6)):
        """A service whose only backends are `addresses`, by family."""
        ports = [{"name": name, "port": port} for name in ("tcp", "udp")]
        backends = [
            {"id": f"b-{family}", "address": addresses[family], "ports": ports, "weight": 1, "node": "b"}
            for family in sorted(addresses)
        ]
        vips = [VIPS[family] for family in families]
        self.lab.serve(backends=(), addresses=vips, forwarding_mode=f"FORWARDING_MODE_{mode}")
        self.lab.set("BackendSet", "ns/web", key="ns/web", generation=1, backends=backends)
        self.lab.start()
        self.lab.wait_ready()

    def own_the_addresses(self):
        """Node b has the service's addresses, says nothing about them on the LAN, and serves on their port."""
        node = self.lab.node_b
        node.run(["sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"])
        for family, vip in VIPS.items():
            length = {4: 32, 6: 128}[family]
            node.run(["ip", "addr", "add", f"{vip}/{length}", "dev", "lo"])
        HttpBackend(node, port=80, name="b")

    def open_tunnels(self):
        """A loader on node b, which ends the tunnels of node a."""
        run_dir = os.path.join(self.lab.topology.run_dir, "run-b")
        os.mkdir(run_dir)
        binary, *_ = self.lab.arguments()
        pins = self.lab.pins + "-b"
        arguments = [binary, "--node", "b", "--bpf-dir", pins, "--state-dir", self.lab.state_dir]
        self.addCleanup(self.lab.node_b.run, [*arguments, "--detach"])
        self.lab.set_settings(tunnel_sources=["172.18.255.11/32", "fd00:18::11/128"])
        self.lab.node_b.spawn([*arguments, "--run-dir", run_dir, "--upstream-dir", self.lab.run_dir], name="loader-b")
        wait_until(lambda: os.path.isdir(f"{pins}/links") and os.listdir(f"{pins}/links"), what="node b has its programs")

    def upload(self, family, host=None):
        """What the service says to a request that is longer than any packet."""
        where = {4: VIPS[4], 6: f"[{VIPS[6]}]"}[family]
        command = ["curl", "-s", "--noproxy", "*", "--max-time", "20", "--data-binary", "@-", f"http://{where}/"]
        return (host or self.lab.client).run(command, stdin_text="x" * _UPLOAD, check=False).stdout.strip()

    def expect_service(self, name, families=(4, 6), client=None):
        """TCP, UDP, a long request and ping; `client`: whom the backend sees, by family."""
        for family in families:
            vip = VIPS[family]
            before = self.lab.sent_by_xdp()
            self.assertEqual(self.lab.ask(vip), name)
            self.assertEqual(self.lab.ask_udp(vip), name)
            self.assertEqual(self.upload(family), f"{name} {_UPLOAD}")
            sent = self.lab.sent_by_xdp() - before
            if self.xdp_sends:
                self.assertGreater(sent, _UPLOAD // 1500, "what the client uploads is sent on by XDP")
            else:
                self.assertEqual(sent, 0)
            self.assertTrue(self.lab.ping(vip))
            if client:
                seen = json.loads(self.lab.ask(vip, "/whoami"))
                self.assertEqual(seen["client"], client[family])

    def test_full_nat_shows_the_node_to_the_backend(self):
        self.serve("FULL_NAT", POD_B, lab_module.BACKEND_PORT)
        self.expect_service("b1", client=NODE_A)

    def test_destination_nat_shows_the_client_to_the_backend(self):
        self.serve("DESTINATION_NAT", POD_B, lab_module.BACKEND_PORT)
        # The way back: node b sends what is for the client through node a.
        for family, length in ((4, 32), (6, 128)):
            self.lab.node_b.add_route(f"{lab_module.CLIENT[family]}/{length}", via=NODE_A[family])
        self.expect_service("b1", client=lab_module.CLIENT)

    def test_direct_return_leaves_the_packet_as_it_came(self):
        self.own_the_addresses()
        self.serve("DIRECT_RETURN", NODE_B, 80)
        self.expect_service("b", client=lab_module.CLIENT)

    def test_a_tunnel_carries_the_packet_to_whoever_opens_it(self):
        self.own_the_addresses()
        self.open_tunnels()
        self.serve("TUNNEL", NODE_B, 80)
        self.expect_service("b", client=lab_module.CLIENT)

    def test_a_pod_that_leaves_checksums_to_the_hardware_is_told_what_fits_into_the_tunnel(self):
        self.own_the_addresses()
        self.open_tunnels()
        self.serve("TUNNEL", NODE_B, 80)
        pod = self.lab.topology.hosts["a1"]
        pod.run(["ethtool", "-K", "eth0", "tx", "on", "tso", "on", "gso", "on"])
        self.lab.node_b.add_route("10.244.1.0/24", via=NODE_A[4])
        self.lab.node_b.add_route("fd00:244:1::/64", via=NODE_A[6])
        for family, mtu in ((4, 1480), (6, 1460)):
            self.assertEqual(self.upload(family, host=pod), f"b {_UPLOAD}")
            self.assertIn(f"mtu {mtu}", pod.run(["ip", "route", "get", VIPS[family]]).stdout)
            self.assertEqual(self.lab.ask_udp(VIPS[family], port=81, host=pod), "refused")

    def test_ipv4_reaches_backends_that_only_have_ipv6(self):
        self.own_the_addresses()
        self.open_tunnels()
        self.serve("TUNNEL", {6: NODE_B[6]}, 80, families=(4,))
        self.expect_service("b", families=(4,), client=lab_module.CLIENT)


class ModesBesideXdpTest(ModesTest):
    """XDP translates, or leaves the packet to tc: the driver takes no frames from it."""

    xdp_sends = False


class ModesInTcTest(ModesTest):
    lan_mode = "tc"
    xdp_sends = False


if __name__ == "__main__":
    unittest.main()
