"""Claims about the benchmark runner: sides take turns, pairs are right, a failing side ends it."""

import os
import sys
import tempfile
import unittest

from integration.benchmarks import benchmark, runner
from integration.benchmarks.benchmark import Benchmark

# Prints the figure f with the next number of a counter shared by all sides, and notes whose turn it was.
SIDE = """
import json, os, sys
name, directory = sys.argv[1:]
with open(os.path.join(directory, "turns"), "a+") as file:
    file.seek(0)
    count = len(file.readlines()) + 1
    file.write(name + "\\n")
print("some chatter")
print(json.dumps({"figure": "f", "value": count, "unit": "ms"}))
"""


class RunnerTest(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory())

    def side(self, name):
        return ("{python}", "-c", SIDE, name, self.directory)

    def failing(self, script):
        chosen = Benchmark(what="x", ours=self.side("ours"), rivals={"them": ("{python}", "-c", script)})
        with self.assertRaises(runner.BenchmarkFailed) as caught:
            runner.run(chosen, 1, self.directory)
        return str(caught.exception)

    def test_SidesTakeTurnsAndFiguresArePaired(self):
        chosen = Benchmark(what="x", ours=self.side("ours"), rivals={"a": self.side("a"), "b": self.side("b")})
        rows = runner.run(chosen, 5, self.directory)
        with open(os.path.join(self.directory, "turns"), encoding="utf-8") as file:
            self.assertEqual(file.read().split(), ["ours", "a", "b"] * 5)
        self.assertEqual([(row.figure, row.rival) for row in rows], [("f", "a"), ("f", "b")])
        self.assertEqual(rows[0].values, [1, 4, 7, 10, 13])
        self.assertEqual(rows[1].rival_values, [3, 6, 9, 12, 15])

    def test_AFailingSideEndsItAndIsNamedWithItsWords(self):
        told = self.failing("import sys; print('no such device', file=sys.stderr); sys.exit(3)")
        self.assertRegex(told, "them: exit code 3: no such device")

    def test_ASideWithoutFiguresEndsIt(self):
        self.assertRegex(self.failing("print('hello')"), "them: no figure in its output: hello")

    def test_ASideThatHangsEndsIt(self):
        chosen = Benchmark(what="x", ours=("{python}", "-c", "import time; time.sleep(1000)"))
        with self.assertRaisesRegex(runner.BenchmarkFailed, "timed out"):
            runner.run(chosen, 1, self.directory, timeout=0.2)

    def test_AProgramThatIsNotBuiltIsNamed(self):
        with self.assertRaisesRegex(runner.BenchmarkFailed, "//a:b is not in"):
            runner.command_of(("{//a:b}",), {})
        self.assertEqual(runner.command_of(("{//a:b}", "{python}", "{}"), {"//a:b": "/x/b"}), ["/x/b", sys.executable, "{}"])

    def test_AFigureOfWhichSomethingIsAskedMustBePrinted(self):
        chosen = Benchmark(what="x", ours=self.side("ours"), asked={"f": 9, "g": 9})
        with self.assertRaisesRegex(runner.BenchmarkFailed, "no figure g"):
            runner.run(chosen, 1, self.directory)
        (row,) = runner.run(Benchmark(what="x", ours=self.side("ours"), asked={"f": 9}), 1, self.directory)
        self.assertEqual(row.asked, 9)

    def test_EveryModuleHereIsListed(self):
        self.assertIn("datapath", runner.available())


class ResultsTest(unittest.TestCase):
    def results(self, ours, theirs=()):
        results = benchmark.Results()
        for value in ours:
            results.add_ours([{"figure": "f", "value": value, "unit": "ns"}])
        for value in theirs:
            results.add_rival("them", [{"figure": "f", "value": value, "unit": "ns"}])
        return results

    def test_JsonHasMediansRatioAndNumberOfRuns(self):
        (row,) = self.results([3, 1, 2, 100, 2], [4, 4, 8]).rows()
        self.assertEqual(
            row.as_json(),
            {"figure": "f", "value": 2, "unit": "ns", "rival": "them", "rival_value": 4, "ratio": 0.5, "runs": 5},
        )

    def test_ARivalMeasuredInTheSameProcessCounts(self):
        results = benchmark.Results()
        results.add_ours([{"figure": "f", "value": 6, "unit": "ns", "rival": "empty program", "rival_value": 3}])
        (row,) = results.rows()
        self.assertEqual((row.rival, row.ratio), ("empty program", 2))

    def test_WithoutARivalThereIsNoRatio(self):
        (row,) = self.results([1]).rows()
        self.assertEqual((row.rival, row.rival_value, row.ratio), (None, None, None))

    def test_ARivalOfZeroGivesNoRatio(self):
        (row,) = self.results([1], [0]).rows()
        self.assertIsNone(row.ratio)

    def test_TheTableShowsMedianSpreadAndRatio(self):
        text = benchmark.table(self.results([1, 2, 4], [4, 4, 8]).rows())
        self.assertRegex(text.splitlines()[1], r"^f +ns +2 \(1-4\) +them +4 \(4-8\) +0.50 +3$")

    def test_WhatWasAskedIsHeldAgainstTheMedian(self):
        rows = self.results([1, 2, 100]).rows({"f": 2})
        self.assertTrue(benchmark.table(rows).splitlines()[1].endswith("at most 2: met"))
        self.assertEqual(rows[0].as_json()["asked"], 2)
        rows = self.results([1, 2.5, 3]).rows({"f": 2})
        self.assertTrue(benchmark.table(rows).splitlines()[1].endswith("at most 2: MISSED"))
        self.assertNotIn("asked", self.results([1]).rows()[0].as_json())

    def test_LinesThatAreNoFiguresAreIgnored(self):
        text = '{"figure": "f", "value": 1, "unit": "ns"}\nhello\n[1]\n{"figure": "g"}\n3\n'
        self.assertEqual([entry["figure"] for entry in benchmark.figures_of(text)], ["f"])


if __name__ == "__main__":
    unittest.main()
