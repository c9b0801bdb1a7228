"""A config-service that takes logins over SSH, and clients that come in by password or keyboard-interactive."""

import importlib
import subprocess

import paramiko

client = importlib.import_module("services.config-service.interop.netconf_client")


class LoginTestCase(client.NetconfTestCase):
    def setUp(self):
        super().setUp()
        done = subprocess.run(["openssl", "passwd", "-6", "secret"], capture_output=True, text=True, check=True)
        self.hash = done.stdout.strip()
        self.port = client.free_port()
        self.configure(f"<user><name>ann</name><password-hash>{self.hash}</password-hash></user>")
        client.until(lambda: client.listens(self.port))

    def configure(self, ssh, rest=""):
        listen = f"<listen><name>main</name><address>127.0.0.1</address><port>{self.port}</port></listen>"
        self.assert_ok(
            self.session.edit(
                f'<system xmlns="{client.SYSTEM}"><netconf>{rest}<ssh>{listen}{ssh}</ssh></netconf></system>'
            )
        )
        self.assert_ok(self.session.commit())

    def transport(self):
        transport = paramiko.Transport(("127.0.0.1", self.port))
        transport.start_client(timeout=30)
        self.addCleanup(transport.close)
        return transport

    def interactive(self, user, answers):
        """A transport on which `user` gave an answer to each question."""
        transport = self.transport()
        asked = []

        def answer(_title, _instructions, prompts):
            asked.extend(prompts)
            return answers[: len(prompts)]

        transport.auth_interactive(user, answer)
        self.assertEqual(asked, [("Password: ", False)])
        return transport

    def by_password(self, user, password):
        transport = self.transport()
        transport.auth_password(user, password)
        return transport

    def sessions_on(self, transport):
        channel = transport.open_session(timeout=30)
        channel.invoke_subsystem("netconf")
        return client.Session(channel)
