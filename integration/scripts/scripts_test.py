"""Every script, played both ways: in one process and as separate services."""

import glob
import os
import shutil
import tempfile
import unittest

from integration.scripts.player import Player, ScriptFailed
from integration.scripts.script import Script
from integration.scripts.world import SERVICES, World
from integration.topology import HttpBackend, Topology

_BINARIES = {
    "portolan": "tools/portolan/portolan",
    **{name: f"services/{name}/{name}" for name in SERVICES},
}


def _scripts():
    pattern = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scripts", "*.txt")
    for path in sorted(glob.glob(pattern)):
        with open(path, encoding="utf-8") as file:
            yield Script(os.path.basename(path), file.read())


def _play(script, way):
    directory = tempfile.mkdtemp(prefix="portolan-script-")
    try:
        if script.needs_root:
            _play_in_laboratory(script, way, directory)
        else:
            _play_in_world(script, World(directory, _BINARIES, way, script.section("config.json")))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _play_in_laboratory(script, way, directory):
    """One node between a client's LAN and a backend."""
    with Topology() as lab:
        lan = lab.bridge("lan")
        client = lab.host("client")
        node = lab.host("node", forwarding=True)
        backend = lab.host("backend")
        lab.connect(client, lan, addresses=["192.0.2.10/24", "2001:db8:1::10/64"])
        client.add_route("2001:db8:1:2::/64", interface="lan")
        lab.connect(node, lan, addresses=["192.0.2.11/24", "2001:db8:1::11/64"])
        lab.link(
            node,
            backend,
            ["10.244.1.1/24", "fd00:244::1/64"],
            ["10.244.1.2/24", "fd00:244::2/64"],
            left_interface="pods",
        )
        backend.add_route("default", via="10.244.1.1")
        backend.add_route("default", via="fd00:244::1")
        HttpBackend(backend, port=8080)
        _play_in_world(script, World(directory, _BINARIES, way, script.section("config.json"), node), client)


def _play_in_world(script, world, client=None):
    try:
        Player(script, world, client).play()
    finally:
        world.close()


class ScriptsTest(unittest.TestCase):
    """One method a script and a way, added below."""


def _add(script, way):
    def test(self):
        if script.needs_root and os.geteuid() != 0:
            self.skipTest("namespaces and BPF need root")
        _play(script, way)

    name = script.name.removesuffix(".txt").replace("-", "_")
    setattr(ScriptsTest, f"test_{name}_{way}", test)


for _script in _scripts():
    for _way in ("standalone", "services"):
        _add(_script, _way)


class PlayerTest(unittest.TestCase):
    """A script that claims something false must fail."""

    def test_a_false_claim_fails(self):
        text = 'want pools nothing\n-- config.json --\n{"portolan-pipeline:pipeline": {"stages": {"stage": [' \
               '{"name": "datapath", "enabled": false}, {"name": "l2", "enabled": false}]}}}\n' \
               "-- nothing --\nPOOL   of another world\n"
        with self.assertRaises(ScriptFailed):
            _play(Script("false", text), "standalone")

    def test_an_unknown_command_fails(self):
        text = "dance\n-- config.json --\n{}\n"
        with self.assertRaises(ScriptFailed):
            Player(Script("unknown", text), world=_NoWorld()).play()


class _NoWorld:
    def logs(self):
        return ""


if __name__ == "__main__":
    unittest.main()
