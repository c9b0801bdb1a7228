"""What a Service may say of its traffic and its backends, with real traffic: in the laboratory of datapath_test."""

import importlib
import os
import time
import unittest

from integration.topology import wait_until

lab_module = importlib.import_module("services.datapath-loader.interop.laboratory")
VIP_V4 = lab_module.VIP_V4
_TRIES = 30


def _stands_still(download):
    """A condition: it got nothing for a second, ten times as long as it takes for a line."""
    seen = [len(download.log()), time.monotonic()]

    def holds():
        length = len(download.log())
        if length != seen[0]:
            seen[:] = [length, time.monotonic()]
        return time.monotonic() - seen[1] > 1

    return holds


@unittest.skipUnless(os.geteuid() == 0, "network namespaces and BPF need root")
class ServicesTest(unittest.TestCase):
    def setUp(self):
        self.lab = lab_module.Laboratory()
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__)
        self.lab.configure()

    def begin(self, **service):
        self.lab.serve(addresses=(VIP_V4,), families=(4,), **service)
        self.lab.start()
        self.lab.wait_ready()

    def who_answers(self, tries=_TRIES):
        """The backends that answered; every question must be answered."""
        seen = {self.lab.ask(VIP_V4) for _ in range(tries)}
        self.assertNotIn("", seen)
        return seen

    def backend(self, name):
        return self.lab.published("BackendState").get(f"a/ns/web/tcp/80/ipv4/{name}-4", {})

    def wait_for_state(self, name, state):
        wait_until(lambda: self.backend(name).get("state") == state, what=f"{name} is {state}")

    def test_what_goes_to_a_backend_is_counted(self):
        self.begin(backends=("a1",))
        for _ in range(5):
            self.assertEqual(self.lab.ask(VIP_V4), "a1")
        wait_until(lambda: self.backend("a1").get("flows") == "5", what="five flows are counted")
        self.assertGreater(int(self.backend("a1")["packets"]), 15)
        self.assertEqual(self.backend("a1")["state"], "active")
        self.lab.set_backends(("b1",), families=(4,))
        self.wait_for_state("b1", "active")
        self.assertEqual(self.backend("a1"), {})

    def test_a_backend_that_fails_its_health_check_gets_nothing_until_it_serves_again(self):
        check = {"type": "http", "interval_ms": 100, "timeout_ms": 500, "failures": 2, "successes": 1, "path": "/"}
        self.begin(health_check=check)
        self.assertEqual(self.who_answers(), {"a1", "b1"})
        self.lab.stop_backend("a1")
        self.wait_for_state("a1", "failing")
        self.assertEqual(self.who_answers(), {"b1"})
        status = self.lab.status("service", "ns/web")
        self.assertEqual(status["state"], "STATE_DEGRADED")
        self.assertIn("fails its health check: cannot connect: Connection refused", status["message"])
        self.assertEqual(status["addresses"], [VIP_V4])
        self.lab.start_backend("a1")
        self.wait_for_state("a1", "active")
        self.assertEqual(self.who_answers(), {"a1", "b1"})

    def test_a_draining_backend_keeps_its_flow_until_it_is_down(self):
        self.begin(backends=("a1",))
        download = self.lab.drip(VIP_V4, seconds=60)
        wait_until(lambda: "a1 2" in download.log(), what="the download goes on")
        self.lab.set_backends(("a1", "b1"), families=(4,), conditions={"a1": "BACKEND_CONDITION_DRAINING"})
        self.wait_for_state("a1", "draining")
        self.assertEqual(self.who_answers(), {"b1"})
        so_far = len(download.log())
        wait_until(lambda: len(download.log()) > so_far, what="the download still goes on")
        self.lab.set_backends(("a1", "b1"), families=(4,), conditions={"a1": "BACKEND_CONDITION_DOWN"})
        wait_until(_stands_still(download), what="the download stands still")

    def test_a_local_service_goes_to_backends_of_this_node_and_is_not_carried_without_one(self):
        self.begin(traffic_policy="TRAFFIC_POLICY_LOCAL")
        self.assertEqual(self.who_answers(), {"a1"})
        self.assertEqual(self.lab.status("service", "ns/web")["addresses"], [VIP_V4])
        self.lab.set_backends(("b1",), families=(4,))
        wait_until(lambda: "addresses" not in self.lab.status("service", "ns/web"), what="the address is not carried")
        self.assertEqual(self.lab.status("service", "ns/web")["reason"], "no-local-backend")

    def test_the_inside_has_a_policy_of_its_own(self):
        self.begin(traffic_policy="TRAFFIC_POLICY_LOCAL")
        self.assertEqual(self.who_answers(), {"a1"})
        self.lab.set("DatapathInterface", "lan", name="lan", mode="xdp", inside=True)
        wait_until(lambda: self.who_answers() == {"a1", "b1"}, what="what comes from inside goes to all")


if __name__ == "__main__":
    unittest.main()
