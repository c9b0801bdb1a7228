"""`portolan datapath attach|detach|apply` against a real datapath-loader in namespaces."""

import importlib
import json
import os
import subprocess
import unittest

from integration.topology import wait_until

lab_module = importlib.import_module("services.datapath-loader.interop.laboratory")
VIP_V4, BACKENDS = lab_module.VIP_V4, lab_module.BACKENDS

_PORTOLAN = os.path.abspath("tools/portolan/portolan")
_OTHER_V4, _OTHER_V6 = "20.0.10.7", "2001:db8:20::7"


def _service(name="web", port=80, addresses=(_OTHER_V4, _OTHER_V6), backends=("a1",), protocol="PROTOCOL_TCP"):
    return {
        "name": name,
        "addresses": list(addresses),
        "intent": {"ports": [{"name": "main", "protocol": protocol, "port": port}]},
        "backends": [
            {"id": f"{backend}-{family}", "address": address, "weight": 1, "node": BACKENDS[backend][0]}
            | {"ports": [{"name": "main", "port": lab_module.BACKEND_PORT}]}
            for backend in backends
            for family, address in BACKENDS[backend][1].items()
            if any((":" in vip) == (family == 6) for vip in addresses)
        ],
    }


@unittest.skipUnless(os.geteuid() == 0, "network namespaces and BPF need root")
class DatapathOrdersTest(unittest.TestCase):
    def setUp(self):
        self.lab = lab_module.Laboratory()
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__)

    def begin(self, lan_mode="xdp"):
        self.lab.configure(lan_mode)
        self.lab.serve()
        self.lab.start()
        self.lab.wait_ready()

    def ask(self, *words, said=""):
        place = os.path.join(self.lab.run_dir, "datapath-loader.sock")
        done = subprocess.run(
            [_PORTOLAN, "--socket", place, "datapath", *words],
            input=said,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def apply(self, generation, *services, owner="edge"):
        """Exit code and rows by service; what went wrong when there is no answer."""
        request = {"owner": owner, "generation": generation, "services": list(services)}
        code, said, wrong = self.ask("apply", "-", "-o", "json", said=json.dumps(request))
        return code, {row["service"]: row for row in json.loads(said)} if said else wrong

    def interface(self, name):
        return self.lab.published("InterfaceState").get(f"a/{name}", {})

    # ---- attach and detach ----

    def test_an_interface_is_attached_and_detached_against_the_configuration_and_stays_so(self):
        self.begin(lan_mode="xdp")
        self.assertEqual(self.interface("lan")["origin"], "configuration")
        code, said, wrong = self.ask("attach", "lan", "--mode", "tc")
        self.assertEqual(code, 0, wrong)
        self.assertIn("lan is attached by tc", said)
        self.assertIn("the mode xdp of the configuration does not count", said)
        self.assertEqual(self.ask("attach", "lan", "--mode", "tc"), (code, said, wrong), "again is the same")
        self.assertEqual((self.interface("lan")["mode"], self.interface("lan")["origin"]), ("tc", "attach"))
        self.assertIn(self.lab.ask(VIP_V4), ("a1", "b1"))

        code, said, _ = self.ask("detach", "lan")
        self.assertEqual(code, 0)
        self.assertIn("lan is detached; the mode xdp of the configuration does not count", said)
        self.assertIn("lan was not attached", self.ask("detach", "lan")[1])
        self.assertEqual(self.lab.ask(VIP_V4), "")
        status = self.lab.status("interface", "lan")
        self.assertEqual((status["state"], status["reason"]), ("STATE_DEGRADED", "detached"))
        self.assertIn("portolan datapath attach lan --mode configured", status["remedy"])

        self.lab.loader.kill()
        self.lab.start()
        wait_until(lambda: self.interface("lan").get("origin") == "detach", what="the order is known again")
        self.assertEqual(self.interface("lan").get("mode", ""), "")
        code, said, _ = self.ask("attach", "lan", "--mode", "configured")
        self.assertEqual(code, 0)
        self.assertIn("lan is attached by xdp", said)
        self.assertEqual(self.interface("lan")["origin"], "configuration")
        self.assertIn(self.lab.ask(VIP_V4), ("a1", "b1"))

    def test_an_attach_that_is_not_possible_is_refused_and_changes_nothing(self):
        self.begin(lan_mode="tc")
        self.lab.node_a.run(["ip", "tuntap", "add", "tun0", "mode", "tun"])
        self.lab.node_a.run(["ip", "link", "add", "br7", "type", "bridge"])
        before = self.interface("lan")
        for words, code, text in (
            (("attach", "none"), 4, 'interface: "none" does not exist'),
            (("attach", "tun0"), 1, 'interface: "tun0" is not Ethernet'),
            (("attach", "lo", "--mode", "configured"), 4, 'the configuration does not name "lo"'),
            (("attach", "br7", "--mode", "xdp"), 1, "mode auto or tc carries it all the same"),
            (("attach", "lan", "--mode", "sideways"), 2, "sideways"),
        ):
            with self.subTest(words):
                got = self.ask(*words)
                self.assertEqual(got[0], code, got)
                self.assertIn(text, got[2])
        self.assertEqual(self.interface("lan"), before)
        self.assertEqual(set(self.lab.published("InterfaceState")), {"a/lan", "a/pods"})

    # ---- apply ----

    def test_a_service_is_applied_beside_the_streams_and_outlives_a_kill(self):
        self.begin()
        code, rows = self.apply(1, _service())
        self.assertEqual(code, 0, rows)
        row = rows["apply/edge/web"]
        self.assertEqual((row["state"], row["reason"]), ("ready", "programmed"))
        self.assertEqual(set(row["addresses"]), {_OTHER_V4, _OTHER_V6})
        self.lab.client.add_route("20.0.10.7/32", via=lab_module.NODE_A[4])
        self.assertEqual((self.lab.ask(_OTHER_V4), self.lab.ask(_OTHER_V6)), ("a1", "a1"))
        self.assertIn(self.lab.ask(VIP_V4), ("a1", "b1"))
        self.assertEqual(self.lab.status("service", "apply/edge/web")["state"], "STATE_READY")

        self.lab.loader.kill()
        self.assertEqual(self.lab.ask(_OTHER_V4), "a1", "without the loader")
        self.lab.start()
        self.lab.wait_ready("apply/edge/web")
        self.assertEqual(self.lab.ask(_OTHER_V4), "a1")
        code, wrong = self.apply(1, _service(backends=("b1",)))
        self.assertEqual(code, 1)
        self.assertIn("generation: 1 is not higher than 1, which owner edge has applied", wrong)
        code, rows = self.apply(2, _service(backends=("b1",)))
        self.assertEqual(code, 0, rows)
        self.assertEqual(self.lab.ask(_OTHER_V4), "b1")
        code, rows = self.apply(3)
        self.assertEqual((code, rows), (0, {}))
        wait_until(lambda: self.lab.ask(_OTHER_V4) == "", what="it is not carried any more")
        self.assertIn(self.lab.ask(VIP_V4), ("a1", "b1"))

    def test_owners_and_streams_never_touch_one_frontend_and_each_is_told_whose_it_is(self):
        self.begin()
        code, rows = self.apply(1, _service(addresses=(VIP_V4,)), _service("more", port=81, addresses=(VIP_V4,)))
        self.assertEqual(code, 3)
        self.assertEqual(rows["apply/edge/web"]["reason"], "frontend-taken")
        self.assertIn("is carried for service ns/web, which had it first", rows["apply/edge/web"]["message"])
        self.assertEqual(rows["apply/edge/more"]["state"], "ready")
        code, rows = self.apply(1, _service("mine", port=81, addresses=(VIP_V4,)), owner="core")
        self.assertIn("service more of owner edge", rows["apply/core/mine"]["message"])
        code, rows = self.apply(2, owner="core")
        self.assertEqual((code, rows), (0, {}))
        self.assertEqual(self.lab.connect(VIP_V4, 81), "connected", "an owner prunes its own alone")
        self.assertEqual(self.apply(2, _service(addresses=(VIP_V4,)))[0], 3)
        wait_until(lambda: self.lab.connect(VIP_V4, 81) == "refused", what="the other one of the owner goes")

    def test_bad_services_are_rejected_one_by_one_and_the_others_are_carried(self):
        self.begin()
        bad = _service("bad", addresses=("20.0.10.300",))
        no_port = _service("port", port=0, addresses=("20.0.10.9",))
        mixed = _service("mixed", addresses=("20.0.10.8",))
        mixed["backends"] = _service(addresses=(_OTHER_V6,))["backends"]
        code, rows = self.apply(1, bad, no_port, mixed, _service())
        self.assertEqual(code, 3)
        self.assertEqual(rows["apply/edge/web"]["state"], "ready")
        self.assertEqual(rows["apply/edge/bad"]["state"], "rejected")
        self.assertIn("addresses[0]: ", rows["apply/edge/bad"]["message"])
        self.assertEqual(rows["apply/edge/port"]["reason"], "port-not-carried")
        self.assertNotEqual(rows["apply/edge/mixed"]["state"], "ready")
        self.assertTrue(all(row["remedy"] for name, row in rows.items() if name != "apply/edge/web"), rows)
        self.assertEqual(self.lab.ask(_OTHER_V4), "a1")
        for said, text in (("{", "it is the JSON of"), ('{"generation": 1}', 'owner: "" is no name')):
            code, _, wrong = self.ask("apply", "-", said=said)
            self.assertEqual(code, 1)
            self.assertIn(text, wrong)

    def test_a_loader_alone_carries_what_it_is_told_and_reads_nothing(self):
        self.lab.loader = self.lab.node_a.spawn(
            self.lab.arguments("--alone", "--run-dir", self.lab.run_dir), name="datapath-loader"
        )
        wait_until(lambda: self.lab.status("node", "a").get("reason") == "loaded", what="it has loaded")
        for interface in ("lan", "pods"):
            self.assertEqual(self.ask("attach", interface)[0], 0)
        code, rows = self.apply(1, _service(backends=("a1", "b1")))
        self.assertEqual(code, 0, rows)
        self.assertIn(self.lab.ask(_OTHER_V4), ("a1", "b1"))


if __name__ == "__main__":
    unittest.main()
