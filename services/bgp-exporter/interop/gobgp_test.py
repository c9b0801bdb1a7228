"""bgp-exporter against the real GoBGP."""

import importlib
import json
import os
import unittest

from integration.topology import wait_until

lab_module = importlib.import_module("services.bgp-exporter.interop.laboratory")
NODE_V4, NODE_V6, NODE_AS = lab_module.NODE_V4, lab_module.NODE_V6, lab_module.NODE_AS


def _family(name):
    return f"""
[[neighbors.afi-safis]]
  [neighbors.afi-safis.config]
    afi-safi-name = "{name}-unicast"
  [neighbors.afi-safis.mp-graceful-restart.config]
    enabled = true
"""


_CONFIG = f"""
[global.config]
  as = {lab_module.ROUTER_AS}
  router-id = "{lab_module.ROUTER_V4}"
[[neighbors]]
  [neighbors.config]
    neighbor-address = "{NODE_V4}"
    peer-as = {NODE_AS}
  [neighbors.timers.config]
    hold-time = 9
    keepalive-interval = 3
    connect-retry = 1
    idle-hold-time-after-reset = 1
  [neighbors.graceful-restart.config]
    enabled = true
    restart-time = 60
{_family("ipv4")}
{_family("ipv6")}
"""


class GoBgp:
    def __init__(self, lab):
        self.host = lab.router
        self.config = os.path.join(lab.topology.run_dir, "gobgp.toml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(_CONFIG)
        self.start()

    def start(self):
        self.daemon = self.host.spawn(["gobgpd", "-f", self.config])
        wait_until(lambda: self.ask("global"), what="GoBGP answers")

    def ask(self, *words):
        return json.loads(self.host.run(["gobgp", "-j", *words]).stdout)

    def paths(self):
        """Prefix -> path of both families."""
        found = {}
        for family in ("ipv4", "ipv6"):
            for prefix, paths in self.ask("global", "rib", "-a", family).items():
                found[prefix] = paths[0]
        return found

    def routes(self):
        """Prefix -> (next hop, stale)."""
        return {prefix: (_next_hop(path), bool(path.get("stale"))) for prefix, path in self.paths().items()}


def _next_hop(path):
    return next(attribute["nexthop"] for attribute in path["attrs"] if "nexthop" in attribute)


@lab_module.needs("gobgpd", "gobgp")
class GoBgpTest(unittest.TestCase):
    def setUp(self):
        self.lab = lab_module.Laboratory()
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__, None, None, None)
        self.gobgp = GoBgp(self.lab)
        self.lab.configure()
        self.lab.serve("red", "20.0.10.1", "2001:db8:beef::1")
        self.both = {"20.0.10.1/32": (NODE_V4, False), "2001:db8:beef::1/128": (NODE_V6, False)}

    def wait_routes(self, want, timeout=20):
        wait_until(lambda: self.gobgp.routes() == want, timeout, what=f"routes {want}")

    def test_routes_of_both_families_come_and_go(self):
        self.lab.start()
        self.lab.wait_established()
        self.wait_routes(self.both)
        attributes = {attribute["type"]: attribute for attribute in self.gobgp.paths()["20.0.10.1/32"]["attrs"]}
        self.assertEqual(attributes[2]["as_paths"][0]["asns"], [NODE_AS])
        self.assertEqual(attributes[8]["communities"], [65000 << 16 | 100])
        self.lab.unserve("red")
        self.wait_routes({})

    def test_reconnects_after_the_router_restarts(self):
        self.lab.start()
        self.wait_routes(self.both)
        self.gobgp.daemon.kill()
        wait_until(lambda: self.lab.published("Route") == {}, what="the loss of the session is noticed")
        self.gobgp.start()
        self.wait_routes(self.both, timeout=30)

    def test_routes_survive_a_kill(self):
        exporter = self.lab.start()
        self.wait_routes(self.both)
        exporter.kill()
        wait_until(lambda: self.gobgp.routes().get("20.0.10.1/32") == (NODE_V4, True), what="a stale route")
        self.lab.unserve("red")  # meanwhile one goes, another comes
        self.lab.serve("blue", "20.0.10.2")
        self.lab.start()
        self.wait_routes({"20.0.10.2/32": (NODE_V4, False)})

    def test_an_orderly_stop_takes_the_routes_at_once(self):
        exporter = self.lab.start()
        self.wait_routes(self.both)
        exporter.stop()
        self.wait_routes({}, timeout=5)
