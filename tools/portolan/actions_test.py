"""What people order over NETCONF and by command of a whole `portolan run`: explain, plan, reset, drain."""

import importlib
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

from ncclient import manager
from ncclient.operations import RPCError
from ncclient.xml_ import to_ele

client = importlib.import_module("services.config-service.interop.netconf_client")

_PORTOLAN = os.path.abspath("tools/portolan/portolan")
_OPEN, _UPDATE, _NOTIFICATION, _KEEPALIVE = 1, 2, 3, 4
_GRACEFUL_SHUTDOWN = bytes.fromhex("c00804ffff0000")  # RFC 1997's attribute with RFC 8326's value alone


class Router:
    """A BGP speaker that agrees to everything and remembers what it is told."""

    def __init__(self):
        self.sessions = []  # of each: list of (type, body)
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def heard(self, kind, session=-1):
        """Bodies of the messages of that type in the last session, or another one."""
        return [body for type_, body in self.sessions[session] if type_ == kind] if self.sessions else []

    def _accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            messages = []
            self.sessions.append(messages)
            threading.Thread(target=self._serve, args=(connection, messages), daemon=True).start()

    @staticmethod
    def _message(kind, body=b""):
        return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), kind) + body

    def _serve(self, connection, messages):
        received = b""
        with connection:
            while True:
                try:
                    octets = connection.recv(65536)
                except OSError:
                    return
                if not octets:
                    return
                received += octets
                while len(received) >= 19:
                    size, kind = struct.unpack("!HB", received[16:19])
                    if len(received) < size:
                        break
                    messages.append((kind, received[19:size]))
                    received = received[size:]
                    if kind == _OPEN:
                        hello = struct.pack("!BHHIB", 4, 65001, 0, 0x0A000001, 0)
                        connection.sendall(self._message(_OPEN, hello) + self._message(_KEEPALIVE))


def _service(name, **leaves):
    return {"namespace": "n", "name": name, "port": [{"name": "http", "port": 80}], **leaves}


def _configuration(port):
    """Only ipam and bgp run, so that no privilege is needed; what has an address is advertised."""

    def peer(name, **leaves):
        peer = {"name": name, "address": "127.0.0.1", "port": port, "remote-as": 65001, "hold-time": 0}
        return {**peer, **leaves}

    return {
        "portolan-ipam:ipam": {
            "pools": {"pool": [{"name": "p", "blocks": {"block": [{"id": "b", "first": "20.0.0.1", "last": "20.0.0.1"}]}}]}
        },
        "portolan-pipeline:pipeline": {
            "stages": {"stage": [{"name": "datapath", "enabled": False}, {"name": "l2", "enabled": False}]}
        },
        "portolan-bgp:bgp": {
            "instances": {
                "instance": [
                    {
                        "name": "lab",
                        "local-as": 65000,
                        "router-id": "10.0.0.2",
                        "peers": {"peer": [peer("tor"), peer("off", address="127.0.0.2", enabled=False)]},
                        "advertisements": {"advertisement": [{"name": "all"}]},
                    }
                ]
            }
        },
        "portolan-service:services": {"service": [_service("first"), _service("second")]},
    }


class ActionsTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="portolan-", dir="/tmp")  # a socket path is at most 107 bytes
        self.addCleanup(shutil.rmtree, self.directory)
        self.router = Router()
        self.addCleanup(self.router.close)
        with open(os.path.join(self.directory, "file.json"), "w", encoding="utf-8") as file:
            json.dump(_configuration(self.router.port), file)
        self.start()
        self.addCleanup(lambda: self.process.kill() or self.process.wait(timeout=30))
        client.until(lambda: self.router.heard(_UPDATE))
        self.session = client.Session(os.path.join(self.directory, "netconf.socket"))
        self.addCleanup(self.session.close)

    def start(self):
        words = ["--node", "a", "--run-dir", self.directory, "--state-dir", os.path.join(self.directory, "state")]
        file = os.path.join(self.directory, "file.json")
        self.process = subprocess.Popen(
            [_PORTOLAN, "run", *words, "--config", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def command(self, *words):
        done = subprocess.run(
            [_PORTOLAN, "--socket", self.directory, *words], capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def plan(self, config=""):
        reply = self.session.rpc(f'<plan xmlns="{client.IPAM}">{config}</plan>')
        self.assertIsNone(reply.tag, reply.text)
        return reply

    # ---- explain ----

    def test_explain_says_where_the_address_is_from(self):
        reply = self.session.action(client.explain("n", "first"))
        self.assertEqual(reply.texts("address"), ["20.0.0.1"])
        self.assertEqual(reply.texts("outcome"), ["granted"])
        self.assertEqual(reply.texts("pool"), ["p"])
        self.assertEqual(reply.texts("reason"), ["serves"])
        self.assertRegex(reply.texts("since")[0], r"^20\d\d-\d\d-\d\dT")

    def test_explain_says_why_there_is_no_address_and_what_would_help(self):
        reply = self.session.action(client.explain("n", "second"))
        self.assertEqual(reply.texts("address"), [])
        self.assertEqual(reply.texts("outcome"), ["waiting"])
        self.assertEqual(reply.texts("reason"), ["pool-exhausted"])
        self.assertTrue(reply.texts("summary")[0])
        self.assertTrue(reply.texts("remedy")[0])

    # ---- plan ----

    def test_plan_of_the_candidate_says_who_would_move_and_commits_nothing(self):
        self.assertEqual(self.plan().texts("move"), [], "it is running")
        block = "<blocks><block><id>b</id><first>20.0.0.8</first><last>20.0.0.9</last></block></blocks>"
        self.assertTrue(self.session.edit(client.pool("p", block)).ok)
        reply = self.plan()
        self.assertEqual(reply.texts("service"), ["n/first", "n/second"])
        self.assertEqual(reply.texts("address")[0], "20.0.0.1")
        self.assertEqual({*reply.texts("new-address"), reply.texts("address")[1]}, {"20.0.0.8", "20.0.0.9"})
        self.assertEqual(reply.texts("new-pool"), ["p"])
        self.assertTrue(reply.texts("message")[0])
        self.assertIn("20.0.0.1", self.session.get_config("running").text)
        self.assertIn("20.0.0.9", self.session.get_config("candidate").text)

    def test_plan_of_an_edit_says_who_would_get_an_address(self):
        pool = client.pool("q", "<blocks><block><id>b</id><cidr>20.0.1.0/24</cidr></block></blocks>")
        reply = self.plan(f"<config>{pool}</config>")
        self.assertEqual(reply.texts("move"), [])
        self.assertEqual(reply.texts("service"), ["n/second"])
        self.assertEqual(reply.texts("pool"), ["q"])
        self.assertEqual(self.session.pools("candidate"), ["p"])

    def test_plan_of_an_empty_startup_says_that_all_would_be_lost(self):
        reply = self.plan("<datastore>startup</datastore>")
        self.assertEqual(reply.texts("service"), ["n/first"])
        self.assertEqual(reply.texts("new-address"), [])

    # ---- BGP ----

    def test_hard_reset_tells_the_router_why_and_the_session_comes_back(self):
        reply = self.session.action(client.reset("lab", "tor", "<message>neues Kabel, größer</message>"))
        self.assertIn("peer lab/tor is reset", reply.texts("message")[0])
        client.until(lambda: self.router.heard(_NOTIFICATION, 0))
        text = "neues Kabel, größer".encode()
        self.assertEqual(self.router.heard(_NOTIFICATION, 0), [bytes([6, 4, len(text)]) + text])
        client.until(lambda: len(self.router.sessions) == 2 and self.router.heard(_UPDATE))

    def test_soft_reset_sends_the_routes_again(self):
        before = len(self.router.heard(_UPDATE))
        reply = self.session.action(client.reset("lab", "tor", "<mode>soft</mode>"))
        self.assertEqual(reply.texts("message"), ["peer lab/tor is sent its 1 routes again"])
        client.until(lambda: len(self.router.heard(_UPDATE)) > before)
        self.assertEqual(len(self.router.sessions), 1)

    def test_reset_of_a_peer_without_a_session_says_why(self):
        reply = self.session.action(client.reset("lab", "off"))
        self.assertEqual((reply.tag, reply.error("error-app-tag")), ("operation-failed", "not-now"))
        self.assertIn("enabled is false", reply.error("error-message"))
        self.assertIn("peer[name='off']", reply.error("error-path"))

    def test_a_message_of_too_many_octets_is_refused(self):
        reply = self.session.action(client.reset("lab", "tor", f"<message>{'ü' * 200}</message>"))
        self.assertEqual(reply.tag, "invalid-value")
        self.assertIn("400 octets", reply.error("error-message"))
        self.assertEqual(len(self.router.sessions), 1)

    def test_drain_marks_the_routes_and_undrain_takes_the_mark_away(self):
        self.session.action(client.bgp("<drain/>"))
        client.until(lambda: _GRACEFUL_SHUTDOWN in self.router.heard(_UPDATE)[-1])
        state = self.session.rpc("<get/>")
        self.assertIn("draining", state.texts("reason"))
        reply = self.session.action(client.bgp("<undrain/>"))
        self.assertEqual(reply.texts("message"), ["node a advertises its routes again"])
        client.until(lambda: _GRACEFUL_SHUTDOWN not in self.router.heard(_UPDATE)[-1])

    def test_an_exporter_that_is_switched_off_is_named_and_the_rest_answers(self):
        off = '<pipeline xmlns="urn:portolan:yang:portolan-pipeline"><stages><stage><name>bgp</name><enabled>false</enabled></stage></stages></pipeline>'
        self.assertTrue(self.session.edit(off).ok)
        self.assertTrue(self.session.commit().ok)
        client.until(lambda: self.session.action(client.bgp("<undrain/>")).tag is not None)
        reply = self.session.action(client.bgp("<undrain/>"))
        self.assertEqual(reply.error("error-app-tag"), "service-unavailable")
        self.assertIn("bgp-exporter does not run in this process", reply.error("error-message"))
        self.assertEqual(self.session.action(client.explain("n", "first")).texts("address"), ["20.0.0.1"])

    # ---- the same by another client ----

    def ncclient(self):
        """A session of ncclient over SSH, of an administrator with a key."""
        key, port = os.path.join(self.directory, "key"), client.free_port()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        with open(key + ".pub", encoding="ascii") as file:
            user = f"<user><name>ann</name><authorized-key>{file.read().strip()}</authorized-key></user>"
        listen = f"<listen><name>main</name><address>127.0.0.1</address><port>{port}</port></listen>"
        admins = "<group><name>portolan-admin</name><user-name>ann</user-name></group>"
        access = f'<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><groups>{admins}</groups></nacm>'
        ssh = f'<system xmlns="{client.SYSTEM}"><netconf><ssh>{listen}{user}</ssh></netconf></system>'
        self.assertTrue(self.session.edit(ssh + access).ok)
        self.assertTrue(self.session.commit().ok)

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        client.until(listens)
        options = {"hostkey_verify": False, "look_for_keys": False, "allow_agent": False, "timeout": 30}
        return manager.connect(host="127.0.0.1", port=port, username="ann", key_filename=key, **options)

    def test_ncclient_calls_each_of_them(self):
        with self.ncclient() as session:
            for content, words in (
                (client.action(client.explain("n", "first")), "20.0.0.1"),
                (client.action(client.reset("lab", "tor", "<mode>soft</mode>")), "routes again"),
                (client.action(client.bgp("<drain><hold-time>60</hold-time></drain>")), "graceful-shutdown"),
                (client.action(client.bgp("<undrain/>")), "advertises its routes again"),
                (f'<plan xmlns="{client.IPAM}"/>', "rpc-reply"),
            ):
                with self.subTest(content):
                    self.assertIn(words, session.dispatch(to_ele(content)).xml)
            for content in ("<trace/>", "<flush-flows><client>192.0.2.0/24</client></flush-flows>"):
                with self.subTest(content), self.assertRaises(RPCError) as refused:
                    session.dispatch(to_ele(client.action(client.datapath(content))))
                self.assertIn("datapath-loader does not run in this process", refused.exception.message)

    # ---- the same by command ----

    def test_commands_reset_and_drain(self):
        self.assertEqual(self.command("bgp", "reset", "tor", "--message", "bye"), (0, "peer lab/tor is reset; the session comes back by itself\n"))
        client.until(lambda: len(self.router.sessions) == 2 and self.router.heard(_UPDATE))
        self.assertEqual(self.command("bgp", "reset", "lab/tor", "--soft"), (0, "peer lab/tor is sent its 1 routes again\n"))
        code, said = self.command("bgp", "drain", "--hold-time", "0")
        self.assertEqual((code, said), (0, "the 1 routes of node a are withdrawn now\n"))
        self.assertIn("portolan bgp undrain", self.command("get", "problems")[1])
        self.assertEqual(self.command("bgp", "undrain"), (0, "node a advertises its routes again\n"))

    def test_commands_that_cannot_be_carried_out_say_why(self):
        code, said = self.command("bgp", "reset", "rot")
        self.assertNotEqual(code, 0)
        self.assertIn("there is no BGP peer rot", said)
        self.assertNotEqual(self.command("bgp", "drain", "--hold-time", "86401")[0], 0)
        self.assertNotEqual(self.command("bgp", "reset", "tor", "--soft", "--message", "x")[0], 0)


