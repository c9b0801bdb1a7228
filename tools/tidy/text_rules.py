"""Rules about text: no notes to oneself, no path of one machine, no dead link, a contract on every header."""

import os
import re

from tools.tidy.source_tree import Finding

# Spelled so that this file and its test keep the rules.
_NOTES = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
_MACHINE_PATHS = re.compile(r"(?<![\w./~-])/(?:ho" r"me|ro" r"ot|wo" r"rk|t" r"mp)/(?![\w./-]*X{6})[\w.-]")
_LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
_NO_FILE = ("http://", "https://", "mailto:", "#")
_CONTRACT_LINES = 2


def check_notes(tree):
    for path in tree.paths:
        for number, line in tree.lines(path):
            match = _NOTES.search(line)
            if match:
                yield Finding(path, number, "notes", f"{match.group()}: do it, or open an issue and drop the note")


def check_machine_paths(tree):
    for path in tree.paths:
        for number, line in tree.lines(path):
            match = _MACHINE_PATHS.search(line)
            if match:
                yield Finding(path, number, "machine-paths", f"{match.group()}...: exists on one machine only")


def check_links(tree):
    for path in tree.with_suffix(".md"):
        fenced = False
        for number, line in tree.lines(path):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            for target in () if fenced else _LINK.findall(re.sub(r"`[^`]*`", "", line)):
                if target.startswith(_NO_FILE):
                    continue
                file = target.partition("#")[0]
                where = file.lstrip("/") if file.startswith("/") else os.path.join(os.path.dirname(path), file)
                if not tree.exists(os.path.normpath(where)):
                    yield Finding(path, number, "links", f"{target}: no such file")


def check_headers(tree):
    for path in tree.with_suffix(".h"):
        if _comment_lines(tree.text(path) or "") < _CONTRACT_LINES:
            message = (
                f"starts with less than {_CONTRACT_LINES} lines of comment: say what it is, who owns it, threads, "
                "invariants"
            )
            yield Finding(path, 1, "headers", message)


def _comment_lines(text):
    """Lines with words in the comment at the very top. `#pragma once` may come first."""
    text = re.sub(r"\A\s*#pragma once\n", "", text).lstrip()
    block = re.match(r"/\*.*?\*/", text, re.DOTALL)
    comment = block.group() if block else "".join(re.findall(r"\A(?://[^\n]*\n)+", text))
    return sum(bool(re.search(r"\w", line)) for line in comment.splitlines())
