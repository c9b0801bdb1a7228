"""Who comes in over SSH and how: keyboard-interactive, several sessions on a connection, and how long one may stay."""

import importlib
import os
import subprocess
import time
import unittest

import paramiko

client = importlib.import_module("services.config-service.interop.netconf_client")
logins = importlib.import_module("services.config-service.interop.netconf_logins")

_ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"


class LoginTest(logins.LoginTestCase):
    def test_keyboard_interactive_asks_for_the_password(self):
        session = self.sessions_on(self.interactive("ann", ["secret"]))
        self.assertEqual(session.pools(), [])

    def test_wrong_answer_is_refused(self):
        for user, answer in (("ann", "wrong"), ("ann", ""), ("bob", "secret")):
            with self.assertRaises(paramiko.AuthenticationException):
                self.interactive(user, [answer])

    def test_openssh_client_answers_by_its_askpass(self):
        askpass = os.path.join(self.service.directory, "askpass")
        with open(askpass, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\necho secret\n")
        os.chmod(askpass, 0o700)
        hello = (
            f'<hello xmlns="{client.BASE}"><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability>'
            "</capabilities></hello>]]>]]>"
        )
        rpc = f'<rpc xmlns="{client.BASE}" message-id="7"><close-session/></rpc>]]>]]>'
        command = ["ssh", "-p", str(self.port), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        command += ["-o", "PreferredAuthentications=keyboard-interactive", "-s", "ann@127.0.0.1", "netconf"]
        done = subprocess.run(
            command,
            input=(hello + rpc).encode(),
            capture_output=True,
            timeout=60,
            check=False,
            env={**os.environ, "SSH_ASKPASS": askpass, "SSH_ASKPASS_REQUIRE": "force", "HOME": self.service.directory},
        )
        # What was asked before the client sent no more is answered.
        self.assertIn(b'message-id="7"><ok/>', done.stdout, done.stderr)

    def test_many_wrong_passwords_end_the_connection(self):
        transport = self.transport()
        for _ in range(6):
            with self.assertRaises(paramiko.AuthenticationException):
                transport.auth_password("ann", "wrong")
        with self.assertRaises((paramiko.SSHException, ConnectionError, EOFError)):
            transport.auth_password("ann", "secret")
        client.until(lambda: "too many attempts as ann" in self.log())

    def test_user_does_not_change_on_a_connection(self):
        transport = self.transport()
        with self.assertRaises(paramiko.AuthenticationException):
            transport.auth_password("bob", "secret")
        with self.assertRaises(paramiko.SSHException):
            transport.auth_password("ann", "secret")

    def test_several_sessions_on_one_connection(self):
        transport = self.by_password("ann", "secret")
        sessions = [self.sessions_on(transport) for _ in range(3)]
        self.assertEqual(len({session.id for session in sessions}), 3)
        for session in sessions:
            self.assertEqual(session.pools(), [])
        self.assert_ok(sessions[0].rpc("<close-session/>"))
        self.assertTrue(sessions[0].is_ended())
        self.assertEqual(sessions[1].pools(), [])
        self.assert_ok(self.session.rpc(f"<kill-session><session-id>{sessions[1].id}</session-id></kill-session>"))
        self.assertTrue(sessions[1].is_ended())
        self.assertEqual(sessions[2].pools(), [])

    def test_other_subsystems_and_shells_are_refused(self):
        transport = self.by_password("ann", "secret")
        for ask in (
            lambda channel: channel.invoke_subsystem("sftp"),
            lambda channel: channel.invoke_shell(),
            lambda channel: channel.exec_command("id"),
        ):
            with self.assertRaises(paramiko.SSHException):
                ask(transport.open_session(timeout=30))
        self.assertEqual(self.sessions_on(transport).pools(), [])

    def test_large_messages_pass_in_both_directions(self):
        names = [f"p{number}-{'x' * 40}" for number in range(5000)]
        entries = "".join(f"<pool><name>{name}</name></pool>" for name in names)
        self.assert_ok(self.session.edit(f'<ipam xmlns="{client.IPAM}"><pools>{entries}</pools></ipam>'))
        self.assert_ok(self.session.commit())
        session = self.sessions_on(self.by_password("ann", "secret"))
        self.assertEqual(session.pools(), names)
        reply = session.edit(f'<ipam xmlns="{client.IPAM}"><pools>{entries}</pools></ipam>')
        self.assertIn(reply.tag, (None, "access-denied"))

    def denials(self, session):
        reply = session.rpc(f'<get><filter type="subtree"><nacm xmlns="{_ACM}"/></filter></get>')
        names = ("denied-operations", "denied-data-writes", "denied-notifications")
        return [[int(text) for text in reply.texts(name)] for name in names]

    def test_denials_are_counted_for_those_who_may_see_it(self):
        self.assert_ok(self.session.edit(f'<nacm xmlns="{_ACM}"><read-default>deny</read-default></nacm>'))
        self.assert_ok(self.session.commit())
        self.assertEqual(self.denials(self.session), [[0], [0], [0]])
        ann = self.sessions_on(self.by_password("ann", "secret"))
        self.assert_ok(ann.rpc(f'<create-subscription xmlns="{client.NOTIFICATION}"/>'))
        self.assert_refused(ann.edit(f'<ipam xmlns="{client.IPAM}"><pools><pool><name>b</name></pool></pools></ipam>'), "access-denied")
        self.assert_refused(ann.rpc("<kill-session><session-id>1</session-id></kill-session>"), "access-denied")
        self.put("a")
        client.until(lambda: self.denials(self.session)[2][0] > 0)
        self.assertEqual(self.denials(self.session)[:2], [[1], [1]])
        self.assertEqual(self.denials(ann), [[], [], []])

    def test_idle_session_is_ended_in_time(self):
        session = self.sessions_on(self.by_password("ann", "secret"))
        self.assertEqual(session.pools(), [])
        self.configure("", "<idle-timeout>1</idle-timeout>")
        began = time.monotonic()
        self.assertTrue(session.is_ended())
        self.assertLess(time.monotonic() - began, 10)


if __name__ == "__main__":
    unittest.main()
