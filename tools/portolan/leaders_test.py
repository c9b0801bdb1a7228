"""Two `portolan run` on one etcd and one that joined both, without privilege: what people see of the standby."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

_PORTOLAN = os.path.abspath("tools/portolan/portolan")
_ETCD = "/usr/bin/etcd"


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _service(name):
    return {
        "portolan-service:services": {
            "service": [{"namespace": "n", "name": name, "port": [{"name": "http", "port": 80}]}]
        }
    }


def _configuration(etcd_port):
    """Only ipam and bgp run, so that no privilege is needed; bgp tells of every Service that has an address."""
    return {
        "portolan-ipam:ipam": {
            "store": {"etcd": {"endpoint": [f"127.0.0.1:{etcd_port}"], "key-prefix": "t/", "lease-ttl": 2}},
            "pools": {"pool": [{"name": "p", "blocks": {"block": [{"id": "b", "cidr": "20.0.0.0/24"}]}}]},
        },
        "portolan-pipeline:pipeline": {
            "stages": {"stage": [{"name": "datapath", "enabled": False}, {"name": "l2", "enabled": False}]}
        },
        "portolan-bgp:bgp": {"instances": {"instance": [{"name": "main", "local-as": 64512, "router-id": "10.0.0.2"}]}},
        **_service("first"),
    }


@unittest.skipUnless(os.access(_ETCD, os.X_OK), "etcd is not installed: apt-get install etcd-server")
class LeadersTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="portolan-", dir="/tmp")  # a socket path is at most 107 bytes
        self.addCleanup(shutil.rmtree, self.directory)
        port, peer = _free_port(), _free_port()
        self._run(
            [_ETCD, f"--data-dir={self.directory}/etcd", "--log-level=error"]
            + [f"--{kind}-client-urls=http://127.0.0.1:{port}" for kind in ("listen", "advertise")]
            + [f"--{kind}-peer-urls=http://127.0.0.1:{peer}" for kind in ("listen", "initial-advertise")]
            + [f"--initial-cluster=default=http://127.0.0.1:{peer}"],
        )
        with open(self._path("file.json"), "w", encoding="utf-8") as file:
            json.dump(_configuration(port), file)
        self.leader = self._portolan("a", "--config", self._path("file.json"))
        self._until(lambda: self._services("a") == {"n/first": ["20.0.0.0"]})
        self._portolan("b", "--config", self._path("file.json"))
        self._until(lambda: "leader is a" in self._ask("b", "get", "problems")[1])

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _run(self, argv):
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def stop():
            process.kill()
            process.wait(timeout=20)

        self.addCleanup(stop)
        return process

    def _portolan(self, node, *words):
        place = self._path(node)
        return self._run(
            [_PORTOLAN, "run", "--node", node, "--run-dir", place, "--state-dir", os.path.join(place, "state"), *words]
        )

    def _ask(self, nodes, *words, said=""):
        sockets = [word for node in nodes for word in ("--socket", self._path(node))]
        done = subprocess.run(
            [_PORTOLAN, *sockets, *words], input=said, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def _services(self, nodes):
        code, said = self._ask(nodes, "get", "services", "-o", "json")
        return {row["service"]: row["addresses"] for row in json.loads(said)} if code == 0 else None

    def _joined_heard_of(self):
        code, said = self._ask("c", "get", "problems", "-o", "json")
        rows = json.loads(said) if code == 0 else []
        return sorted(row["object"] for row in rows if row["component"] == "bgp" and row["kind"] == "service")

    def _until(self, wish):
        deadline = time.monotonic() + 30
        while not wish():
            self.assertLess(time.monotonic(), deadline, "waited in vain")
            time.sleep(0.05)

    def test_a_standby_says_who_leads_and_a_second_socket_answers_instead(self):
        for words in (("get", "services"), ("get", "pools"), ("get", "addresses"), ("explain", "service", "n/first")):
            code, said = self._ask("b", *words)
            self.assertEqual(code, 1, said)
            self.assertIn("ipam-service of node b does not serve: standby, leader is a", said)
            self.assertIn("ask the process that leads, with --socket", said)
            code, said = self._ask("ba", *words)
            self.assertNotEqual(code, 1, said)
        self.assertEqual(self._services("ba"), {"n/first": ["20.0.0.0"]})

    def test_plan_on_a_standby_says_who_leads(self):
        code, said = self._ask("b", "plan", "--delete", "/portolan-ipam:ipam/pools/pool[name='p']")
        self.assertEqual(code, 1, said)
        self.assertIn("standby, leader is a", said)

    def test_a_node_that_joined_both_follows_whoever_leads(self):
        self._portolan("c", "--join", ",".join(f"unix:{self._path(node)}/portolan.sock" for node in "ab"))
        self._until(lambda: self._joined_heard_of() == ["n/first"])
        self.leader.kill()
        self.leader.wait(timeout=20)
        self._until(lambda: self._services("b") == {"n/first": ["20.0.0.0"]})
        code, said = self._ask("b", "config", "apply", "-", said=json.dumps(_service("second")))
        self.assertEqual(code, 0, said)
        self._until(lambda: self._joined_heard_of() == ["n/first", "n/second"])


if __name__ == "__main__":
    unittest.main()
