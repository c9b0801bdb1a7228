"""Claims about the text, name and BUILD rules: each finds what it forbids and nothing else."""

import unittest

from tools.tidy import build_rules, name_rules, text_rules
from tools.tidy.testing_tree import TreeTest

# Spelled so that this file keeps the rules that it tests.
NOTE = "TO" + "DO"
TEMPORARY = "/t" + "mp"
HOME = "/ho" + "me/someone"


class NotesTest(TreeTest):
    def test_EveryKindOfNoteIsFoundWithItsLine(self):
        for note in (NOTE, "FIX" + "ME", "X" + "XX", "HA" + "CK"):
            self.assert_finds(text_rules.check_notes, {"a.cc": f"int a;\n// {note}: later\n"}, rf"^a.cc:2: \[notes\] {note}")

    def test_WordsThatOnlyContainOneAreNone(self):
        self.assert_clean(text_rules.check_notes, {"a.sh": "mktemp a.XXXXXX\n", "b.md": "A mastodon, hackneyed.\n"})


class MachinePathsTest(TreeTest):
    def test_AHomeDirectoryIsFound(self):
        self.assert_finds(text_rules.check_machine_paths, {"a.cc": f'Open("{HOME}/x");\n'}, r"^a.cc:1: \[machine-paths\]")

    def test_ATemporaryFileWithAFixedNameIsFound(self):
        self.assert_finds(text_rules.check_machine_paths, {"a.sh": f"cp a {TEMPORARY}/a\n"}, "machine-paths")

    def test_OtherPathsAreNone(self):
        text = "/usr/bin/env /run/netns/a https://example.org/home/page services/work/x ./home/x " + TEMPORARY + "/x-XXXXXX\n"
        self.assert_clean(text_rules.check_machine_paths, {"a.md": text})


class LinksTest(TreeTest):
    def test_ADeadLinkIsFound(self):
        self.assert_finds(text_rules.check_links, {"docs/a.md": "See [b](b.md).\n"}, r"^docs/a.md:1: \[links\] b.md")

    def test_LiveLinksAnchorsAndAddressesAreNone(self):
        text = "[b](b.md#part) [up](../README.md) [root](/README.md) [here](#x) [web](https://example.org) `[x](y)`\n"
        self.assert_clean(text_rules.check_links, {"docs/a.md": text, "docs/b.md": "b\n", "README.md": "r\n"})

    def test_CodeBlocksAreNotRead(self):
        self.assert_clean(text_rules.check_links, {"a.md": "```\n[b](b.md)\n```\n"})


class HeadersTest(TreeTest):
    def test_AHeaderWithoutAContractIsFound(self):
        for text in ("#ifndef A_H\n", "// One line.\n#ifndef A_H\n", "// \n// \n#ifndef A_H\n", "/* One. */\nint a;\n"):
            self.assert_finds(text_rules.check_headers, {"a.h": text}, r"^a.h:1: \[headers\]")

    def test_TwoLinesOfEitherKindOfCommentAreEnough(self):
        files = {
            "a.h": "// What it is.\n// Who owns it.\n#ifndef A_H\n",
            "b.h": "/* What it is.\n * Who owns it. */\n",
            "c.h": "#pragma once\n\n// What it is.\n// Who owns it.\n",
            "d.cc": "int a;\n",
        }
        self.assert_clean(text_rules.check_headers, files)


class NamesTest(TreeTest):
    def test_HyphensAndCapitalsAreFound(self):
        for path in ("services/base/ip-address.h", "tools/Tidy.py", "plugins/my-plugin/a.cc", "tools/my-script.sh"):
            self.assertEqual(len(self.found(name_rules.check, {path: "x\n"})), 1, path)

    def test_AHyphenWithoutASuffixNeedsAProgram(self):
        self.assert_finds(name_rules.check, {"tools/dev/some-data": "x\n"}, "names")
        self.assert_clean(name_rules.check, {"tools/dev/some-program": "#!/bin/bash\n"})

    def test_TheHousesOwnNamesAreFine(self):
        paths = (
            *("README.md", "LICENSE", "WORKSPACE", ".bazelrc", ".ci/run", "services/ipam-service/core/engine.h"),
            *("api/decisions/0001-first-choice.md", "api/yang/portolan-ipam@2026-11-24.yang", "bpf/programs/lb.bpf.c"),
            *("api/proto/bgp/v1alpha1/bgp.proto", "services/ipam-service/BUILD.bazel"),
            *("services/ipam-service/testdata/dual-stack.json", "integration/scripts/scripts/lan-to-backend.txt"),
        )
        self.assert_clean(name_rules.check, {path: "#!/bin/bash\n" for path in paths})


BUILD = """load("@rules_cc//cc:defs.bzl", "cc_library")

cc_library(
    name = "a",
    srcs = [
        "a.cc",
        "b.cc",
    ],
    data = glob(["testdata/*"]),
    visibility = ["//services/ipam-service:__subpackages__"],
    deps = [
        ":c",
        "//services/base/net",
        "@system//:absl",
    ],
)
"""
CORE = "services/ipam-service/core/BUILD.bazel"


class BuildTest(TreeTest):
    def test_AGoodFileIsClean(self):
        self.assert_clean(build_rules.check, {CORE: BUILD})

    def test_TheNameIsBuildBazel(self):
        self.assert_finds(build_rules.check, {"a/BUILD": BUILD}, "named BUILD.bazel")

    def test_PublicVisibilityIsFoundOutsideTheApi(self):
        text = 'package(default_visibility = ["//visibility:public"])\n'
        self.assert_finds(build_rules.check, {"services/base/net/BUILD.bazel": text}, ":1: .*public visibility")
        self.assert_clean(build_rules.check, {"api/proto/bgp/v1alpha1/BUILD.bazel": text})

    def test_ACoreSeenByAnotherRoomIsFound(self):
        for label in ("//services/bgp-exporter:__subpackages__", "//services:__subpackages__", "//plugins:__pkg__"):
            text = BUILD.replace("//services/ipam-service:__subpackages__", label)
            self.assert_finds(build_rules.check, {CORE: text}, f":10: .*{label}.*own service only")

    def test_ACoreSeenByStandaloneAndIntegrationIsFine(self):
        for label in ("//services/standalone:__pkg__", "//integration:__subpackages__", "//visibility:private"):
            text = BUILD.replace("//services/ipam-service:__subpackages__", label)
            self.assert_clean(build_rules.check, {CORE: text})

    def test_AGlobOfSourcesIsFound(self):
        for pattern in ('"*.cc"', '"**/*.h"', '"**"', '"lib/*"'):
            text = BUILD.replace('"testdata/*"', pattern)
            self.assert_finds(build_rules.check, {CORE: text}, "glob of sources")

    def test_ARuleThatIsNotLoadedIsFound(self):
        text = BUILD + '\ncc_test(\n    name = "b",\n)\n'
        self.assert_finds(build_rules.check, {CORE: text}, "cc_test is not loaded")

    def test_DisorderIsFound(self):
        for before, after in (
            ('        ":c",\n        "//services/base/net",\n', '        "//services/base/net",\n        ":c",\n'),
            ('        "a.cc",\n        "b.cc",\n', '        "b.cc",\n        "a.cc",\n'),
        ):
            self.assert_finds(build_rules.check, {CORE: BUILD.replace(before, after)}, "is not sorted")
        self.assert_finds(build_rules.check, {CORE: BUILD.replace('"b.cc"', '"a.cc"')}, "names something twice")

    def test_LayoutIsChecked(self):
        self.assert_finds(build_rules.check, {CORE: BUILD.replace('    name = "a"', '  name = "a"')}, "four spaces")
        self.assert_finds(build_rules.check, {CORE: BUILD.replace('"a",', '"a", ')}, "end of the line")
        self.assert_finds(build_rules.check, {CORE: BUILD + "\n"}, "one newline")


if __name__ == "__main__":
    unittest.main()
