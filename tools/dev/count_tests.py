"""Counts test cases over several Bazel invocations: count_tests.py BUILD_EVENTS.json...

Reads Bazel's build event files and the test.xml files they name, tells what failed and what was skipped and why, and
ends with the line "N passed, N failed, N skipped". A target that does not build, a test that dies without naming a
case and a Bazel that stops early count as one failure each. Exit code 0 only if something passed and nothing failed.
"""

import collections
import json
import re
import sys
import urllib.parse
import xml.etree.ElementTree as xml

# Bazel's exit codes that say no more than the events do: tests failed, a build was incomplete, a filter left no test.
_TOLD_BY_EVENTS = {"SUCCESS", "TESTS_FAILED", "BUILD_FAILURE", "PARSING_FAILURE", "NO_TESTS_FOUND"}

# How much of a failed test's log is shown.
_LOG_LINES = 60


class Count:
    """What happened: number of passed cases, one line for each failure, reasons of skipped cases, {label: log}."""

    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skipped = collections.Counter()
        self.failed_logs = {}

    def add_case(self, label, case):
        """Counts one <testcase> element of GoogleTest, of Bazel or of tools/bazel/python_test.py."""
        name = f"{case.get('classname', '')}.{case.get('name', '')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            self.failures.append(f"{label} {name}")
        elif skipped is not None or case.get("status") == "notrun" or case.get("result") in ("skipped", "suppressed"):
            self.skipped[_reason(skipped)] += 1
        else:
            self.passed += 1


def _reason(skipped):
    if skipped is None:
        return "disabled"
    text = skipped.get("message") or skipped.text or "no reason given"
    lines = [line.strip() for line in text.strip().splitlines()]
    # GoogleTest puts "file:line" before the message.
    lines = [line for line in lines if line and not re.fullmatch(r"\S+:\d+", line)] or ["no reason given"]
    return lines[0]


def read_events(path):
    """The events of one Bazel invocation. A line cut short (Bazel was killed) ends them."""
    events = []
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                try:
                    events.append(json.loads(line))
                except ValueError:
                    break
    except OSError:
        pass
    return events


def _count_result(count, label, result):
    outputs = {output.get("name"): output.get("uri", "") for output in result.get("testActionOutput", [])}
    files = {name: urllib.parse.unquote(urllib.parse.urlparse(uri).path) for name, uri in outputs.items()}
    failures_before = len(count.failures)
    try:
        for case in xml.parse(files.get("test.xml", "")).getroot().iter("testcase"):
            count.add_case(label, case)
    except (OSError, xml.ParseError):
        pass
    status = result.get("status", "NO_STATUS")
    if status not in ("PASSED", "FLAKY") and len(count.failures) == failures_before:
        count.failures.append(f"{label} {status}")
    if len(count.failures) > failures_before:
        count.failed_logs[label] = files.get("test.log", "")


def print_log(label, path):
    """The end of the log of a failed test: Bazel's own copy may be far above, or filtered."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    print(f"---- {label}: {path}")
    print("\n".join(lines[-_LOG_LINES:]))


def count_invocations(invocations):
    """The Count over a list of (name, events)."""
    count = Count()
    broken = set()
    for name, events in invocations:
        results = {}
        finished = None
        for event in events:
            identity = event.get("id", {})
            if "testResult" in event:
                key = identity["testResult"]
                # A later attempt of the same run and shard replaces the earlier one.
                results[(key["label"], key.get("run"), key.get("shard"))] = event["testResult"]
            elif "targetCompleted" in identity and not event.get("completed", {}).get("success"):
                if event.get("aborted", {}).get("reason") != "SKIPPED":
                    broken.add(identity["targetCompleted"]["label"])
            elif "aborted" in event and "pattern" in identity:
                broken.add(" ".join(identity["pattern"]["pattern"]))
            elif "finished" in event:
                finished = event["finished"].get("exitCode", {}).get("name", "SUCCESS")
        for (label, _, _), result in sorted(results.items(), key=lambda item: str(item[0])):
            _count_result(count, label, result)
        if finished is None:
            count.failures.append(f"{name}: Bazel did not finish")
        elif finished not in _TOLD_BY_EVENTS:
            count.failures.append(f"{name}: Bazel ended with {finished}")
        elif finished in ("BUILD_FAILURE", "PARSING_FAILURE") and not broken:
            count.failures.append(f"{name}: Bazel ended with {finished}")
    count.failures.extend(f"{label} does not build" for label in sorted(broken))
    return count


def main(paths):
    count = count_invocations([(path.rsplit("/", 1)[-1].removesuffix(".json"), read_events(path)) for path in paths])
    for label, path in count.failed_logs.items():
        print_log(label, path)
    print()
    for reason, number in sorted(count.skipped.items()):
        print(f"skipped {number}: {reason}")
    for failure in count.failures:
        print(f"FAILED {failure}")
    executed = count.passed + len(count.failures)
    if executed == 0:
        print("no test was executed")
    print(f"{count.passed} passed, {len(count.failures)} failed, {sum(count.skipped.values())} skipped")
    return 0 if count.passed > 0 and not count.failures else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
