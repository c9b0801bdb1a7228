"""What bgp-exporter says of an edit before it is committed: the whole of Portolan beside the real GoBGP."""

import json
import os
import shutil
import subprocess
import unittest

from integration.topology import Topology, wait_until

_PORTOLAN = os.path.abspath("tools/portolan/portolan")
_NODE, _ROUTER = "10.98.0.1", "10.98.0.2"
_NODE_AS, _ROUTER_AS = 64513, 64512
_PEER = "/portolan-bgp:bgp/instances/instance[name='lab']/peers/peer[name='tor']"

_GOBGP = f"""
[global.config]
  as = {_ROUTER_AS}
  router-id = "{_ROUTER}"
[[neighbors]]
  [neighbors.config]
    neighbor-address = "{_NODE}"
    peer-as = {_NODE_AS}
  [neighbors.timers.config]
    connect-retry = 1
    idle-hold-time-after-reset = 1
"""


def _bgp(peer=None, **instance):
    return {"portolan-bgp:bgp": {"instances": {"instance": [{"name": "lab", **instance} | (peer or {})]}}}


def _peer(**fields):
    return {"peers": {"peer": [{"name": "tor", **fields}]}}


_CONFIG = {
    "portolan-pipeline:pipeline": {
        "stages": {"stage": [{"name": "datapath", "enabled": False}, {"name": "l2", "enabled": False}]}
    },
    "portolan-ipam:ipam": {
        "pools": {"pool": [{"name": "p", "blocks": {"block": [{"id": "0", "cidr": "192.0.2.200/29"}]}}]}
    },
    "portolan-service:services": {
        "service": [{"namespace": "t", "name": "web", "port": [{"name": "http", "port": 80}]}]
    },
} | _bgp(
    _peer(**{"address": _ROUTER, "remote-as": _ROUTER_AS, "connect-retry-time": 1})
    | {"advertisements": {"advertisement": [{"name": "all"}]}},
    **{"local-as": _NODE_AS, "router-id": _NODE},
)


@unittest.skipUnless(os.geteuid() == 0, "needs root, for network namespaces")
@unittest.skipUnless(shutil.which("gobgpd"), "needs gobgpd")
class ReviewTest(unittest.TestCase):
    def setUp(self):
        topology = Topology()
        topology.__enter__()
        self.addCleanup(topology.__exit__)
        self.node = topology.host("node")
        self.router = topology.host("router")
        topology.link(self.node, self.router, [f"{_NODE}/24"], [f"{_ROUTER}/24"])
        self.directory = topology.run_dir
        self.run_dir = os.path.join(self.directory, "run")
        self.router.spawn(["gobgpd", "-f", self.write("gobgp.toml", _GOBGP)])
        state = os.path.join(self.directory, "state")
        self.node.spawn([_PORTOLAN, "run", "--node", "a", "--run-dir", self.run_dir, "--state-dir", state])
        wait_until(lambda: self.portolan("config", "show")[0] == 0, timeout=20, what="Portolan answers")
        self.apply(_CONFIG)
        wait_until(lambda: self.routes() == ["192.0.2.200/32"], timeout=30, what="the route is at the router")

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def portolan(self, *words):
        argv = [_PORTOLAN, "--socket", self.run_dir, *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stdout + done.stderr

    def apply(self, data, *flags):
        code, said = self.portolan("config", "apply", self.write("edit.json", json.dumps(data)), *flags)
        self.assertEqual(code, 0, said)
        return said

    def routes(self):
        return sorted(json.loads(self.router.run(["gobgp", "-j", "global", "rib"]).stdout))

    def test_an_edit_that_resets_a_session_names_the_peer_and_is_committed(self):
        edit = _bgp(_peer(**{"hold-time": 30}))
        wanted = (
            f"warning: the session with peer lab/tor ({_ROUTER}) is established and would be reset, to be opened anew "
            "as configured; 1 route is withdrawn from it meanwhile"
        )
        said = self.apply(edit, "--dry-run")
        self.assertIn(wanted, said)
        self.assertIn("nothing changed", said)
        self.assertEqual(self.routes(), ["192.0.2.200/32"])
        self.assertIn(wanted, self.apply(edit))
        # It is not told again of what does not change the session.
        wait_until(self._is_quiet, timeout=30, what="the session is back, and a repetition resets nothing")

    def _is_quiet(self):
        said = self.apply(_bgp(_peer(**{"connect-retry-time": 2})), "--dry-run")
        return self.routes() == ["192.0.2.200/32"] and "warning" not in said

    def test_an_edit_that_withdraws_routes_counts_them(self):
        self.apply({"portolan-ipam:ipam": {"pools": {"pool": [{"name": "other"}]}}})
        data = _bgp({"advertisements": {"advertisement": [{"name": "all", "pool": ["other"]}]}})
        self.assertIn(
            f"1 route would be withdrawn from peer lab/tor ({_ROUTER}), the first is 192.0.2.200/32 of service t/web",
            self.apply(data),
        )
        wait_until(lambda: self.routes() == [], timeout=10, what="the route is withdrawn")

    def test_the_end_of_a_peer_is_told(self):
        code, said = self.portolan("config", "delete", _PEER, "--dry-run")
        self.assertEqual(code, 0, said)
        self.assertIn("is established and would end; 1 route is withdrawn from it", said)


if __name__ == "__main__":
    unittest.main()
