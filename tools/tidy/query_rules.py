"""The layer table proved on the build graph, transitively, with `bazel query`."""

import collections
import os
import re
import subprocess
import xml.etree.ElementTree as xml

from tools.tidy import layers
from tools.tidy.source_tree import Finding

_RULE = "layers"
_ROOMS = "//api/... + //bpf/... + //integration/... + //plugins/... + //services/... + //tools/..."


class Target:
    """A rule of the build graph: its label, its direct dependencies and whether only tests may use it."""

    def __init__(self, label, dependencies, is_test):
        self.label = label
        self.dependencies = dependencies
        self.is_test = is_test

    @property
    def package(self):
        return package_of(self.label)


def package_of(label):
    return label[2:].partition(":")[0] if label.startswith("//") else ""


def parse(text):
    """Label -> Target, of `bazel query --output=xml`."""
    targets = {}
    for rule in xml.fromstring(text).iter("rule"):
        label = rule.get("name")
        dependencies = [element.get("name") for element in rule.iter("rule-input")]
        testonly = any(
            element.get("name") == "testonly" and element.get("value") == "true" for element in rule.iter("boolean")
        )
        is_test = testonly or rule.get("class").endswith(("_test", "test_suite"))
        targets[label] = Target(label, dependencies, is_test)
    return targets


def query(root, startup=()):
    """The targets of the repository at `root`. Raises RuntimeError with Bazel's words when it cannot be queried."""
    present = [part for part in _ROOMS.split(" + ") if os.path.isdir(os.path.join(root, part[2:].partition("/")[0]))]
    command = ["bazel", *startup, "query", "--output=xml", "--noimplicit_deps", "--notool_deps", "--noshow_progress"]
    done = subprocess.run(
        [*command, f"kind(rule, deps({' + '.join(present)}))"],
        capture_output=True,
        check=False,
        cwd=root,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"bazel query failed: {done.stderr.strip()}")
    return parse(done.stdout)


def _library_of(label):
    match = re.fullmatch(r"@(?:portolan_)?system//:(\w+)", label)
    return match.group(1) if match else None


def _edges(target, targets):
    for dependency in target.dependencies:
        library = _library_of(dependency)
        if library:
            why = layers.forbidden_library(target.package, library)
            if why and not target.is_test:
                yield f"{target.label} -> {dependency}: {why}"
        elif package_of(dependency) not in ("", target.package):
            why = layers.forbidden_import(target.package, package_of(dependency), target.is_test)
            if why:
                yield f"{target.label} -> {dependency}: {why}"


def _impure_path(start, targets):
    queue = collections.deque([(start, (start,))])
    seen = {start}
    while queue:
        label, chain = queue.popleft()
        library = _library_of(label)
        own = label.startswith("//")
        why = layers.impure_for_core(library=library) if library else None
        if own and label in targets:
            why = layers.impure_for_core(package=package_of(label))
        if why:
            return f"{' -> '.join(chain)}: a core may not reach {why}"
        for dependency in targets[label].dependencies if label in targets else ():
            if dependency not in seen:
                seen.add(dependency)
                queue.append((dependency, (*chain, dependency)))
    return None


def check(targets):
    """Findings over a graph. The path is the BUILD file to change."""
    if not targets:
        yield Finding("WORKSPACE", 0, _RULE, "the build graph is empty: nothing was proved")
    for label, target in sorted(targets.items()):
        if not label.startswith("//"):
            continue
        build_file = os.path.join(target.package, "BUILD.bazel")
        for message in _edges(target, targets):
            yield Finding(build_file, 0, _RULE, message)
        if layers.is_core(target.package) and not target.is_test:
            message = _impure_path(label, targets)
            if message:
                yield Finding(build_file, 0, _RULE, message)
