"""Claims about sizes: what counts as a function, and that the baseline only shrinks."""

import unittest

from tools.tidy import size_rules
from tools.tidy.source_tree import SourceTree
from tools.tidy.testing_tree import TreeTest


def body(lines):
    return "  x();\n" * lines


def functions(text):
    return [(name, lines) for name, _, lines in size_rules.braced_functions(text)]


class BracedFunctionsTest(unittest.TestCase):
    def test_PlainFunctionsAndMethods(self):
        text = "namespace a {\nclass B {\n public:\n  int C() const {\n    return 1;\n  }\n};\nvoid B::D(int e) {\n}\n}\n"
        self.assertEqual(functions(text), [("C", 3), ("B::D", 2)])

    def test_BracesInLiteralsAndCommentsDoNotCount(self):
        text = 'void A() {\n  f("}", \'}\', R"x(}})x");  // }\n  /* } */\n  int b = 1\'000;\n}\n#define C {\nvoid D() {}\n'
        self.assertEqual(functions(text), [("A", 5), ("D", 1)])

    def test_BlocksLambdasAndInitializersBelongToTheirFunction(self):
        text = "void A() {\n  if (b) {\n  }\n  auto c = [](int d) {\n    return d;\n  };\n  int e[] = {1};\n}\n"
        self.assertEqual(functions(text), [("A", 8)])

    def test_AConstructorWithInitializersIsOneFunction(self):
        self.assertEqual([name for name, _ in functions("A::A(int b)\n    : c_{b}, d_(b) {\n  x();\n}\n")], ["d_"])

    def test_TypesTablesAndNamespacesAreNoFunctions(self):
        text = "struct A {\n};\nenum class B : int { kC };\nconst int kD[] = {\n 1,\n};\ntemplate <typename T>\nstruct E {\n};\n"
        self.assertEqual(functions(text), [])

    def test_TestsAreNamedByTheirClaim(self):
        self.assertEqual(functions("TEST(Pool, KeepsIt) {\n}\n"), [("TEST(Pool, KeepsIt)", 2)])

    def test_AFunctionWithAMacroInFrontHasItsOwnName(self):
        self.assertEqual(functions('SEC("xdp")\nint balance(struct xdp_md* ctx) {\n}\n'), [("balance", 3)])


class SizesTest(TreeTest):
    def baseline(self, *entries):
        return {size_rules.BASELINE: "# why\n" + "".join(f"{entry}\n" for entry in entries)}

    def test_LimitsAreInclusive(self):
        files = {"a.cc": "void A() {\n" + body(68) + "}\n", "b.py": "x = 1\n" * 500}
        self.assert_clean(size_rules.check, files)

    def test_ALongFunctionIsFoundInBothLanguages(self):
        self.assert_finds(
            size_rules.check, {"a.cc": "\nvoid A() {\n" + body(69) + "}\n"}, r"^a.cc:2: .*function A has 71 lines, 70"
        )
        text = "def a():\n" + "    x()\n" * 70
        self.assert_finds(size_rules.check, {"a.py": text}, r"^a.py:1: .*function a has 71 lines, 70")

    def test_ALongFileIsFoundAlsoWhenItIsAProgramWithoutSuffix(self):
        self.assert_finds(size_rules.check, {"a.h": "\n" * 501}, "the file has 501 lines, 500 are allowed")
        self.assert_finds(size_rules.check, {"tools/a": "#!/bin/bash\n" + ":\n" * 500}, "the file has 501 lines")

    def test_DataIsNotMeasured(self):
        self.assert_clean(size_rules.check, {"testdata/a.json": "\n" * 1000, "LICENSE": "\n" * 1000})

    def test_TheBaselineExcusesAnOldSizeButNoGrowth(self):
        self.assert_clean(size_rules.check, {"a.cc": "\n" * 600, **self.baseline("600 a.cc")})
        files = {"a.cc": "\n" * 601, **self.baseline("600 a.cc")}
        self.assert_finds(size_rules.check, files, "the file has 601 lines, 600 are allowed")

    def test_AnEntryThatIsTooHighOrNotNeededIsFound(self):
        for lines, entry in ((599, "600 a.cc"), (400, "600 a.cc"), (1, "600 gone.cc"), (400, "450 a.cc")):
            files = {"a.cc": "\n" * lines, **self.baseline(entry)}
            self.assert_finds(size_rules.check, files, r"baseline.txt: .*--lower-baseline")

    def test_LoweringNeverRaisesOrAdds(self):
        sizes = {"a.cc": (550, 0), "b.cc": (900, 0), "c.cc": (300, 0), "new.cc": (700, 0), "d.cc function F": (80, 1)}
        text = "# why\n600 a.cc\n800 b.cc\n600 c.cc\n90 d.cc function F\n"
        self.assertEqual(size_rules.lowered(text, sizes), "# why\n550 a.cc\n800 b.cc\n80 d.cc function F\n")


class SourceTreeTest(TreeTest):
    def test_BuildOutputAndVersionControlAreNotRead(self):
        def names(tree):
            self.assertIsInstance(tree, SourceTree)
            return tree.paths

        files = {path: "x\n" for path in ("a.cc", "bazel-out/b.cc", ".git/c", "d/__pycache__/e.py", "d/f.pyc")}
        self.assertEqual(self.found(names, files), ["a.cc"])


if __name__ == "__main__":
    unittest.main()
