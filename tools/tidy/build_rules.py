"""BUILD files: one name, private by default, sources listed, cores seen by their own service only."""

import os
import re

from tools.tidy import layers
from tools.tidy.source_tree import Finding

_RULE = "build"
_GLOB = re.compile(r"\bglob\(\s*\[([^\]]*)\]", re.DOTALL)
_SOURCES = re.compile(r"\*\.(bzl|c|cc|h|proto|py|sh|yang)\"|\*\"|\*\*/?\"")
_DATA = re.compile(r"^[\"'](testdata|corpus|scripts|recordings)/")
_LABEL = re.compile(r'"(//[^"]*|@[^"]*|:[^"]*)"')
_CC_RULE = re.compile(r"^(cc_(?:library|binary|test|import|proto_library))\(", re.MULTILINE)
# Whom a core may be visible to, besides its own service: standalone wires it, integration and tools look at it.
_CORE_FRIENDS = ("//integration", "//services/standalone", "//tools")

# What everybody may see: the layer table says who may use it all the same.
_PUBLIC = ("api/", layers.BUILD_SUPPORT)


def _line(text, offset):
    return text.count("\n", 0, offset) + 1


def _visibility(text):
    """(line, label) of every label in a visibility list."""
    for match in re.finditer(r"\b(?:default_)?visibility\s*=\s*\[([^\]]*)\]", text):
        for label in _LABEL.finditer(match.group(1)):
            yield _line(text, match.start(1) + label.start()), label.group(1)


def _check_visibility(path, text):
    package = os.path.dirname(path)
    for number, label in _visibility(text):
        if label == "//visibility:public" and not package.startswith(_PUBLIC):
            yield Finding(path, number, _RULE, "public visibility: name the rooms that need it")
        _, unit = layers.layer_of(package)
        if layers.is_core(package) and label != "//visibility:private":
            allowed = (f"//services/{unit}", *_CORE_FRIENDS)
            if not label.startswith(":") and not any(re.match(rf"{room}(/|:|$)", label) for room in allowed):
                yield Finding(path, number, _RULE, f"{label}: a core is visible to its own service only")


def _check_globs(path, text):
    for match in _GLOB.finditer(text):
        for pattern in match.group(1).split(","):
            pattern = pattern.strip()
            if pattern and _SOURCES.search(pattern) and not _DATA.match(pattern):
                yield Finding(path, _line(text, match.start()), _RULE, f"glob of sources ({pattern}): list them")


def _check_loads(path, text):
    for match in _CC_RULE.finditer(text):
        if not re.search(rf'load\("@rules_cc//cc:defs.bzl",[^)]*"{match.group(1)}"', text):
            message = f"{match.group(1)} is not loaded from @rules_cc//cc:defs.bzl"
            yield Finding(path, _line(text, match.start()), _RULE, message)


def _check_layout(path, text):
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield Finding(path, len(text.splitlines()), _RULE, "ends with exactly one newline")
    for number, line in enumerate(text.splitlines(), start=1):
        if "\t" in line or line != line.rstrip():
            yield Finding(path, number, _RULE, "tab or space at the end of the line")
        elif (len(line) - len(line.lstrip())) % 4 and not line.lstrip().startswith("#"):
            yield Finding(path, number, _RULE, "indentation is a multiple of four spaces")


def _sort_key(label):
    """Files, then this package, then the repository, then others; as buildifier orders them."""
    phase = 3 if label.startswith("@") else 2 if label.startswith("//") else 1 if label.startswith(":") else 0
    return phase, re.split(r"[:/.]", label)


def _check_order(path, text):
    for match in re.finditer(r"\b(srcs|hdrs|deps|data|tags|visibility) = \[\n((?:\s*\"[^\"]*\",\n)+)\s*\]", text):
        entries = re.findall(r'"([^"]*)"', match.group(2))
        if entries != sorted(entries, key=_sort_key):
            yield Finding(path, _line(text, match.start()), _RULE, f"{match.group(1)} is not sorted")
        if len(entries) != len(set(entries)):
            yield Finding(path, _line(text, match.start()), _RULE, f"{match.group(1)} names something twice")


def check(tree):
    for path in tree.paths:
        name = os.path.basename(path)
        if name == "BUILD":
            yield Finding(path, 0, _RULE, "BUILD files are named BUILD.bazel")
        if name not in ("BUILD", "BUILD.bazel"):
            continue
        text = tree.text(path) or ""
        for rule in (_check_visibility, _check_globs, _check_loads, _check_layout, _check_order):
            yield from rule(path, text)
