"""Writes compile_commands.json for clang-tidy and editors: compile_commands.py FILE [BAZEL PATTERN]...

Takes the commands from `bazel aquery`. Paths in them are relative to Bazel's execution root, where generated headers
are as well once the patterns (default: //...) have been built.
"""

import json
import os
import subprocess
import sys

# Flags of g++ that clang does not know, and what only matters for producing objects.
_DROPPED_FLAGS = {"-fno-canonical-system-headers", "-Werror", "-Wunused-but-set-parameter", "-Wno-free-nonheap-object"}
_DROPPED_PREFIXES = ("-Wno-error=", "-frandom-seed=", "-D__DATE__", "-D__TIME", "-Wno-builtin-macro")
_DROPPED_PAIRS = {"-MF", "-o"}
_SOURCES = (".c", ".cc")


def bazel(*arguments):
    """The standard output of a Bazel command; RuntimeError with its words if it fails."""
    done = subprocess.run(["bazel", *arguments], capture_output=True, check=False, stdin=subprocess.DEVNULL, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"bazel {arguments[0]} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def clang_arguments(arguments):
    """The compiler call of an action, as clang understands it."""
    result = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in _DROPPED_PAIRS:
            skip = True
        elif argument not in _DROPPED_FLAGS and not argument.startswith(_DROPPED_PREFIXES) and argument != "-MD":
            result.append(argument)
    return [*result, "-Wno-unknown-warning-option"]


def entries(graph, execution_root):
    """compile_commands entries of an `aquery --output=jsonproto` answer: one a source file, ours only."""
    found = {}
    for action in graph.get("actions", []):
        arguments = action.get("arguments", [])
        if "-c" not in arguments:
            continue
        source = arguments[arguments.index("-c") + 1]
        if source.endswith(_SOURCES) and not source.startswith(("bazel-out/", "external/")):
            # Debian's clang-tidy takes the language from the compiler's name.
            command = ["clang" if source.endswith(".c") else "clang++", *clang_arguments(arguments[1:])]
            found[source] = {"directory": execution_root, "file": source, "arguments": command}
    return [found[source] for source in sorted(found)]


def write(path, patterns):
    """Writes the file and returns its entries."""
    graph = bazel("aquery", "--output=jsonproto", f"mnemonic('CppCompile', {' + '.join(patterns)})")
    result = entries(json.loads(graph), bazel("info", "execution_root").strip())
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    return result


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    print(f"{len(write(arguments[0], arguments[1:] or ['//...']))} files in {os.path.abspath(arguments[0])}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
