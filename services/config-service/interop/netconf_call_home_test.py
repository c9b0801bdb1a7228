"""NETCONF call home: clients that are called, go away and come back, over SSH and TLS."""

import importlib
import os
import socket
import ssl
import subprocess
import time
import unittest

from ncclient import manager

certificates = importlib.import_module("services.config-service.interop.certificates")
client = importlib.import_module("services.config-service.interop.netconf_client")
pool = client.pool


class CallHomeTest(client.NetconfTestCase):
    def setUp(self):
        super().setUp()
        self.hash = subprocess.run(
            ["openssl", "passwd", "-6", "secret"], capture_output=True, text=True, check=True
        ).stdout.strip()
        self.listener = self.listen()
        self.port = self.listener.getsockname()[1]

    def listen(self, port=0):
        listener = socket.create_server(("127.0.0.1", port))
        listener.settimeout(30)
        self.addCleanup(listener.close)
        return listener

    @staticmethod
    def endpoint(name, port, transport="ssh"):
        return (
            f"<endpoint><name>{name}</name><transport>{transport}</transport><address>127.0.0.1</address><port>{port}</port>"
            "</endpoint>"
        )

    def call(self, endpoints, rest="", others=""):
        user = f"<ssh><user><name>ann</name><password-hash>{self.hash}</password-hash></user></ssh>"
        self.assert_ok(
            self.session.edit(
                f'<system xmlns="{client.SYSTEM}" xmlns:nc="{client.BASE}"><netconf>{user}{others}<call-home>'
                f'<client nc:operation="replace"><name>nms</name>{endpoints}{rest}</client></call-home></netconf></system>'
            )
        )
        self.assert_ok(self.session.commit())

    def state(self):
        return self.status("call-home/nms").get("state")

    def accept(self):
        connection, _ = self.listener.accept()
        self.addCleanup(connection.close)
        return connection

    def identity(self):
        """Of the server, over TLS."""
        directory = self.service.directory
        self.authority = certificates.Authority(directory, "authority")
        certificate, key = self.authority.sign("server")
        return (
            f"<tls><certificate>{certificate}</certificate><private-key>{key}</private-key>"
            f"<trusted-certificates>{self.authority.certificate}</trusted-certificates><cert-to-name><id>1</id>"
            f"<fingerprint>{certificates.fingerprint(self.authority.certificate)}</fingerprint>"
            "<map-type>common-name</map-type></cert-to-name></tls>"
        )

    def answer_tls(self, pair):
        """Who is called opens the TLS connection as its client (RFC 8071, section 3.1)."""
        context = ssl.create_default_context(cafile=self.authority.certificate)
        context.check_hostname = False
        context.load_cert_chain(*pair)
        stream = context.wrap_socket(self.accept())
        self.addCleanup(stream.close)
        return client.Session(stream)

    def test_ncclient_is_called_over_ssh(self):
        self.listener.close()
        self.call(self.endpoint("a", self.port))
        with manager.call_home(
            host="127.0.0.1",
            port=self.port,
            username="ann",
            password="secret",
            hostkey_verify=False,
            look_for_keys=False,
            allow_agent=False,
            timeout=30,
        ) as session:
            self.assertTrue(session.get_config("running").ok)
            client.until(lambda: self.state() == "ready")
            self.assertIn(f"127.0.0.1 port {self.port}", self.status("call-home/nms")["message"])

    def test_client_that_goes_away_is_called_again_over_tls(self):
        others = self.identity()
        pair = self.authority.sign("ann")
        self.call(self.endpoint("a", self.port, "tls"), others=others)
        for _ in range(3):
            with self.answer_tls(pair) as session:
                self.assertEqual(session.pools(), [])
                client.until(lambda: self.state() == "ready")

    def test_session_that_is_closed_or_killed_is_opened_again(self):
        others = self.identity()
        pair = self.authority.sign("ann")
        self.call(self.endpoint("a", self.port, "tls"), others=others)
        first = self.answer_tls(pair)
        self.assert_ok(first.rpc("<close-session/>"))
        second = self.answer_tls(pair)
        self.assert_ok(second.rpc("<discard-changes/>"))
        self.assert_ok(self.session.rpc(f"<kill-session><session-id>{second.id}</session-id></kill-session>"))
        self.assertTrue(second.is_ended())
        self.assertEqual(self.answer_tls(pair).pools(), [])

    def test_certificate_that_does_not_fit_is_no_session(self):
        others = self.identity()
        stranger = certificates.Authority(self.service.directory, "stranger").sign("mallory")
        self.call(self.endpoint("a", self.port, "tls"), others=others)
        with self.assertRaises((ssl.SSLError, ConnectionError, EOFError)):
            self.answer_tls(stranger)
        client.until(lambda: self.state() == "failed")
        self.assertIn("unable to get", self.status("call-home/nms")["message"])
        self.assertEqual(self.answer_tls(self.authority.sign("ann")).pools(), [])

    def test_next_endpoint_is_called_when_one_does_not_answer(self):
        nobody = client.free_port()
        self.call(
            self.endpoint("first", nobody) + self.endpoint("second", self.port),
            "<reconnect-strategy><max-attempts>1</max-attempts></reconnect-strategy>",
        )
        self.assertTrue(self.accept().recv(100).startswith(b"SSH-2.0-"))

    def test_client_that_does_not_answer_is_told_and_found_when_it_comes(self):
        self.listener.close()
        self.call(self.endpoint("a", self.port))
        client.until(lambda: self.state() == "failed")
        status = self.status("call-home/nms")
        self.assertIn(f"no session at 127.0.0.1 port {self.port}: ", status["message"])
        self.assertIn("Connection refused", status["message"])
        self.assertIn("client nms", status["remedy"])
        self.assertEqual(self.session.pools(), [])
        self.listener = self.listen(self.port)
        self.assertTrue(self.accept().recv(100).startswith(b"SSH-2.0-"))

    def test_periodic_session_on_which_nothing_passes_is_ended(self):
        others = self.identity()
        self.call(
            self.endpoint("a", self.port, "tls"),
            "<periodic><period>1</period><idle-timeout>1</idle-timeout></periodic>",
            others,
        )
        session = self.answer_tls(self.authority.sign("ann"))
        self.assertEqual(session.pools(), [])
        self.assertTrue(session.is_ended())
        client.until(lambda: self.state() == "pending")

    def test_client_that_is_removed_is_called_no_more_and_keeps_its_session(self):
        others = self.identity()
        pair = self.authority.sign("ann")
        self.call(self.endpoint("a", self.port, "tls"), others=others)
        session = self.answer_tls(pair)
        self.assertEqual(session.pools(), [])
        self.assert_ok(
            self.session.edit(
                f'<system xmlns="{client.SYSTEM}" xmlns:nc="{client.BASE}"><netconf><call-home nc:operation="remove"/></netconf>'
                "</system>"
            )
        )
        self.assert_ok(self.session.commit())
        client.until(lambda: self.status("call-home/nms") == {})
        self.assertEqual(session.pools(), [])
        session.close()
        self.listener.settimeout(3)
        with self.assertRaises(socket.timeout):
            self.listener.accept()

    def test_call_over_tls_without_an_identity_is_refused(self):
        reply = self.session.edit(
            f'<system xmlns="{client.SYSTEM}"><netconf><call-home><client><name>nms</name>'
            f"{self.endpoint('a', self.port, 'tls')}</client></call-home></netconf></system>"
        )
        self.assertEqual(reply.error("error-app-tag"), "tls-identity", reply.text)

    def test_client_without_an_endpoint_is_refused(self):
        reply = self.session.edit(
            f'<system xmlns="{client.SYSTEM}"><netconf><call-home><client><name>nms</name></client></call-home></netconf>'
            "</system>"
        )
        self.assertEqual(reply.error("error-app-tag"), "too-few-elements", reply.text)

    def test_stops_in_time_while_it_calls_and_waits(self):
        silent = self.endpoint("a", self.port)
        self.call(silent)
        connection = self.accept()
        began = time.monotonic()
        self.assertEqual(self.service.terminate(), 0)
        self.assertLess(time.monotonic() - began, 5)
        connection.close()
        self.assertEqual(os.listdir(self.service.directory).count("netconf.socket"), 0)


if __name__ == "__main__":
    unittest.main()
