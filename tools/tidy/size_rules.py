"""Files of 500 lines and functions of 70 at most, as a ratchet.

What is larger today is listed in baseline.txt with its size. It may shrink, and then its entry has to shrink with it;
it may not grow. `tools/tidy/tidy --lower-baseline` rewrites the entries, downwards only: a new one is written by hand,
where a reviewer sees it.
"""

import ast
import os
import re

from tools.tidy.source_tree import Finding

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70
BASELINE = "tools/tidy/baseline.txt"

_RULE = "sizes"
_BRACED = (".c", ".cc", ".h")
_MEASURED = (*_BRACED, ".bzl", ".proto", ".py", ".sh", ".yang")
_TYPE = re.compile(r"\s*(?:template\s*<[^{}]*>\s*)?(?:inline\s+)?(?:namespace|class|struct|union|enum)\b[^()]*$")


def _blank(match):
    """Keeps the lines of a literal or comment and none of its characters."""
    return re.sub(r"[^\n]", " ", match.group(0))


_NOISE = re.compile(
    r'R"(?P<mark>[^()\s\\]{0,16})\(.*?\)(?P=mark)"'  # raw strings
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])*'"  # characters, not the marks of 1'000
    r"|//[^\n]*"
    r"|/\*.*?\*/"
    r"|^[ \t]*#(?:\\\n|[^\n])*",  # preprocessor
    re.DOTALL | re.MULTILINE,
)


def braced_functions(text):
    """(name, first line, number of lines) of the functions of a C or C++ file."""
    code = _NOISE.sub(_blank, text)
    # Each open brace: (whether it opened a function, name, first line).
    stack = []
    header_start = 0
    for match in re.finditer(r"[{};]", code):
        header = code[header_start : match.start()]
        if match.group() == "{":
            inside = any(entry[0] for entry in stack)
            name = None if inside else _function_name(header)
            lead = re.match(r"\s*(?:(?:public|private|protected)\s*:\s*)?", header).end()
            stack.append((name is not None, name, code.count("\n", 0, header_start + lead) + 1))
        elif match.group() == "}" and stack:
            is_function, name, first = stack.pop()
            last = code.count("\n", 0, match.start()) + 1
            # `Name() : member_{1}, other_(2) {`: the braces of an initializer are not the body.
            if is_function and re.match(r"\s*[,{]", code[match.end() :]):
                continue
            if is_function:
                yield name, first, last - first + 1
        header_start = match.end()


def _function_name(header):
    """The name of the function whose body follows `header`, None if it is not a function's."""
    header = re.sub(r"\b(public|private|protected)\s*:", "", header)
    if _TYPE.match(header) or re.match(r"[^(]*=\s*$", header):
        return None
    for match in re.finditer(r"(operator\s*\S+?|~?[\w:]+)\s*\(", header):
        name = match.group(1)
        if name.startswith("TEST") or name == "TYPED_TEST":
            return " ".join(header[match.start() :].split())
        if not re.fullmatch(r"[A-Z][A-Z0-9_]{2,}", name):  # a macro in front of it
            return name
    return None


def python_functions(text):
    """The same for Python. A file that does not parse has none; the interpreter will say so."""
    try:
        parsed = ast.parse(text)
    except SyntaxError:
        return
    for node in ast.walk(parsed):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def measure(tree):
    """{"PATH": (lines, 0), "PATH function NAME": (lines, first line)} of everything that is measured."""
    sizes = {}
    for path in tree.paths:
        text = tree.text(path)
        if text is None or not (path.endswith(_MEASURED) or _is_script(path, text)):
            continue
        sizes[path] = (len(text.splitlines()), 0)
        if path.endswith(_BRACED):
            functions = braced_functions(text)
        elif path.endswith(".py") or "python" in text[:40].partition("\n")[0]:
            functions = python_functions(text)
        else:
            functions = ()
        for name, first, lines in functions:
            key = f"{path} function {name}"
            sizes[key] = max(sizes.get(key, (0, 0)), (lines, first))
    return sizes


def _is_script(path, text):
    return "." not in os.path.basename(path) and text.startswith("#!")


def limit_of(key):
    return MAX_FUNCTION_LINES if " function " in key else MAX_FILE_LINES


def read_baseline(text):
    """{key: allowed lines} of the text of baseline.txt: `LINES KEY` a line."""
    entries = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            lines, _, key = line.strip().partition(" ")
            entries[key] = int(lines)
    return entries


def lowered(text, sizes):
    """baseline.txt with every entry lowered to today's size, and without what is within the limits."""
    result = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            result.append(line)
            continue
        allowed, _, key = line.strip().partition(" ")
        now = min(int(allowed), sizes.get(key, (0, 0))[0])
        if now > limit_of(key):
            result.append(f"{now} {key}")
    return "\n".join(result) + "\n"


def check(tree):
    sizes = measure(tree)
    baseline = read_baseline(tree.text(BASELINE) or "") if BASELINE in tree.paths else {}
    for key, (lines, first) in sorted(sizes.items()):
        allowed = baseline.get(key, limit_of(key))
        path, _, name = key.partition(" function ")
        if lines > allowed:
            what = f"function {name}" if name else "the file"
            yield Finding(path, first, _RULE, f"{what} has {lines} lines, {allowed} are allowed")
    for key, allowed in sorted(baseline.items()):
        now = sizes.get(key, (0, 0))[0]
        if now < allowed or allowed <= limit_of(key):
            message = f"'{key}' has {now} lines now: run tools/tidy/tidy --lower-baseline"
            yield Finding(BASELINE, 0, _RULE, message)
