"""Claims about tools/dev/install-packages, with dpkg-query and apt-get replaced by a small world of packages."""

import os
import shutil
import subprocess
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "install-packages")

# dpkg knows what the file `installed` lists; apt-get install adds its package arguments there, and logs every call.
DPKG_QUERY = """#!/bin/bash
grep -qx "${@: -1}" "$WORLD/installed" && echo -n installed
"""
APT_GET = """#!/bin/bash
echo "$@" >>"$WORLD/apt.log"
[ -z "${WORLD_APT_BROKEN:-}" ] || exit 100
case " $* " in *" install "*) for word in "$@"; do echo "$word" >>"$WORLD/installed"; done ;; esac
"""
LIST = "# what for\n\nalpha  # the first\nbeta   # the second\ngamma  # the third\n"


class InstallPackagesTest(unittest.TestCase):
    def setUp(self):
        self.world = self.enterContext(tempfile.TemporaryDirectory())
        self.programs = os.path.join(self.world, "bin")
        os.mkdir(self.programs)
        self.program("dpkg-query", DPKG_QUERY)
        self.program("apt-get", APT_GET)
        self.program("dpkg", "#!/bin/bash\n")
        self.program("systemctl", "#!/bin/bash\n")
        self.script = shutil.copy(SCRIPT, self.world)
        self.write("packages.txt", LIST)
        self.write("apt.log", "")

    def write(self, name, text):
        with open(os.path.join(self.world, name), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(os.path.join(self.world, name), encoding="utf-8") as file:
            return file.read()

    def program(self, name, text):
        path = os.path.join(self.programs, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def run_script(self, *arguments, **more):
        environment = dict(os.environ, WORLD=self.world, PATH=f"{self.programs}:{os.environ['PATH']}", **more)
        return subprocess.run(
            [self.script, *arguments], env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )

    def test_NothingHappensWhenAllIsThere(self):
        self.write("installed", "alpha\nbeta\ngamma\n")
        done = self.run_script()
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual(self.read("apt.log"), "")

    def test_MissingPackagesArePrintedOnRequest(self):
        self.write("installed", "beta\n")
        done = self.run_script("--missing")
        self.assertEqual((done.returncode, done.stdout), (0, "alpha\ngamma\n"))
        self.assertEqual(self.read("apt.log"), "")

    def test_WithoutRootItNamesThePackagesAndTheRemedy(self):
        self.write("installed", "beta\n")
        self.program("id", "#!/bin/bash\necho 1000\n")
        done = self.run_script()
        self.assertEqual(done.returncode, 1)
        self.assertIn("not installed: alpha gamma", done.stderr)
        self.assertIn("sudo", done.stderr)
        self.assertEqual(self.read("apt.log"), "")

    @unittest.skipIf(os.geteuid() != 0, "installing packages needs root: run this with sudo")
    def test_OnlyWhatIsMissingIsInstalledAfterOneUpdate(self):
        self.write("installed", "beta\n")
        done = self.run_script()
        self.assertEqual(done.returncode, 0, done.stderr)
        calls = self.read("apt.log").splitlines()
        self.assertEqual(len(calls), 2)
        self.assertTrue(calls[0].endswith(" update"), calls)
        self.assertTrue(calls[1].endswith(" --no-install-recommends alpha gamma"), calls)

    @unittest.skipIf(os.geteuid() != 0, "installing packages needs root: run this with sudo")
    def test_AFailedInstallationIsAFailureAndLeavesNoPolicyBehind(self):
        policy = "/usr/sbin/policy-rc.d"
        before = os.path.exists(policy)
        self.write("installed", "beta\n")
        self.assertNotEqual(self.run_script(WORLD_APT_BROKEN="yes").returncode, 0)
        self.assertEqual(os.path.exists(policy), before)


class ListTest(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(os.path.dirname(SCRIPT), "packages.txt"), encoding="utf-8") as file:
            self.lines = [line.strip() for line in file if line.strip() and not line.startswith("#")]

    def test_EveryPackageSaysWhatItIsFor(self):
        for line in self.lines:
            self.assertRegex(line, r"^[a-z0-9+.-]+ +# \S.+$")

    def test_NoPackageIsListedTwice(self):
        names = [line.split()[0] for line in self.lines]
        self.assertEqual(sorted(names), sorted(set(names)))

    def test_NoPackageReplacesAKubectlThatCameAnotherWay(self):
        self.assertNotIn("kubernetes-client", [line.split()[0] for line in self.lines])


if __name__ == "__main__":
    unittest.main()
