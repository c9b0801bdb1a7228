"""NETCONF over TLS: who comes in with which certificate, under which name, and who does not."""

import importlib
import os
import re
import socket
import ssl
import subprocess
import time
import unittest

certificates = importlib.import_module("services.config-service.interop.certificates")
client = importlib.import_module("services.config-service.interop.netconf_client")
pool = client.pool

_SAN = "email:Ann@Example.ORG,DNS:Router1.Example.ORG,IP:192.0.2.7"


class TlsTest(client.NetconfTestCase):
    def setUp(self):
        super().setUp()
        self.authority = certificates.Authority(self.service.directory, "authority")
        self.server = self.authority.sign("server")
        self.ann = self.authority.sign("ann", alternatives=_SAN)
        self.port = client.free_port()
        self.serve(self.map(1, certificates.fingerprint(self.authority.certificate), "common-name"))

    @staticmethod
    def map(number, fingerprint, kind, name=None):
        named = f"<name>{name}</name>" if name else ""
        return (
            f"<cert-to-name><id>{number}</id><fingerprint>{fingerprint}</fingerprint><map-type>{kind}</map-type>{named}"
            "</cert-to-name>"
        )

    def edit(self, content):
        return self.session.edit(
            f'<system xmlns="{client.SYSTEM}" xmlns:nc="{client.BASE}"><netconf><tls nc:operation="replace">{content}</tls>'
            "</netconf></system>"
        )

    def content(self, maps, certificate=None, key=None, trusted=None):
        return (
            f"<listen><name>main</name><address>127.0.0.1</address><port>{self.port}</port></listen>"
            f"<certificate>{certificate or self.server[0]}</certificate><private-key>{key or self.server[1]}</private-key>"
            f"<trusted-certificates>{trusted or self.authority.certificate}</trusted-certificates>{maps}"
        )

    def serve(self, maps, **files):
        self.assert_ok(self.edit(self.content(maps, **files)))
        self.assert_ok(self.session.commit())
        client.until(lambda: client.listens(self.port))

    def stream(self, certificate=None, highest=None):
        context = ssl.create_default_context(cafile=self.authority.certificate)
        context.check_hostname = False
        if highest is not None:
            context.maximum_version = highest
        if certificate is not None:
            context.load_cert_chain(*certificate)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        try:
            stream = context.wrap_socket(plain)
        except BaseException:
            plain.close()
            raise
        self.addCleanup(stream.close)
        return stream

    def connect(self, certificate=None, **options):
        return client.Session(self.stream(certificate or self.ann), **options)

    def user(self, certificate=None):
        """The name under which the owner of the certificate has a session."""
        with self.connect(certificate) as session:
            self.assert_ok(session.rpc("<discard-changes/>"))
            reply = self.session.rpc(
                f'<get><filter type="subtree"><netconf-state xmlns="{client.MONITORING}"><sessions><session>'
                f"<session-id>{session.id}</session-id></session></sessions></netconf-state></filter></get>"
            )
            self.assertEqual([text.rpartition(":")[2] for text in reply.texts("transport")], ["netconf-tls"])
            self.assertEqual(reply.texts("source-host"), ["127.0.0.1"])
            return reply.texts("username")[0]

    def assert_turned_away(self, certificate, reason):
        """With TLS 1.3 a client hears of it when it reads."""
        for highest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            seen = self.log().count(reason)
            with self.assertRaises((ssl.SSLError, ConnectionError, EOFError)):
                client.Session(self.stream(certificate, highest))
            client.until(lambda: self.log().count(reason) > seen)
        self.assertEqual(self.connect().rpc("<discard-changes/>").ok, True)

    def test_edits_and_commits_in_both_framings(self):
        access = "<group><name>portolan-admin</name><user-name>ann</user-name></group>"
        nacm = f'<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><groups>{access}</groups></nacm>'
        self.assert_ok(self.session.edit(nacm))
        self.assert_ok(self.session.commit())
        for version, name in (("1.0", "a"), ("1.1", "b")):
            with self.connect(version=version) as session:
                self.assert_ok(session.edit(pool(name)))
                self.assert_ok(session.commit())
        self.assertEqual(self.session.pools(), ["a", "b"])

    def test_large_messages_pass_in_both_directions(self):
        names = [f"p{number}-{'x' * 40}" for number in range(5000)]
        entries = "".join(f"<pool><name>{name}</name></pool>" for name in names)
        self.assert_ok(self.session.edit(f'<ipam xmlns="{client.IPAM}"><pools>{entries}</pools></ipam>'))
        self.assert_ok(self.session.commit())
        with self.connect() as session:
            self.assertEqual(session.pools(), names)
            reply = session.edit(f'<ipam xmlns="{client.IPAM}"><pools>{entries}</pools></ipam>')
            self.assert_ok(reply)

    def test_access_rules_hold_for_the_mapped_name(self):
        self.put("a")
        with self.connect() as session:
            self.assertEqual(session.pools(), ["a"])
            self.assert_refused(session.edit(pool("b")), "access-denied")

    def test_each_map_type_finds_its_name(self):
        authority = certificates.fingerprint(self.authority.certificate)
        for kind, name in (
            ("common-name", "ann"),
            ("san-rfc822-name", "Ann@example.org"),
            ("san-dns-name", "router1.example.org"),
            ("san-ip-address", "192.0.2.7"),
            ("san-any", "Ann@example.org"),
        ):
            with self.subTest(kind):
                self.serve(self.map(1, authority, kind))
                client.until(lambda expected=name: self.user() == expected)

    def test_first_entry_that_fits_and_finds_a_name_counts(self):
        own = certificates.fingerprint(self.ann[0], "sha512")
        authority = certificates.fingerprint(self.authority.certificate, "sha1")
        other = certificates.fingerprint(self.server[0])
        bare = self.authority.sign("bare")
        self.serve(
            self.map(30, authority, "common-name")
            + self.map(20, authority, "san-any")
            + self.map(10, own.lower(), "specified", "chief")
            + self.map(5, other, "specified", "nobody")
        )
        client.until(lambda: self.user() == "chief")
        self.assertEqual(self.user(bare), "bare")

    def test_certificate_that_is_trusted_itself(self):
        loner = certificates.Authority(self.service.directory, "loner")
        pair = (loner.certificate, os.path.join(self.service.directory, "loner.key"))
        with open(os.path.join(self.service.directory, "both.crt"), "w", encoding="ascii") as both:
            for path in (self.authority.certificate, loner.certificate):
                with open(path, encoding="ascii") as file:
                    both.write(file.read())
        self.serve(
            self.map(1, certificates.fingerprint(loner.certificate), "specified", "loner")
            + self.map(2, certificates.fingerprint(self.authority.certificate), "common-name"),
            trusted=both.name,
        )
        client.until(lambda: self.user() == "ann")
        self.assertEqual(self.user(pair), "loner")

    def test_no_certificate_is_turned_away(self):
        self.assert_turned_away(None, "peer did not return a certificate")

    def test_certificate_of_another_authority_is_turned_away(self):
        other = certificates.Authority(self.service.directory, "other")
        self.assert_turned_away(other.sign("mallory"), "unable to get")

    def test_expired_certificate_is_turned_away(self):
        self.assert_turned_away(self.authority.sign("old", days=-1), "certificate has expired")

    def test_certificate_without_a_name_is_turned_away(self):
        self.serve(self.map(1, certificates.fingerprint(self.ann[0]), "common-name"))
        client.until(lambda: self.user() == "ann")
        self.assert_turned_away(self.authority.sign("bob"), "no entry of cert-to-name")

    def test_name_with_a_control_character_is_none(self):
        pair = self.authority.sign("trick", subject="/CN=ann\nroot")
        self.assert_turned_away(pair, "no entry of cert-to-name")

    def test_silence_and_rubbish_delay_nobody(self):
        idle = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(20)]
        rubbish = socket.create_connection(("127.0.0.1", self.port))
        rubbish.sendall(b"SSH-2.0-rubbish\r\n" * 10)
        began = time.monotonic()
        self.assertEqual(self.user(), "ann")
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(self.service.terminate(), 0)
        for connection in (*idle, rubbish):
            connection.close()

    def test_renewed_certificate_counts_at_once(self):
        def serial():
            return ssl.DER_cert_to_PEM_cert(self.stream(self.ann).getpeercert(binary_form=True))

        before = serial()
        self.authority.sign("server")
        self.assertNotEqual(serial(), before)

    def test_unreadable_key_is_told_and_put_right_by_a_commit(self):
        missing = os.path.join(self.service.directory, "missing.key")
        self.assert_ok(self.edit(self.content(self.map(1, certificates.fingerprint(self.ann[0]), "common-name"), key=missing)))
        self.assert_ok(self.session.commit())
        client.until(lambda: not client.listens(self.port))
        status = self.status("endpoint/tls/main")
        self.assertEqual(status["state"], "failed")
        self.assertIn(f"private key {missing} cannot be used: No such file or directory", status["message"])
        self.assertIn("commit anything", status["remedy"])
        self.assertEqual(self.session.pools(), [])
        subprocess.run(["cp", self.server[1], missing], check=True)
        self.put("a")
        client.until(lambda: client.listens(self.port))
        client.until(lambda: self.status("endpoint/tls/main")["state"] == "ready")
        self.assertEqual(self.user(), "ann")

    def test_key_of_another_certificate_is_told(self):
        self.assert_ok(
            self.edit(self.content(self.map(1, certificates.fingerprint(self.ann[0]), "common-name"), key=self.ann[1]))
        )
        self.assert_ok(self.session.commit())
        client.until(lambda: self.status("endpoint/tls/main").get("state") == "failed")
        self.assertIn("key values mismatch", self.status("endpoint/tls/main")["message"])

    def test_endpoint_without_an_identity_is_refused(self):
        whole = self.content(self.map(1, certificates.fingerprint(self.ann[0]), "common-name"))
        for element in ("certificate", "private-key", "trusted-certificates", "cert-to-name"):
            with self.subTest(element):
                reply = self.edit(re.sub(f"<{element}>.*</{element}>", "", whole))
                self.assertEqual(reply.error("error-app-tag"), "tls-identity", reply.text)
                self.assertEqual(reply.error("error-path"), "/portolan-system:system/netconf/tls")

    def test_fingerprint_that_is_none_is_refused(self):
        for text in ("01:" + ":".join(["00"] * 16), "04:00", "sha256:00", "04" + ":zz" * 32):
            self.assert_refused(self.edit(self.content(self.map(1, text, "common-name"))), "invalid-value")

    def test_endpoints_come_and_go_and_sessions_stay(self):
        with self.connect() as session:
            self.assert_ok(self.edit(""))
            self.assert_ok(self.session.commit())
            client.until(lambda: not client.listens(self.port))
            self.assertEqual(session.pools(), [])
            self.assertEqual(self.status("endpoint/tls/main"), {})


if __name__ == "__main__":
    unittest.main()
