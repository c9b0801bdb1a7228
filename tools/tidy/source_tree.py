"""The files of a repository, read once, and what a rule finds in them."""

import dataclasses
import os

_SKIPPED_DIRECTORIES = {".git", "__pycache__", ".pytest_cache", "node_modules"}


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """One line that breaks one rule; `line` 0 is the file as a whole."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self):
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: [{self.rule}] {self.message}"


class SourceTree:
    """Files below `root`, by path relative to it. Build output (bazel-*) and version control are left out."""

    def __init__(self, root):
        self.root = root
        self.paths = sorted(self._walk())
        self._texts = {}

    def _walk(self):
        for directory, names, files in os.walk(self.root):
            relative = os.path.relpath(directory, self.root)
            top = relative == "."
            names[:] = [
                name for name in names if name not in _SKIPPED_DIRECTORIES and not (top and name.startswith("bazel-"))
            ]
            for name in files:
                path = name if top else os.path.join(relative, name)
                # At the top, links like bazel-out; editors' and compilers' leftovers anywhere.
                if (top and name.startswith("bazel-")) or name.endswith((".pyc", ".swp", "~")):
                    continue
                yield path

    def text(self, path):
        """The file's text, or None if it is not text."""
        if path not in self._texts:
            try:
                with open(os.path.join(self.root, path), encoding="utf-8") as file:
                    self._texts[path] = file.read()
            except (UnicodeDecodeError, OSError):
                self._texts[path] = None
        return self._texts[path]

    def lines(self, path):
        """(number, line) of a text file, from 1; nothing for other files."""
        return enumerate((self.text(path) or "").splitlines(), start=1)

    def with_suffix(self, *suffixes):
        return [path for path in self.paths if path.endswith(suffixes)]

    def exists(self, path):
        return os.path.exists(os.path.join(self.root, path))
