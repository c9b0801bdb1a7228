"""A small repository in a temporary directory, for the tests of the rules."""

import os
import tempfile
import unittest

from tools.tidy.source_tree import SourceTree


class TreeTest(unittest.TestCase):
    """Base of the rule tests: `found` gives the findings of one rule on a tree of {path: text}."""

    def found(self, rule, files):
        root = self.enterContext(tempfile.TemporaryDirectory())
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        return [str(finding) for finding in rule(SourceTree(root))]

    def assert_clean(self, rule, files):
        self.assertEqual(self.found(rule, files), [])

    def assert_finds(self, rule, files, *patterns):
        """Exactly one finding for each pattern, in order."""
        findings = self.found(rule, files)
        self.assertEqual(len(findings), len(patterns), findings)
        for finding, pattern in zip(findings, patterns):
            self.assertRegex(finding, pattern)
