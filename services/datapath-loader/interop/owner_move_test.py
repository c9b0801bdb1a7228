"""A service's address moves from node a to node b under flows that last: both nodes have the same tables and share
nothing else. Node a is cut off from the LAN, so that what goes on goes through node b.

    client .10 --- lan --- .11 node a (balances first), .12 node b (balances then), .21 c and .22 d (backends)
"""

import importlib
import os
import unittest

from integration.topology import HttpBackend, wait_until

lab_module = importlib.import_module("services.datapath-loader.interop.laboratory")
VIPS = {4: lab_module.VIP_V4, 6: lab_module.VIP_V6}
NODE_A, CLIENT = lab_module.NODE_A, lab_module.CLIENT
NODE_B = {4: "172.18.255.12", 6: "fd00:18::12"}
ROUTES = {4: "20.0.10.0/24", 6: "2001:db8:20::/64"}
ENDS = {"c": {4: "172.18.255.21", 6: "fd00:18::21"}, "d": {4: "172.18.255.22", 6: "fd00:18::22"}}
_FLOWS = 8  # of each family: by chance all of them seldom have one backend, or agree in tables that differ

# Says a number every 100 ms and prints it when it has come back.
_TALK = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], 80), timeout=20)
for n in range(600):
    s.sendall(b'%d\\n' % n)
    while not s.recv(100).endswith(b'\\n'): pass
    print('echo', n, flush=True)
    time.sleep(0.1)
"""


@unittest.skipUnless(os.geteuid() == 0, "network namespaces and BPF need root")
class OwnerMoveTest(unittest.TestCase):
    lan_mode = "xdp"

    def setUp(self):
        self.lab = lab_module.Laboratory()
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__)
        self.lab.configure(self.lan_mode)
        topology = self.lab.topology
        self.probe = topology.host("probe")
        topology.connect(self.probe, topology.hosts["lan"], addresses=["172.18.255.30/24", "fd00:18::30/64"])
        for family, prefix in ROUTES.items():
            self.probe.add_route(prefix, via=NODE_B[family])

    def load(self, host, name):
        """A loader on another node, fed by the same streams."""
        pins = f"{self.lab.pins}-{name}"
        directories = [os.path.join(self.lab.topology.run_dir, f"{kind}-{name}") for kind in ("run", "state")]
        os.mkdir(directories[0])
        arguments = [self.lab.binary, "--node", name, "--bpf-dir", pins, "--state-dir", directories[1]]
        self.addCleanup(host.run, [*arguments, "--detach"])
        host.spawn([*arguments, "--run-dir", directories[0], "--upstream-dir", self.lab.run_dir], name=f"loader-{name}")
        wait_until(lambda: os.path.isdir(f"{pins}/links") and os.listdir(f"{pins}/links"), what=f"{name} has its programs")

    def two_backends(self):
        """c and d have the service's addresses themselves and say nothing about them on the LAN."""
        topology = self.lab.topology
        for name, addresses in ENDS.items():
            host = topology.host(name)
            topology.connect(host, topology.hosts["lan"], addresses=[f"{addresses[4]}/24", f"{addresses[6]}/64"])
            for key, value in (("arp_ignore", 1), ("arp_announce", 2), ("rp_filter", 0)):
                host.sysctl(f"net/ipv4/conf/all/{key}", value)
            for family, vip in VIPS.items():
                host.run(["ip", "addr", "add", f"{vip}/{ {4: 32, 6: 128}[family] }", "dev", "lo"])
            HttpBackend(host, port=80)
        return [(name, address) for name in ENDS for address in ENDS[name].values()]

    def serve(self, mode, backends, port):
        ports = [{"name": name, "port": port} for name in ("tcp", "udp")]
        entries = [
            {"id": f"{name}-{address}", "address": address, "ports": ports, "weight": 1, "node": "b"}
            for name, address in backends
        ]
        self.lab.serve(backends=(), forwarding_mode=f"FORWARDING_MODE_{mode}")
        self.lab.set("BackendSet", "ns/web", key="ns/web", generation=1, backends=entries)
        self.lab.start()
        self.lab.wait_ready()
        self.load(self.lab.node_b, "b")

    def talk(self, address):
        return self.lab.client.spawn(["/usr/bin/python3", "-c", _TALK, address], name="talk")

    def begin_flows(self, begin):
        for vip in VIPS.values():
            wait_until(lambda to=vip: self.lab.ask(to, host=self.probe), what="node b serves as well")
        if begin == self.talk:
            self.lab.echo()
        flows = [begin(vip) for vip in VIPS.values() for _ in range(_FLOWS)]
        wait_until(lambda: all(len(flow.log().splitlines()) > 3 for flow in flows), what="flows run through node a")
        return flows

    def drip(self, address):
        return self.lab.drip(address, seconds=60)

    def move(self):
        """The address is node b's from now on, and node a is gone."""
        for family, prefix in ROUTES.items():
            self.lab.client.add_route(prefix, via=NODE_B[family])
        self.lab.node_a.run(["ip", "link", "set", "dev", "lan", "down"])

    def expect_on(self, flows):
        """They go on, each with the backend that it had."""
        seen = [len(flow.log().splitlines()) for flow in flows]
        wait_until(
            lambda: all(len(f.log().splitlines()) > n + 20 for f, n in zip(flows, seen)),
            what="flows go on through node b",
        )
        for flow in flows:
            names, counts = zip(*(line.split() for line in flow.log().splitlines()[:-1]))
            self.assertEqual(len(set(names)), 1)
            self.assertEqual(list(counts), [str(n) for n in range(len(counts))], "no line is lost or comes twice")

    def expect_both(self, flows):
        """Both backends have flows, so that it means something that each kept its own."""
        self.assertEqual({flow.log().split()[0] for flow in flows}, set(ENDS))

    def test_direct_return_goes_on(self):
        self.serve("DIRECT_RETURN", self.two_backends(), 80)
        flows = self.begin_flows(self.drip)
        self.expect_both(flows)
        self.move()
        self.expect_on(flows)

    def test_a_tunnel_goes_on(self):
        backends = self.two_backends()
        sources = [f"{address}/{ {4: 32, 6: 128}[f] }" for node in (NODE_A, NODE_B) for f, address in node.items()]
        self.lab.set_settings(tunnel_sources=sources)
        for name in ENDS:
            self.load(self.lab.topology.hosts[name], name)
        self.lab.set("Node", "b", name="b", ipv4_address=NODE_B[4], ipv6_address=NODE_B[6])
        self.serve("TUNNEL", backends, 80)
        flows = self.begin_flows(self.drip)
        self.expect_both(flows)
        self.move()
        self.expect_on(flows)

    def backend_behind_b(self):
        return [("b1", address) for address in lab_module.BACKENDS["b1"][1].values()]

    # Node b learns of a flow from its client. What the backend says before that reaches the client untranslated.
    def test_destination_nat_goes_on_when_the_client_speaks(self):
        lengths = {4: 32, 6: 128}
        for family, address in CLIENT.items():
            self.lab.node_b.add_route(f"{address}/{lengths[family]}", via=NODE_A[family])
        self.serve("DESTINATION_NAT", self.backend_behind_b(), lab_module.BACKEND_PORT)
        flows = self.begin_flows(self.talk)
        self.move()
        for family, address in CLIENT.items():
            self.lab.node_b.run(["ip", f"-{family}", "route", "del", f"{address}/{lengths[family]}"])
        self.expect_on(flows)

    def test_full_nat_ends_flows_and_serves_new_ones(self):
        self.lab.set("Node", "b", name="b", ipv4_address=NODE_B[4], ipv6_address=NODE_B[6])
        self.serve("FULL_NAT", self.backend_behind_b(), lab_module.BACKEND_PORT)
        flows = self.begin_flows(self.talk)
        self.move()
        # Node b has a source address and ports of its own: the backend takes its packets for a stranger's.
        wait_until(lambda: not any(flow.running for flow in flows), timeout=30, what="flows are reset")
        again = [self.talk(vip) for vip in VIPS.values()]
        wait_until(lambda: all(len(flow.log().splitlines()) > 3 for flow in again), what="new flows through node b")


if __name__ == "__main__":
    unittest.main()
