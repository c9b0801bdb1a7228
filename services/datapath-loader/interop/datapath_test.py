"""datapath-loader with a real kernel, real TCP and UDP, in namespaces: a client, two nodes, two backends."""

import importlib
import json
import os
import unittest

from integration.topology import wait_until

lab_module = importlib.import_module("services.datapath-loader.interop.laboratory")
VIP_V4, VIP_V6, CLIENT, NODE_A = lab_module.VIP_V4, lab_module.VIP_V6, lab_module.CLIENT, lab_module.NODE_A
VIPS = {4: VIP_V4, 6: VIP_V6}
_TRIES = 60

# One side sends a megabyte and reads it back: large segments both ways.
_ECHO_SERVER = """
import socket, threading
s = socket.create_server(('::', 8080), family=socket.AF_INET6, dualstack_ipv6=True)
print('listening on', flush=True)
def serve(c):
    data = b''
    while len(data) < 1 << 20: data += c.recv(1 << 16)
    c.sendall(data); c.close()
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""
_ECHO_CLIENT = """
import os, socket, sys, threading
c = socket.create_connection((sys.argv[1], 80), timeout=10)
sent = os.urandom(1 << 20)
threading.Thread(target=c.sendall, args=(sent,), daemon=True).start()
got = b''
while len(got) < len(sent):
    part = c.recv(1 << 16)
    if not part: break
    got += part
print('same' if got == sent else 'different')
"""


@unittest.skipUnless(os.geteuid() == 0, "network namespaces and BPF need root")
class DatapathTest(unittest.TestCase):
    def setUp(self):
        self.lab = lab_module.Laboratory()
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__)

    def begin(self, lan_mode="xdp", **service):
        self.lab.configure(lan_mode)
        self.lab.serve(**service)
        self.lab.start()
        self.lab.wait_ready()

    def who_answers(self, address, ask=None):
        """Asks until both backends have answered or it is hopeless; every question must be answered."""
        seen = set()
        for _ in range(_TRIES):
            name = (ask or self.lab.ask)(address)
            self.assertIn(name, ("a1", "b1"), f"{address} did not answer")
            seen.add(name)
            if len(seen) == 2:
                break
        return seen

    def expect_all_answer(self):
        for address in VIPS.values():
            self.assertEqual(self.who_answers(address), {"a1", "b1"})
            self.assertEqual(self.who_answers(address, self.lab.ask_udp), {"a1", "b1"})

    def test_tcp_and_udp_of_both_families_reach_backends_of_both_nodes_through_xdp(self):
        self.begin()
        self.expect_all_answer()
        states = self.lab.published("InterfaceState")
        self.assertEqual(states["a/lan"]["mode"], "xdp")
        self.assertEqual(states["a/pods"]["mode"], "tc")

    def test_tcp_and_udp_of_both_families_reach_backends_of_both_nodes_through_tc(self):
        self.begin(lan_mode="tc")
        self.expect_all_answer()

    def test_a_local_backend_sees_the_client_and_a_remote_one_this_node(self):
        self.begin()
        for family, address in VIPS.items():
            seen = {}
            for _ in range(_TRIES):
                answer = json.loads(self.lab.ask(address, "/whoami"))
                seen[answer["name"]] = answer["client"]
            self.assertEqual(seen, {"a1": CLIENT[family], "b1": NODE_A[family]})

    def test_a_service_address_answers_ping_and_refuses_other_ports(self):
        for mode in ("xdp", "tc"):
            with self.subTest(mode):
                self.setUp()
                self.begin(lan_mode=mode)
                for address in VIPS.values():
                    self.assertTrue(self.lab.ping(address), address)
                    self.assertEqual(self.lab.connect(address, 81), "refused")
                    self.assertEqual(self.lab.ask_udp(address, 81), "refused")
                self.lab.set_settings(ignore_echo=True, drop_unserved=True)
                wait_until(lambda: not self.lab.ping(VIP_V4), what="ping is not answered")
                for address in VIPS.values():
                    self.assertFalse(self.lab.ping(address), address)
                    self.assertEqual(self.lab.connect(address, 81), "silence")
                self.expect_all_answer()

    def test_errors_of_backends_reach_the_client(self):
        for backends in (["a1"], ["b1"]):
            with self.subTest(backends):
                self.setUp()
                self.begin(backends=backends)
                self.lab.set_backends(backends, udp_port=9)
                for address in VIPS.values():
                    wait_until(lambda to=address: self.lab.ask_udp(to) == "refused", what=f"{address} refuses")

    def test_datagrams_in_pieces_reach_their_backend(self):
        for mode in ("xdp", "tc"):
            with self.subTest(mode):
                self.setUp()
                self.begin(lan_mode=mode)
                for address in VIPS.values():
                    seen = {self.lab.ask_udp(address, size=4000) for _ in range(20)}
                    self.assertEqual(seen, {"a1", "b1"})

    def test_a_service_lets_in_whom_it_wants(self):
        self.begin(denied_sources=[f"{CLIENT[4]}/32"])
        self.assertEqual(self.lab.connect(VIP_V4, 80), "silence")
        self.assertEqual(self.lab.connect(VIP_V6, 80), "connected")
        self.lab.serve(allowed_sources=[f"{CLIENT[4]}/32"])
        wait_until(lambda: self.lab.connect(VIP_V4, 80) == "connected", what="the client is let in")
        self.assertEqual(self.lab.connect(VIP_V6, 80), "silence")

    def test_a_client_stays_with_its_backend(self):
        self.begin(client_affinity_s=600)
        for address in VIPS.values():
            self.assertEqual(len({self.lab.ask(address) for _ in range(20)}), 1)

    def test_packets_are_counted_per_frontend(self):
        self.begin()
        self.lab.ask(VIP_V4)
        key = f"a/{VIP_V4}/tcp/80"
        wait_until(
            lambda: int(self.lab.published("FrontendState")[key].get("packets", 0)) >= 4, what="packets are counted"
        )
        row = self.lab.published("FrontendState")[key]
        self.assertEqual((row["service"], row["protocol"], row["backends"]), ("ns/web", "tcp", 2))
        self.assertGreater(int(row["bytes"]), 200)

    def test_offloaded_checksums_and_large_segments_are_carried(self):
        for mode in ("xdp", "tc"):
            with self.subTest(mode):
                self.setUp()
                for host, interface in (
                    *((self.lab.client, "lan"), (self.lab.node_a, "pods"), (self.lab.node_b, "pods")),
                    *((self.lab.topology.hosts["a1"], "eth0"), (self.lab.topology.hosts["b1"], "eth0")),
                ):
                    host.run(["ethtool", "-K", interface, "tx", "on", "tso", "on", "gso", "on", "gro", "on"])
                self.begin(lan_mode=mode)
                self.expect_all_answer()
                self.expect_echo()

    def expect_echo(self):
        for name in ("a1", "b1"):
            backend = self.lab.topology.hosts[name]
            pids = backend.run(["sh", "-c", "ss -Hltnp 'sport = :8080' | grep -o 'pid=[0-9]*' | cut -d= -f2"]).stdout
            for pid in pids.split():
                os.kill(int(pid), 9)
            wait_until(lambda: not backend.run(["ss", "-Hltn", "sport = :8080"]).stdout, what="the port is free")
            backend.spawn(["/usr/bin/python3", "-c", _ECHO_SERVER], name="echo").wait_for_log("listening on")
        for address in VIPS.values():
            for _ in range(6):
                result = self.lab.client.run(["/usr/bin/python3", "-c", _ECHO_CLIENT, address])
                self.assertEqual(result.stdout.strip(), "same")

    def test_flows_survive_kill_9_and_the_restart(self):
        self.begin()
        flows = [self.lab.drip(address) for address in (*VIPS.values(), *VIPS.values(), *VIPS.values())]
        wait_until(lambda: all(len(flow.log().splitlines()) > 3 for flow in flows), what="flows run")
        self.lab.loader.kill()
        seen = [len(flow.log().splitlines()) for flow in flows]
        wait_until(
            lambda: all(len(f.log().splitlines()) > n + 5 for f, n in zip(flows, seen)), what="flows go on without it"
        )
        self.assertIn(self.lab.ask(VIP_V4), ("a1", "b1"), "a new flow without the loader")
        links = sorted(os.listdir(f"{self.lab.pins}/links"))
        self.lab.start().wait_for_log('"adopted":"yes"')
        self.lab.wait_ready()
        self.assertEqual(sorted(os.listdir(f"{self.lab.pins}/links")), links)
        seen = [len(flow.log().splitlines()) for flow in flows]
        wait_until(
            lambda: all(len(f.log().splitlines()) > n + 5 for f, n in zip(flows, seen)), what="flows go on with it"
        )
        self.expect_all_answer()

    def test_nothing_is_pruned_before_every_input_is_there(self):
        self.begin()
        self.lab.loader.kill()
        self.lab.remove("Allocation", "ns/web")
        self.assertIn(self.lab.ask(VIP_V4), ("a1", "b1"))
        self.lab.start()
        wait_until(lambda: self.lab.published("InterfaceState"), what="the loader is back")
        wait_until(lambda: not self.lab.published("FrontendState"), what="the frontends are gone")
        self.assertEqual(self.lab.ask(VIP_V4), "")

    def test_a_backend_that_goes_takes_only_its_own_flows(self):
        self.begin()
        flows = [self.lab.drip(VIP_V4) for _ in range(6)]
        wait_until(lambda: all(len(flow.log().splitlines()) > 3 for flow in flows), what="flows run")
        owners = [flow.log().split()[0] for flow in flows]
        self.assertEqual(set(owners), {"a1", "b1"})
        self.lab.set_backends(["b1"])
        wait_until(
            lambda: self.lab.published("FrontendState")[f"a/{VIP_V4}/tcp/80"]["backends"] == 1, what="one backend"
        )
        seen = [len(flow.log().splitlines()) for flow in flows]
        kept = [(f, n) for f, n, owner in zip(flows, seen, owners) if owner == "b1"]
        wait_until(lambda: all(len(f.log().splitlines()) > n + 5 for f, n in kept), what="the others go on")
        for _ in range(10):
            self.assertEqual(self.lab.ask(VIP_V4), "b1")

    def test_an_interface_is_attached_when_it_appears(self):
        self.begin()
        self.lab.set("DatapathInterface", "late", name="late", mode="auto")
        wait_until(
            lambda: self.lab.status("interface", "late").get("reason") == "no-interface", what="it is said to be missing"
        )
        self.assertIn("create it", self.lab.status("interface", "late")["remedy"])
        self.lab.node_a.run(["ip", "link", "add", "late", "type", "veth", "peer", "name", "late1"])
        wait_until(
            lambda: self.lab.status("interface", "late").get("state") == "STATE_READY", what="it is attached"
        )

    def test_a_family_that_is_not_forwarded_is_said(self):
        self.begin()
        self.lab.node_a.sysctl("net/ipv4/ip_forward", 0)
        wait_until(
            lambda: self.lab.status("service", "ns/web").get("reason") == "forwarding-off", what="forwarding is missed"
        )
        self.assertEqual(self.lab.status("service", "ns/web")["addresses"], [VIP_V6])
        self.lab.node_a.sysctl("net/ipv4/ip_forward", 1)
        self.lab.wait_ready()

    def test_ports_that_the_kernel_gives_away_itself_are_said(self):
        self.lab.node_a.sysctl("net/ipv4/ip_local_port_range", "32768 62000")
        self.begin()
        status = self.lab.status("node", "a")
        self.assertEqual(status["reason"], "port-overlap")
        self.assertIn("32768-62000", status["message"])
        self.lab.node_a.sysctl("net/ipv4/ip_local_port_range", "32768 60999")
        wait_until(lambda: self.lab.status("node", "a")["state"] == "STATE_READY", what="it is seen to be right")

    def test_flows_that_cannot_be_sent_on_are_counted_as_drops(self):
        self.begin(backends=["b1"])
        self.lab.node_a.run(["ip", "route", "del", "10.244.2.0/24"])
        self.assertEqual(self.lab.ask(VIP_V4), "")

        def drops():
            return [f["subject"] for f in self.lab.status("node", "a").get("findings", [])]

        wait_until(lambda: drops() == ["drops/no-route"], what="the drops are said")
        wait_until(lambda: "a/ns/web/no-route" in self.lab.published("DropState"), what="they are the service's")
        state = self.lab.published("DropState")["a/ns/web/no-route"]
        self.assertEqual((state["service"], state.get("address", "")), ("ns/web", ""))
        self.assertGreater(int(state["packets"]), 0)
        self.lab.set_settings(drop_unserved=True)
        self.assertEqual(self.lab.connect(VIP_V4, 81), "silence")
        wait_until(lambda: f"a/{VIP_V4}/unserved" in self.lab.published("DropState"), what="an address has drops, too")

    def test_without_privilege_every_status_says_what_to_do(self):
        self.lab.configure()
        self.lab.serve()
        self.lab.start(before=["setpriv", "--bounding-set=-all", "--inh-caps=-all"])
        wait_until(
            lambda: self.lab.status("service", "ns/web").get("state") == "STATE_FAILED", what="the service failed"
        )
        for kind, key in (("service", "ns/web"), ("node", "a")):
            status = self.lab.status(kind, key)
            self.assertEqual(status["reason"], "no-privilege")
            self.assertIn("CAP_BPF", status["remedy"])
        self.assertTrue(self.lab.loader.running)

    def test_maps_that_cannot_be_taken_over_are_refused_until_they_are_given_up(self):
        self.begin()
        self.lab.loader.kill()
        self.lab.set("DatapathSettings", "settings", max_flows=4096, max_frontends=1, max_backends=256, hash_seed=1)
        self.lab.start()
        wait_until(lambda: self.lab.status("node", "a").get("reason") == "pins-refused", what="the size is refused")
        self.assertIn("has room for 64 entries", self.lab.status("node", "a")["message"])
        self.assertIn("--detach", self.lab.status("node", "a")["remedy"])
        self.assertIn(self.lab.ask(VIP_V4), ("a1", "b1"), "what was there goes on")
        self.lab.loader.kill()
        self.lab.detach()
        self.assertFalse(os.path.exists(self.lab.pins))
        self.assertEqual(self.lab.ask(VIP_V4), "")
        self.lab.set_settings()
        self.lab.start()
        self.lab.wait_ready()
        self.expect_all_answer()


if __name__ == "__main__":
    unittest.main()
