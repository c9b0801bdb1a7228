"""A node with bgp-exporter and a router beside it, for interop tests against real routers.

The exporter is the real binary with its own sockets; what it reads from is played by the program `upstreams`. Both
live as long as the laboratory. Addresses: the node is 10.99.0.1 and 2001:db8:99::1, the router .2 and ::2.
"""

import json
import os
import shutil
import subprocess
import unittest

from integration.topology import CommandFailed, Topology, wait_until

NODE_V4, ROUTER_V4 = "10.99.0.1", "10.99.0.2"
NODE_V6, ROUTER_V6 = "2001:db8:99::1", "2001:db8:99::2"
NODE_AS, ROUTER_AS = 4200000001, 65000
_BINARIES = "services/bgp-exporter"


class Laboratory:
    """`with Laboratory() as lab:`; `lab.router` is the host for the router, `lab.node` the exporter's."""

    def __init__(self):
        self.topology = Topology()
        self.exporter = None

    def __enter__(self):
        self.topology.__enter__()
        try:
            self._build()
        except BaseException:
            self.topology.__exit__()
            raise
        return self

    def _build(self):
        self.node = self.topology.host("node")
        self.router = self.topology.host("router", forwarding=True)
        self.topology.link(
            self.node, self.router, [f"{NODE_V4}/24", f"{NODE_V6}/64"], [f"{ROUTER_V4}/24", f"{ROUTER_V6}/64"]
        )
        self.run_dir = os.path.join(self.topology.run_dir, "run")
        self.state_dir = os.path.join(self.topology.run_dir, "state")
        os.mkdir(self.run_dir)
        self.upstreams = subprocess.Popen(
            [os.path.abspath(f"{_BINARIES}/interop/upstreams"), self.run_dir],
            encoding="utf-8",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._expect_ok()

    def __exit__(self, *error):
        self.upstreams.stdin.close()
        self.topology.__exit__(*error)
        self.upstreams.terminate()
        self.upstreams.wait()
        self.upstreams.stdout.close()

    # ---- the exporter ----

    def start(self):
        """Starts the exporter on the node."""
        self.exporter = self.node.spawn(
            [
                os.path.abspath(f"{_BINARIES}/bgp-exporter"),
                *("--node", "a", "--run-dir", self.run_dir, "--state-dir", self.state_dir),
            ]
        )
        return self.exporter

    def tell(self, line):
        """One line to the upstreams, see upstreams.cc; returns the rows before its "ok"."""
        self.upstreams.stdin.write(line + "\n")
        self.upstreams.stdin.flush()
        return self._expect_ok()

    def _expect_ok(self):
        rows = []
        while True:
            line = self.upstreams.stdout.readline().rstrip("\n")
            if line == "ok":
                return rows
            if " {" not in line:
                raise CommandFailed(f"upstreams: {line}")
            rows.append(line)

    def set(self, table, key, /, **fields):
        self.tell(f"set {table} {key} {json.dumps(fields)}")

    def remove(self, table, key):
        self.tell(f"remove {table} {key}")

    def published(self, table):
        """Key -> row of PeerState, Route or ObjectStatus."""
        rows = (line.split(" ", 1) for line in self.tell(f"get {table}"))
        return {key: json.loads(text) for key, text in rows}

    # ---- what most tests configure ----

    def configure(self, instance=None, peer=None, advertisement=None):
        """Instance "lab", peer "tor" at ROUTER_V4 and an advertisement of everything; fields may be replaced."""
        self.set(
            "BgpInstance",
            "lab",
            **{"name": "lab", "local_as": NODE_AS, "router_id": NODE_V4, "graceful_restart_time_s": 60}
            | (instance or {}),
        )
        self.set_peer(**(peer or {}))
        self.set(
            "BgpAdvertisement",
            "lab/all",
            **{"instance": "lab", "name": "all", "communities": ["65000:100"], "local_preference": 200}
            | (advertisement or {}),
        )
        self.tell("sync")

    def set_peer(self, **fields):
        self.set(
            "BgpPeer",
            "lab/tor",
            **{
                **{"instance": "lab", "name": "tor", "address": ROUTER_V4, "port": 179, "remote_as": ROUTER_AS},
                **{"hold_time_s": 9, "connect_retry_time_s": 2, "enabled": True},
                "families": [{"family": "IP_FAMILY_IPV4"}, {"family": "IP_FAMILY_IPV6"}],
            }
            | fields,
        )

    def serve(self, name, *addresses, labels=None):
        """A service with these addresses that the datapath can carry."""
        self.open_gate(name, *addresses)
        grants = [{"address": address, "pool": "main"} for address in addresses]
        key = f"default/{name}"
        self.set("Allocation", key, key=key, generation=1, grants=grants, labels=labels or {})

    def open_gate(self, name, *addresses):
        key = f"default/{name}"
        self.set(
            "ObjectStatus",
            f"datapath/a/service/{key}",
            **{"component": "datapath", "node": "a", "kind": "service", "key": key, "state": "STATE_READY"},
            addresses=addresses,
        )

    def unserve(self, name):
        self.remove("Allocation", f"default/{name}")

    def wait_established(self, timeout=20):
        wait_until(
            lambda: self.published("PeerState").get("a/lab/tor", {}).get("session_state") == "established",
            timeout,
            what="the session is established",
        )

    def peer_status(self):
        return self.published("ObjectStatus").get("bgp/a/peer/lab/tor", {})

    def service_status(self, name):
        return self.published("ObjectStatus").get(f"bgp/a/service/default/{name}", {})


def needs(*programs):
    """Decorates a test case that needs root and these programs."""
    missing = [program for program in programs if not os.path.exists(program) and not shutil.which(program)]
    if os.geteuid() != 0:
        return unittest.skip("needs root for network namespaces: run with sudo")
    if missing:
        return unittest.skip(f"not installed: {', '.join(missing)}")
    return lambda case: case
