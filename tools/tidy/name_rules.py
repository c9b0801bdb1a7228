"""File names: snake_case; hyphens only in service directories, programs without a suffix, YANG, data, decision records."""

import os
import re

from tools.tidy.source_tree import Finding

_RULE = "names"
_SNAKE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_PROGRAM = re.compile(r"[a-z0-9_-]+")
_YANG = re.compile(r"[a-z0-9-]+(@\d{4}-\d{2}-\d{2})?\.yang")
_DATA = re.compile(r"[a-z0-9_.-]+\.(json|pcap|svg|txt|txtpb|xml|yaml)")
_DECISION = re.compile(r"\d{4}-[a-z0-9-]+\.md")
_FIXED = {
    "ARCHITECTURE.md",
    "BUILD.bazel",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "STYLE.md",
    "WORKSPACE",
    "system.BUILD",
}


def _good_directory(parent, name):
    # services/ipam-service; and the kit's own dot directories.
    return _SNAKE.fullmatch(name) or (parent == "services" and _PROGRAM.fullmatch(name)) or name.startswith(".")


def _good_file(tree, path, name):
    if name in _FIXED or name.startswith(".") or _SNAKE.fullmatch(name) or _YANG.fullmatch(name) or _DATA.fullmatch(name):
        return True
    if path.startswith("api/decisions/"):
        return _DECISION.fullmatch(name)
    return _PROGRAM.fullmatch(name) and (tree.text(path) or "").startswith("#!")


def check(tree):
    reported = set()
    for path in tree.paths:
        directory, name = os.path.split(path)
        if not _good_file(tree, path, name):
            yield Finding(path, 0, _RULE, "snake_case, please; hyphens are for service directories and programs")
        parts = directory.split(os.sep) if directory else []
        for index, part in enumerate(parts):
            parent = "/".join(parts[:index])
            where = "/".join(parts[: index + 1])
            if not _good_directory(parent, part) and where not in reported:
                reported.add(where)
                yield Finding(where, 0, _RULE, "directory: snake_case; only services/NAME may have hyphens")
