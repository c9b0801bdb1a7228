"""bgp-exporter against the real BIRD 2."""

import importlib
import os
import re
import unittest

from integration.topology import wait_until

lab_module = importlib.import_module("services.bgp-exporter.interop.laboratory")
NODE_V4, NODE_V6, NODE_AS = lab_module.NODE_V4, lab_module.NODE_V6, lab_module.NODE_AS

_CONFIG = f"""
router id {lab_module.ROUTER_V4};
protocol device {{}}
protocol bgp node {{
  local {lab_module.ROUTER_V4} as {lab_module.ROUTER_AS};
  neighbor {NODE_V4} as {NODE_AS};
  hold time 9;
  connect delay time 1;
  connect retry time 1;
  error wait time 1, 2;
  graceful restart aware;
  ipv4 {{ import all; export none; }};
  ipv6 {{ import all; export none; }};
}}
"""


class Bird:
    def __init__(self, lab):
        self.host = lab.router
        self.socket = os.path.join(lab.topology.run_dir, "bird.ctl")
        self.config = os.path.join(lab.topology.run_dir, "bird.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(_CONFIG)
        self.start()

    def start(self):
        self.daemon = self.host.spawn(["/usr/sbin/bird", "-f", "-c", self.config, "-s", self.socket])
        wait_until(lambda: self.ask("show status"), what="BIRD answers")

    def ask(self, command):
        return self.host.run(["/usr/sbin/birdc", "-s", self.socket, command]).stdout

    def routes(self):
        """Prefix -> next hop."""
        found = {}
        prefix = None
        for line in self.ask("show route").splitlines():
            start = re.match(r"(\S+/\d+)\s", line)
            if start:
                prefix = start.group(1)
            via = re.match(r"\s+via (\S+) on", line)
            if via:
                found[prefix] = via.group(1)
        return found


@lab_module.needs("/usr/sbin/bird")
class BirdTest(unittest.TestCase):
    def setUp(self):
        self.lab = lab_module.Laboratory()
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__, None, None, None)
        self.bird = Bird(self.lab)
        self.lab.configure()
        self.lab.serve("red", "20.0.10.1", "2001:db8:beef::1")
        self.both = {"20.0.10.1/32": NODE_V4, "2001:db8:beef::1/128": NODE_V6}

    def wait_routes(self, want, timeout=20):
        wait_until(lambda: self.bird.routes() == want, timeout, what=f"routes {want}")

    def test_routes_of_both_families_come_and_go(self):
        self.lab.start()
        self.lab.wait_established()
        self.wait_routes(self.both)
        details = self.bird.ask("show route for 20.0.10.1 all")
        self.assertIn(f"BGP.as_path: {NODE_AS}", details)
        self.assertIn("BGP.community: (65000,100)", details)
        self.assertNotIn("local_pref: 200", details)
        self.lab.unserve("red")
        self.wait_routes({})

    def test_reconnects_after_the_router_restarts(self):
        self.lab.start()
        self.wait_routes(self.both)
        self.bird.daemon.kill()
        wait_until(lambda: self.lab.published("Route") == {}, what="the loss of the session is noticed")
        self.bird.start()
        self.wait_routes(self.both, timeout=30)

    def test_routes_survive_a_kill(self):
        exporter = self.lab.start()
        self.wait_routes(self.both)
        exporter.kill()
        wait_until(lambda: "established" not in self.bird.ask("show protocols").lower(), what="BIRD notices")
        self.lab.unserve("red")  # meanwhile one goes, another comes
        self.lab.serve("blue", "20.0.10.2")
        self.assertEqual(self.bird.routes(), self.both)
        self.lab.start()
        self.wait_routes({"20.0.10.2/32": NODE_V4})

    def test_an_orderly_stop_takes_the_routes_at_once(self):
        exporter = self.lab.start()
        self.wait_routes(self.both)
        exporter.stop()
        self.wait_routes({}, timeout=5)
