"""Claims about what tools/dev/check looks at, and about the commands it gives to clang-tidy."""

import os
import subprocess
import tempfile
import unittest

from tools.dev import changes, compile_commands
from tools.tidy.source_tree import SourceTree


class ChangesTest(unittest.TestCase):
    def setUp(self):
        self.root = self.enterContext(tempfile.TemporaryDirectory())

    def write(self, path, text="x\n"):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def git(self, *arguments):
        identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=self.root, check=True, capture_output=True)

    def commit(self):
        self.git("add", ".")
        self.git("commit", "-m", "x")

    def changed(self):
        return changes.changed_paths(SourceTree(self.root))

    def test_ChangedAndUntrackedFilesCountAndDeletedOnesDoNot(self):
        self.git("init")
        for path in ("a.cc", "b.cc", "c.cc"):
            self.write(path)
        self.commit()
        self.write("a.cc", "y\n")
        self.write("d/new.cc")
        os.unlink(os.path.join(self.root, "b.cc"))
        self.assertEqual(self.changed(), ["a.cc", "d/new.cc"])

    def test_ACleanCheckoutGivesTheLastCommit(self):
        self.git("init")
        self.write("a.cc")
        self.commit()
        self.write("b.cc")
        self.commit()
        self.assertEqual(self.changed(), ["b.cc"])

    def test_OutsideACheckoutTheRemedyIsTold(self):
        with self.assertRaisesRegex(RuntimeError, "--all"):
            self.changed()

    def test_AHeaderBringsTheSourcesThatIncludeItOverOtherHeaders(self):
        self.write("base/a.h")
        self.write("base/b.h", '#include "base/a.h"\n')
        self.write("core/c.cc", '#include "base/b.h"\n')
        self.write("core/d.cc", '#include "core/e.h"\n')
        self.write("core/f.cc")
        tree = SourceTree(self.root)
        self.assertEqual(changes.sources_of(tree, ["base/a.h"]), {"core/c.cc"})
        self.assertEqual(changes.sources_of(tree, ["core/f.cc"]), {"core/f.cc"})
        self.assertEqual(changes.sources_of(tree, []), set())


class CompileCommandsTest(unittest.TestCase):
    GRAPH = {
        "actions": [
            {"arguments": ["/usr/bin/gcc", "-MD", "-MF", "x.d", "-Wall", "-Werror", "-c", "services/a.cc", "-o", "a.o"]},
            {"arguments": ["/usr/bin/gcc", "-c", "bpf/b.c", "-o", "b.o"]},
            {"arguments": ["/usr/bin/gcc", "-c", "bazel-out/k8/bin/api/c.pb.cc", "-o", "c.o"]},
            {"arguments": ["/usr/bin/gcc", "-c", "services/a.cc", "-o", "a.pic.o"]},
            {"arguments": ["/usr/bin/ar", "x"]},
        ]
    }

    def test_OwnSourcesAreListedOnceInTheLanguageTheyAreWrittenIn(self):
        found = compile_commands.entries(self.GRAPH, "/somewhere")
        self.assertEqual([entry["file"] for entry in found], ["bpf/b.c", "services/a.cc"])
        self.assertEqual([entry["arguments"][0] for entry in found], ["clang", "clang++"])

    def test_FlagsThatClangDoesNotTakeAreDropped(self):
        arguments = ["-MD", "-MF", "x.d", "-Wall", "-Werror", "-Wno-error=restrict", "-c", "a.cc", "-o", "a.o"]
        self.assertEqual(
            compile_commands.clang_arguments(arguments), ["-Wall", "-c", "a.cc", "-Wno-unknown-warning-option"]
        )


if __name__ == "__main__":
    unittest.main()
