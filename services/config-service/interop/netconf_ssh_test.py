"""NETCONF over SSH, driven by ncclient, yangcli and OpenSSH's ssh."""

import contextlib
import importlib
import os
import socket
import subprocess
import time
import unittest

from ncclient import manager
from ncclient.operations import RPCError
from ncclient.transport.errors import AuthenticationError
from ncclient.xml_ import to_ele

client = importlib.import_module("services.config-service.interop.netconf_client")
pool = client.pool


class SshTest(client.NetconfTestCase):
    @classmethod
    def setUpClass(cls):
        cls.hash = subprocess.run(
            ["openssl", "passwd", "-6", "secret"], capture_output=True, text=True, check=True
        ).stdout.strip()

    def setUp(self):
        super().setUp()
        self.key = os.path.join(self.service.directory, "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        with open(self.key + ".pub", encoding="ascii") as file:
            line = file.read().strip()
        self.port = client.free_port()
        user = f"<user><name>ann</name><authorized-key>{line}</authorized-key><password-hash>{self.hash}</password-hash></user>"
        admins = "<group><name>portolan-admin</name><user-name>ann</user-name></group>"
        access = f'<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><groups>{admins}</groups></nacm>'
        self.assert_ok(self.session.edit(self.ssh(self.listen("main", self.port) + user) + access))
        self.assert_ok(self.session.commit())
        client.until(lambda: client.listens(self.port))

    @staticmethod
    def ssh(content):
        return f'<system xmlns="{client.SYSTEM}" xmlns:nc="{client.BASE}"><netconf><ssh>{content}</ssh></netconf></system>'

    @staticmethod
    def listen(name, port, attributes=""):
        return f"<listen {attributes}><name>{name}</name><address>127.0.0.1</address><port>{port}</port></listen>"

    def connect(self, **options):
        known = {"password": "secret"} if not options else options
        return manager.connect(
            host="127.0.0.1",
            port=self.port,
            username=known.pop("username", "ann"),
            hostkey_verify=False,
            look_for_keys=False,
            allow_agent=False,
            timeout=30,
            **known,
        )

    def test_ncclient_edits_and_commits(self):
        with self.connect() as session:
            with session.locked("candidate"):
                session.edit_config(f"<config xmlns='{client.BASE}'>{pool('a')}</config>", target="candidate")
                session.validate("candidate")
                session.commit()
            data = session.get_config("running", filter=("subtree", pool("a"))).data_xml
            self.assertIn("<name>a</name>", data)
            with self.assertRaises(RPCError) as refused:
                session.edit_config(f"<config xmlns='{client.BASE}'>{pool('a', '<priority>x</priority>')}</config>", target="candidate")
            self.assertEqual(refused.exception.tag, "invalid-value")
            self.assertIn("module portolan-ipam", session.get_schema("portolan-ipam").data)
        self.assertEqual(self.session.pools(), ["a"])

    def test_user_who_is_no_admin_may_read_and_not_write(self):
        user = f"<user><name>bob</name><password-hash>{self.hash}</password-hash></user>"
        self.assert_ok(self.session.edit(self.ssh(user)))
        self.put("a")
        with self.connect(username="bob", password="secret") as session:
            self.assertIn("<name>a</name>", session.get_config("running").data_xml)
            with self.assertRaises(RPCError) as refused:
                session.edit_config(f"<config xmlns='{client.BASE}'>{pool('b')}</config>", target="candidate")
            self.assertEqual(refused.exception.tag, "access-denied")
        self.assertEqual(self.session.pools("candidate"), ["a"])

    def test_ncclient_calls_actions_as_far_as_the_rules_permit(self):
        user = f"<user><name>bob</name><password-hash>{self.hash}</password-hash></user>"
        self.assert_ok(self.session.edit(self.ssh(user)))
        self.put("a")
        for name, tags in (("ann", ("data-missing", "operation-failed")), ("bob", ("data-missing", "access-denied"))):
            with self.connect(username=name, password="secret") as session:
                for action, tag in zip((client.explain("n", "gone"), client.bgp("<drain/>")), tags):
                    with self.subTest(user=name, tag=tag), self.assertRaises(RPCError) as refused:
                        session.dispatch(to_ele(client.action(action)))
                    self.assertEqual(refused.exception.tag, tag)
            self.assertEqual(refused.exception.path, "/portolan-bgp:bgp")
        with self.connect(username="bob", password="secret") as session:
            with self.assertRaises(RPCError) as refused:
                session.dispatch(to_ele(f'<plan xmlns="{client.IPAM}"/>'))
            self.assertEqual(refused.exception.tag, "access-denied")

    def test_ncclient_with_a_key_and_a_confirmed_commit(self):
        with self.connect(key_filename=self.key) as session:
            session.edit_config(f"<config xmlns='{client.BASE}'>{pool('a')}</config>", target="candidate")
            session.commit(confirmed=True, timeout="60")
            session.commit()
            session.discard_changes()
        self.assertEqual(self.session.pools(), ["a"])

    def test_ncclient_hears_notifications(self):
        with self.connect() as session:
            session.create_subscription()
            self.put("a")
            names = set()
            while "netconf-config-change" not in names:
                notification = session.take_notification(timeout=20)
                self.assertIsNotNone(notification)
                names.add(notification.notification_ele[1].tag.rpartition("}")[2])

    def test_yangcli_reads_every_schema_and_the_configuration(self):
        """It asks get-schema for each module at once: what the library's own answer did not survive."""
        self.put("home")
        done = subprocess.run(
            [
                "yangcli",
                "--server=127.0.0.1",
                f"--ncport={self.port}",
                "--user=ann",
                "--password=secret",
                "--batch-mode",
                "--run-command=get-config source=running",
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "HOME": self.service.directory},
        )
        self.assertRegex(done.stdout + done.stderr, r"name home", done.stdout + done.stderr)

    def test_plain_ssh_runs_the_subsystem(self):
        hello = (
            f'<hello xmlns="{client.BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability>'
            "</capabilities></hello>]]>]]>"
        )
        rpc = f'<rpc xmlns="{client.BASE}" message-id="7"><close-session/></rpc>]]>]]>'
        command = ["ssh", "-i", self.key, "-p", str(self.port), "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"]
        command += ["-o", "UserKnownHostsFile=/dev/null", "-s", "ann@127.0.0.1", "netconf"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as ssh:
            ssh.stdin.write((hello + rpc).encode())
            ssh.stdin.flush()
            self.assertIn(b'message-id="7"><ok/>', ssh.stdout.read())

    def test_blank_message_and_bad_chunks_end_the_session_alone(self):
        hello = (
            f'<hello xmlns="{client.BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1.1</capability>'
            "</capabilities></hello>]]>]]>"
        )
        command = ["ssh", "-i", self.key, "-p", str(self.port), "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"]
        command += ["-o", "UserKnownHostsFile=/dev/null", "-s", "ann@127.0.0.1", "netconf"]
        for octets in (b"\n##\n", b"\n#0\n\n##\n"):
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as ssh:
                ssh.stdin.write(hello.encode() + octets)
                ssh.stdin.flush()
                self.assertIn(b"</hello>", ssh.stdout.read())
        self.assertEqual(self.open().pools(), [])
        self.assertIsNone(self.service.process.poll())

    def test_wrong_password_and_unknown_user_are_refused(self):
        for options in ({"password": "wrong"}, {"username": "bob", "password": "secret"}):
            with self.assertRaises(AuthenticationError):
                self.connect(**options)

    def test_host_key_is_for_its_owner_alone_and_stays(self):
        path = os.path.join(self.service.directory, "ssh_host_key")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        with open(path, "rb") as file:
            key = file.read()
        self.assertEqual(self.service.terminate(), 0)
        self.service.start()
        client.until(lambda: client.listens(self.port))
        with open(path, "rb") as file:
            self.assertEqual(file.read(), key)

    def test_endpoints_come_and_go_without_a_restart(self):
        other = client.free_port()
        self.assert_ok(self.session.edit(self.ssh(self.listen("other", other))))
        self.assert_ok(self.session.commit())
        client.until(lambda: client.listens(other))
        with self.connect() as open_session:
            self.assert_ok(self.session.edit(self.ssh(self.listen("main", self.port, 'nc:operation="remove"'))))
            self.assert_ok(self.session.commit())
            client.until(lambda: not client.listens(self.port))
            self.assertTrue(open_session.get_config("running").ok)
        self.assertTrue(client.listens(other))

    def test_port_that_is_taken_refuses_nothing_else(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.assert_ok(self.session.edit(self.ssh(self.listen("bad", port))))
            self.assert_ok(self.session.commit())
            with self.connect() as session:
                self.assertTrue(session.get_config("running").ok)
            client.until(lambda: f"cannot listen on 127.0.0.1 port {port}" in self.log())
            status = self.status("endpoint/ssh/bad")
            self.assertEqual((status["state"], status["reason"]), ("failed", "not-listening"))
            self.assertIn(f"cannot listen on 127.0.0.1 port {port}: Address already in use; free the port", status["message"])
            self.assertIn("/portolan-system:system/netconf", status["remedy"])
            self.assertEqual(self.status("endpoint/ssh/main")["state"], "ready")
        # Any commit tries it again.
        self.put("a")
        client.until(lambda: self.status("endpoint/ssh/bad")["state"] == "ready")
        self.assert_ok(self.session.edit(self.ssh(self.listen("bad", port, 'nc:operation="remove"'))))
        self.assert_ok(self.session.commit())
        client.until(lambda: self.status("endpoint/ssh/bad") == {})

    def test_idle_connection_delays_nobody(self):
        """libnetconf2 waits ten seconds for a peer that says nothing."""
        with contextlib.ExitStack() as stack:
            for _ in range(300):
                stack.enter_context(socket.create_connection(("127.0.0.1", self.port)))
            session = stack.enter_context(self.connect())
            began = time.monotonic()
            self.assertTrue(session.get_config("running").ok)
            self.assertEqual(self.session.pools(), [])
            with self.connect() as second:
                self.assertTrue(second.get_config("running").ok)
            self.assertLess(time.monotonic() - began, 5)

    def test_stops_in_time_while_a_peer_says_nothing(self):
        with socket.socket() as idle:
            idle.connect(("127.0.0.1", self.port))
            began = time.monotonic()
            self.assertEqual(self.service.terminate(), 0)
            self.assertLess(time.monotonic() - began, 5)


if __name__ == "__main__":
    unittest.main()
