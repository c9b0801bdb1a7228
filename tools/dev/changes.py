"""Which files a change touches, and which C++ sources have to be looked at again because of them."""

import re
import subprocess

_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def first_line(tree, path):
    return (tree.text(path) or "").partition("\n")[0]


def _git(tree, *arguments):
    done = subprocess.run(
        ["git", "-C", tree.root, *arguments], capture_output=True, check=False, stdin=subprocess.DEVNULL, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"git {arguments[0]} failed: {done.stderr.strip()} (use --all outside a checkout)")
    return done.stdout.splitlines()


def changed_paths(tree):
    """Paths that differ from the last commit, or that the last commit changed if none differs. Deleted ones are out."""
    changed = set(_git(tree, "diff", "--name-only", "HEAD")) | set(_git(tree, "ls-files", "--others", "--exclude-standard"))
    if not changed:
        changed = set(_git(tree, "show", "--name-only", "--format=", "HEAD"))
    return [path for path in tree.paths if path in changed]


def sources_of(tree, paths):
    """The .cc files among `paths`, and those that include a header among them, directly or not."""
    includers = {}
    for path in tree.with_suffix(".cc", ".h"):
        for header in _INCLUDE.findall(tree.text(path) or ""):
            includers.setdefault(header, []).append(path)
    seen = set(paths)
    queue = list(paths)
    while queue:
        for path in includers.get(queue.pop(), ()):
            if path not in seen:
                seen.add(path)
                queue.append(path)
    return {path for path in seen if path.endswith(".cc")}
