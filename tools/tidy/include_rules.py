"""The layer table checked on #include lines: fast, without Bazel, naming the line to change."""

import os
import re

from tools.tidy import layers
from tools.tidy.source_tree import Finding

_RULE = "layers"
_INCLUDE = re.compile(r'\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
_ROOMS = ("api/", "bpf/", "integration/", "plugins/", "services/", "tools/")


def is_test(path):
    """Whether the file belongs to tests only: nobody's production code is built from it."""
    name = os.path.basename(path)
    return bool(
        re.search(r"_(test|fuzz|fuzz_corpus|benchmark|bench)\.(cc|h)$", name)
        or name.startswith(("fake_", "testing_"))
        or re.search(r"(^|/)(test|testing|testdata|fakes|interop|integration)/", path)
    )


def _library(header):
    for start, library in layers.LIBRARY_HEADERS.items():
        if header.startswith(start) or header == start:
            return library
    if header.endswith((".grpc.pb.h",)):
        return "grpc"
    return "protobuf" if header.endswith(".pb.h") else None


def _includes(tree, path):
    for number, line in tree.lines(path):
        match = _INCLUDE.match(line)
        if match:
            yield number, match.group(1) or match.group(2), match.group(1) is not None


def _check_line(path, number, header, quoted, test):
    package = os.path.dirname(path)
    if quoted and header.startswith(_ROOMS):
        why = layers.forbidden_import(package, os.path.dirname(header), test)
        if why:
            yield Finding(path, number, _RULE, f"{header}: {why}")
    library = _library(header)
    if library and not header.endswith(".pb.h") and not test:
        why = layers.forbidden_library(package, library)
        if why:
            yield Finding(path, number, _RULE, f"<{header}>: {why}")
    if layers.is_core(package) and not test and not quoted:
        for banned in layers.CORE_BANNED_HEADERS:
            if header == banned or (banned.endswith("/") and header.startswith(banned)):
                yield Finding(path, number, _RULE, f"<{header}>: a core has no clock, lock, thread, socket or file")


def _path_to_impure(tree, start):
    """The chain of headers from a core's file to the first impure one, or None."""
    queue = [(start, (start,))]
    seen = {start}
    while queue:
        path, chain = queue.pop(0)
        for _, header, _ in _includes(tree, path):
            library = _library(header)
            why = layers.impure_for_core(library=library) if library else None
            if why is None and header.startswith(_ROOMS):
                why = layers.impure_for_core(package=os.path.dirname(header))
            if why:
                return why, (*chain, header)
            if header not in seen and tree.exists(header):
                seen.add(header)
                queue.append((header, (*chain, header)))
    return None


def check(tree):
    for path in tree.with_suffix(".h", ".cc", ".c"):
        test = is_test(path)
        banned_edge = False
        for number, header, quoted in _includes(tree, path):
            # absl headers are quoted too; the ban of a core's headers is about the name.
            for finding in _check_line(path, number, header, quoted and header.startswith(_ROOMS), test):
                banned_edge = True
                yield finding
        if layers.is_core(os.path.dirname(path)) and not test and not banned_edge:
            found = _path_to_impure(tree, path)
            if found:
                yield Finding(path, 0, _RULE, f"a core may not reach {found[0]}: {' -> '.join(found[1])}")
