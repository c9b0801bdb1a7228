"""What is wrong is told on that object, with the remedy, and everything else forwards: against the real kernel."""

import importlib
import os
import unittest

from integration.topology import wait_until

lab_module = importlib.import_module("services.datapath-loader.interop.laboratory")
VIP_V4, VIP_V6, BACKENDS = lab_module.VIP_V4, lab_module.VIP_V6, lab_module.BACKENDS
_OTHER = "20.0.10.9"


@unittest.skipUnless(os.geteuid() == 0, "network namespaces and BPF need root")
class BadInputTest(unittest.TestCase):
    def setUp(self):
        self.lab = lab_module.Laboratory()
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__)
        self.lab.configure()
        self.lab.serve()
        self.lab.start()
        self.lab.wait_ready()

    def declare(self, ports, address=_OTHER, backends=(), **fields):
        """Service ns/bad; `backends` are pairs of address and port."""
        ports = [{"name": str(i), "protocol": "PROTOCOL_TCP", "port": port} for i, port in enumerate(ports)]
        self.lab.set("ServiceIntent", "ns/bad", key="ns/bad", generation=1, ports=ports, **fields)
        entries = [
            {"id": address, "address": address, "weight": 1, "node": "a"}
            | {"ports": [{"name": port["name"], "port": target} for port in ports]}
            for address, target in backends
        ]
        self.lab.set("BackendSet", "ns/bad", key="ns/bad", generation=1, backends=entries)
        grants = [{"address": address, "pool": "main"}]
        self.lab.set("Allocation", "ns/bad", key="ns/bad", generation=1, grants=grants)

    def expect(self, reason, *texts, kind="service", key="ns/bad"):
        """The object's status has the reason, each text somewhere, and a remedy; the others forward."""

        def is_said():
            status = self.lab.status(kind, key)
            return status.get("reason") == reason and all(text in str(status) for text in texts)

        wait_until(is_said, what=f"{key} says {reason}, {texts}")
        status = self.lab.status(kind, key)
        self.assertTrue(status.get("remedy"), status)
        self.assertNotEqual(status["state"], "STATE_READY")
        self.assertEqual(self.lab.status("service", "ns/web")["state"], "STATE_READY")
        for address in (VIP_V4, VIP_V6):
            self.assertIn(self.lab.ask(address), ("a1", "b1"))

    def test_a_backend_of_the_other_family(self):
        for mode in ("DIRECT_RETURN", "FULL_NAT", "DESTINATION_NAT"):
            with self.subTest(mode):
                self.declare([80], backends=[(BACKENDS["a1"][1][6], 80)], forwarding_mode=f"FORWARDING_MODE_{mode}")
                self.expect("no-backends", "family-differs", f"backend/{BACKENDS['a1'][1][6]}", "of this family")

    def test_a_port_of_zero(self):
        self.declare([0, 80], backends=[(BACKENDS["a1"][1][4], lab_module.BACKEND_PORT)])
        self.expect("port-not-carried", "port/tcp/0", "ports from 1 to 65535")
        self.assertEqual(self.lab.connect(_OTHER, 80), "connected", "its other port works")

    def test_a_backends_port_of_zero(self):
        good, bad = BACKENDS["a1"][1][4], "10.244.1.99"
        self.declare([80], backends=[(good, lab_module.BACKEND_PORT), (bad, 0)])
        self.expect("no-target-port", f"backend/{bad}")
        self.assertEqual(self.lab.ask(_OTHER), "a1", "its other backend works")

    def test_seventy_thousand_backends(self):
        many = [(f"10.{a}.{b}.{c}", 80) for a in (1, 2) for b in range(140) for c in range(1, 251)]
        self.assertEqual(len(many), 70000)
        self.declare([80], backends=many)
        self.expect("map-refused", "split the service in several")
        self.declare([80], backends=many[:300])
        self.expect("map-refused", "max-backends")
        self.declare([80], backends=[(BACKENDS["a1"][1][4], lab_module.BACKEND_PORT)])
        self.lab.wait_ready("ns/bad")
        self.assertEqual(self.lab.ask(_OTHER), "a1")

    def test_a_frontend_that_another_service_has(self):
        self.declare([80], address=VIP_V4, backends=[(BACKENDS["a1"][1][4], 80)])
        self.expect("frontend-taken", f"frontend/{VIP_V4}/tcp/80", "service ns/web, which had it first")

    def test_more_frontends_than_the_map_holds(self):
        self.declare(range(1000, 1070), backends=[(BACKENDS["a1"][1][4], lab_module.BACKEND_PORT)])
        self.expect("map-refused", "max-frontends")

    def test_an_interface_that_is_gone_and_comes_back_with_another_index(self):
        self.lab.set("DatapathInterface", "late", name="late", mode="auto")
        indices = set()
        for _ in range(2):
            self.expect("no-interface", "create it", kind="interface", key="late")
            self.lab.node_a.run(["ip", "link", "add", "late", "type", "veth", "peer", "name", "late1"])
            indices.add(self.lab.node_a.run(["ip", "-o", "link", "show", "late"]).stdout.split(":")[0])
            wait_until(lambda: self.lab.status("interface", "late").get("state") == "STATE_READY", what="it is attached")
            self.lab.node_a.run(["ip", "link", "del", "late"])
        self.assertEqual(len(indices), 2)

    def test_a_driver_without_xdp(self):
        self.lab.node_a.run(["ip", "link", "add", "br7", "type", "bridge"])
        self.lab.set("DatapathInterface", "br7", name="br7", mode="xdp")
        self.expect("no-xdp", "/mode to auto or tc", kind="interface", key="br7")
        self.lab.set("DatapathInterface", "br7", name="br7", mode="auto")
        wait_until(lambda: self.lab.status("interface", "br7").get("state") == "STATE_READY", what="tc does without")
        self.assertEqual(self.lab.published("InterfaceState")["a/br7"]["mode"], "tc")


if __name__ == "__main__":
    unittest.main()
