"""Runs the unittest cases of a module, prints one line each, and writes $XML_OUTPUT_FILE as GoogleTest does.

No case at all is a failure; skipped cases are told with their reasons.
"""

import importlib
import os
import sys
import time
import unittest
import xml.etree.ElementTree as xml


class _Result(unittest.TextTestResult):
    """Collects one XML element for each case."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.cases = []
        self._element = None
        self._start = 0.0

    def startTest(self, test):
        super().startTest(test)
        classname, _, name = test.id().rpartition(".")
        self._element = xml.Element("testcase", name=name, classname=classname, status="run")
        self._start = time.monotonic()
        self.cases.append(self._element)

    def stopTest(self, test):
        self._element.set("time", f"{time.monotonic() - self._start:.3f}")
        super().stopTest(test)

    def addError(self, test, err):
        super().addError(test, err)
        self._failed(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failed(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._failed(subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if self._element is not None:
            self._element.set("status", "notrun")
            xml.SubElement(self._element, "skipped", message=reason)

    def _failed(self, test, err):
        # An error outside a case (a class fixture, for instance) still has to be counted.
        if self._element is None:
            self._element = xml.Element("testcase", name=str(test), classname="fixture", status="run")
            self.cases.append(self._element)
        xml.SubElement(self._element, "failure", message=str(err[1]))


def _write_xml(path, name, result):
    suite = xml.Element("testsuite", name=name, tests=str(len(result.cases)))
    suite.extend(result.cases)
    suites = xml.Element("testsuites")
    suites.append(suite)
    xml.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)


def main():
    module = importlib.import_module(sys.argv[1])
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=_Result)
    result = runner.run(suite)
    if "XML_OUTPUT_FILE" in os.environ:
        _write_xml(os.environ["XML_OUTPUT_FILE"], sys.argv[1], result)
    if result.testsRun == 0:
        print(f"{sys.argv[1]}: no test was found", file=sys.stderr)
        return 1
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
