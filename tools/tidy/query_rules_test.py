"""The proof on a build graph of its own: a small repository, asked with the real `bazel query`."""

import os
import tempfile
import unittest

from tools.tidy import query_rules

_LIBRARIES = "".join(f'filegroup(name = "{name}", visibility = ["//visibility:public"])\n' for name in ("grpc", "absl"))
_PUBLIC = 'package(default_visibility = ["//visibility:public"])\n'


class RealGraphTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.output = cls.enterClassContext(tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")))

    def setUp(self):
        self.root = self.enterContext(tempfile.TemporaryDirectory())
        self.write("WORKSPACE", 'local_repository(name = "system", path = "system")\n')
        self.write("system/WORKSPACE", "")
        self.write("system/BUILD.bazel", _LIBRARIES)
        self.group("services/base/wire", "wire", "@system//:grpc")
        self.group("services/base/net", "net", "@system//:absl")

    def write(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def group(self, package, name, *sources):
        self.write(f"{package}/BUILD.bazel", f'{_PUBLIC}filegroup(name = "{name}", srcs = {list(sources)})\n')

    def findings(self):
        targets = query_rules.query(self.root, ["--batch", f"--output_base={self.output}"])
        return [str(finding) for finding in query_rules.check(targets)]

    def test_ACoreThatReachesGrpcThroughAnotherRoomIsFound(self):
        self.group("services/base/table", "table", "//services/base/wire:wire")
        self.group("services/ipam-service/core", "engine", "//services/base/table:table", "//services/base/net:net")
        (finding,) = self.findings()
        self.assertIn("//services/base/table:table -> //services/base/wire:wire: a core may not reach", finding)

    def test_ACoreOnPureRoomsIsClean(self):
        self.group("services/ipam-service/core", "engine", "//services/base/net:net")
        self.assertEqual(self.findings(), [])

    def test_ABrokenRepositoryIsAnErrorAndNotAProof(self):
        self.group("services/ipam-service/core", "engine", "//services/base/missing:missing")
        with self.assertRaisesRegex(RuntimeError, "(?s)bazel query failed: .*missing"):
            self.findings()


if __name__ == "__main__":
    unittest.main()
