"""Claims about counting: nothing that went wrong is lost, nothing is counted twice."""

import contextlib
import io
import json
import os
import tempfile
import unittest

from tools.dev import count_tests

FINISHED = {"id": {"buildFinished": {}}, "finished": {"exitCode": {"name": "SUCCESS"}}}

GOOGLETEST = """<?xml version="1.0"?><testsuites><testsuite name="S">
<testcase name="A" classname="S" status="run" result="completed" />
<testcase name="B" classname="S" status="run" result="completed" />
<testcase name="C" classname="S" status="run" result="skipped"><skipped message="x_test.cc:12&#x0A;needs root&#x0A;"/></testcase>
<testcase name="D" classname="S" status="notrun" result="suppressed" />
{more}</testsuite></testsuites>"""


class CountTest(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory())

    def result(self, label, xml, status="PASSED", attempt=1):
        path = os.path.join(self.directory, f"{label.strip('/').replace('/', '_')}.{attempt}.xml")
        if xml is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(xml)
        return {
            "id": {"testResult": {"label": label, "run": 1, "shard": 1, "attempt": attempt}},
            "testResult": {"status": status, "testActionOutput": [{"name": "test.xml", "uri": f"file://{path}"}]},
        }

    def completed(self, label, success):
        return {"id": {"targetCompleted": {"label": label}}, "completed": {"success": True} if success else {}}

    def count(self, *events):
        return count_tests.count_invocations([("it", list(events))])

    def test_GoogleTestCasesAreCountedByWhatBecameOfThem(self):
        count = self.count(self.result("//a:t", GOOGLETEST.format(more="")), FINISHED)
        self.assertEqual((count.passed, count.failures), (2, []))
        self.assertEqual(count.skipped, {"needs root": 1, "disabled": 1})

    def test_AFailedCaseIsNamed(self):
        more = '<testcase name="E" classname="S" status="run" result="completed"><failure message="no"/></testcase>'
        count = self.count(self.result("//a:t", GOOGLETEST.format(more=more), "FAILED"), FINISHED)
        self.assertEqual(count.failures, ["//a:t S.E"])

    def test_ATestThatDiesWithoutAnXmlIsOneFailure(self):
        self.assertEqual(self.count(self.result("//a:t", None, "TIMEOUT"), FINISHED).failures, ["//a:t TIMEOUT"])

    def test_ATestThatDiesAfterItsCasesPassedIsOneFailure(self):
        count = self.count(self.result("//a:t", GOOGLETEST.format(more=""), "FAILED"), FINISHED)
        self.assertEqual(count.failures, ["//a:t FAILED"])

    def test_ATargetThatDoesNotBuildIsCountedOnceOverAllInvocations(self):
        events = [self.completed("//a:lib", False), self.completed("//a:other", True), FINISHED]
        count = count_tests.count_invocations([("build", events), ("test", events)])
        self.assertEqual(count.failures, ["//a:lib does not build"])

    def test_ASecondAttemptReplacesTheFirst(self):
        count = self.count(
            self.result("//a:t", None, "FAILED"), self.result("//a:t", GOOGLETEST.format(more=""), attempt=2), FINISHED
        )
        self.assertEqual((count.passed, count.failures), (2, []))

    def test_ABazelThatDiedIsAFailure(self):
        self.assertEqual(self.count(self.result("//a:t", GOOGLETEST.format(more=""))).failures, ["it: Bazel did not finish"])

    def test_AnUnknownEndOfBazelIsAFailure(self):
        for name in ("COMMAND_LINE_ERROR", "BUILD_FAILURE", "INTERRUPTED"):
            finished = {"id": {"buildFinished": {}}, "finished": {"exitCode": {"name": name}}}
            self.assertEqual(self.count(finished).failures, [f"it: Bazel ended with {name}"])

    def test_AnInvocationWithoutTestsIsNone(self):
        finished = {"id": {"buildFinished": {}}, "finished": {"exitCode": {"name": "NO_TESTS_FOUND"}}}
        self.assertEqual(self.count(finished).failures, [])


class MainTest(unittest.TestCase):
    def run_main(self, *events):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file, contextlib.redirect_stdout(io.StringIO()) as out:
            file.write("".join(json.dumps(event) + "\n" for event in events))
            file.flush()
            return count_tests.main([file.name]), out.getvalue().splitlines()

    def test_NoTestAtAllIsAFailure(self):
        code, lines = self.run_main(FINISHED)
        self.assertEqual((code, lines[-2:]), (1, ["no test was executed", "0 passed, 0 failed, 0 skipped"]))

    def test_MissingEventFilesAreAFailure(self):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(count_tests.main(["/nonexistent/build.json"]), 1)
        self.assertEqual(out.getvalue().splitlines()[-1], "0 passed, 1 failed, 0 skipped")

    def test_TheEndOfAFailedTestsLogIsShown(self):
        with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
            log.write("early\n" * 100 + "expected 3, found 4\n")
            log.flush()
            result = {
                "id": {"testResult": {"label": "//a:t"}},
                "testResult": {"status": "FAILED", "testActionOutput": [{"name": "test.log", "uri": f"file://{log.name}"}]},
            }
            code, lines = self.run_main(result, FINISHED)
        self.assertEqual((code, lines[-1]), (1, "0 passed, 1 failed, 0 skipped"))
        self.assertIn("expected 3, found 4", lines)
        self.assertLess(lines.count("early"), 100)

    def test_TheLastLineIsTheClosingLine(self):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(GOOGLETEST.format(more=""))
            file.flush()
            result = {
                "id": {"testResult": {"label": "//a:t"}},
                "testResult": {"status": "PASSED", "testActionOutput": [{"name": "test.xml", "uri": f"file://{file.name}"}]},
            }
            code, lines = self.run_main(result, FINISHED)
        self.assertEqual((code, lines[-1]), (0, "2 passed, 0 failed, 2 skipped"))


if __name__ == "__main__":
    unittest.main()
