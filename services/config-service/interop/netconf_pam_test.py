"""Users of PAM over SSH, let in and refused, with PAM files that only this service sees."""

import importlib
import os
import unittest

import paramiko

client = importlib.import_module("services.config-service.interop.netconf_client")
logins = importlib.import_module("services.config-service.interop.netconf_logins")

_PAM = """auth required pam_exec.so expose_authtok quiet {check}
account required pam_exec.so quiet {account}
"""


@unittest.skipIf(os.geteuid() != 0, "needs root, for a mount namespace with PAM files of its own")
class PamTest(logins.LoginTestCase):
    wrapper = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /etc/pam.d && exec "$@"', "sh")

    def setUp(self):
        super().setUp()
        check = self.script("check", 'test "$PAM_USER" = eve && test "$(tr -d "\\0")" = "from pam"')
        account = self.script("account", f"test ! -e {self.service.directory}/expired")
        files = os.path.join("/proc", str(self.service.process.pid), "root", "etc/pam.d")
        with open(os.path.join(files, "portolan-test"), "w", encoding="ascii") as file:
            file.write(_PAM.format(check=check, account=account))
        self.configure("<pam-service>portolan-test</pam-service>")

    def script(self, name, text):
        path = os.path.join(self.service.directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\n{text}\n")
        os.chmod(path, 0o700)
        return path

    def assert_refused_both_ways(self, user, password):
        for way in (lambda: self.by_password(user, password), lambda: self.interactive(user, [password])):
            with self.assertRaises(paramiko.AuthenticationException):
                way()

    def test_password_that_pam_knows_opens_a_session(self):
        client.until(lambda: self.comes_in("eve", "from pam"))
        self.assertEqual(self.sessions_on(self.by_password("eve", "from pam")).pools(), [])
        self.assertEqual(self.sessions_on(self.interactive("eve", ["from pam"])).pools(), [])

    def comes_in(self, user, password):
        try:
            self.by_password(user, password)
        except paramiko.AuthenticationException:
            return False
        return True

    def test_what_pam_does_not_know_is_refused(self):
        client.until(lambda: self.comes_in("eve", "from pam"))
        self.assert_refused_both_ways("eve", "secret")
        self.assert_refused_both_ways("mallory", "from pam")

    def test_account_that_pam_has_closed_is_refused(self):
        client.until(lambda: self.comes_in("eve", "from pam"))
        self.script("expired", "")
        self.assert_refused_both_ways("eve", "from pam")

    def test_user_with_a_hash_here_is_not_asked_of_pam(self):
        client.until(lambda: self.comes_in("eve", "from pam"))
        self.assertEqual(self.sessions_on(self.by_password("ann", "secret")).pools(), [])
        self.assert_refused_both_ways("ann", "from pam")

    def test_service_without_a_file_refuses(self):
        self.configure("<pam-service>portolan-other</pam-service>")
        client.until(lambda: not self.comes_in("eve", "from pam"))
        self.assertTrue(self.comes_in("ann", "secret"))


if __name__ == "__main__":
    unittest.main()
