"""Runs a benchmark: builds what it needs, then our side and each rival in turn, round after round.

Taking turns spreads the machine's moods (frequency, neighbours) over all sides alike. A side that fails, or prints no
figure, ends the benchmark: half a comparison is none.
"""

import importlib
import os
import pkgutil
import re
import subprocess
import sys

from integration.benchmarks import benchmark

_PACKAGE = "integration.benchmarks"


class BenchmarkFailed(Exception):
    """No figures; the text says which side and why."""


def available(package=_PACKAGE):
    """{name: Benchmark} of the modules of this directory that define one."""
    found = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module.name.endswith("_test"):
            continue
        defined = getattr(importlib.import_module(f"{package}.{module.name}"), "BENCHMARK", None)
        if isinstance(defined, benchmark.Benchmark):
            found[module.name] = defined
    return found


def build(targets, root):
    """Builds the targets optimised; {label: path of the program}."""
    if not targets:
        return {}
    for command in (["build", "--config=opt", *targets], ["info", "--config=opt", "bazel-bin"]):
        done = subprocess.run(["bazel", *command], capture_output=True, check=False, cwd=root, text=True)
        if done.returncode != 0:
            raise BenchmarkFailed(f"bazel {command[0]} failed:\n{done.stderr.strip()[-3000:]}")
    programs = done.stdout.strip()
    return {label: os.path.join(programs, label[2:].replace(":", "/")) for label in targets}


def command_of(words, programs):
    """The words of a command with "{python}" and "{//label}" replaced."""

    def replaced(match):
        name = match.group(1)
        if name == "python":
            return sys.executable
        if name not in programs:
            raise BenchmarkFailed(f"{name} is not in the benchmark's `build`")
        return programs[name]

    return [re.sub(r"\{(python|//[^}]*)\}", replaced, word) for word in words]


def run_side(name, words, root, timeout):
    """The figures that one run of one side prints."""
    try:
        done = subprocess.run(
            words, capture_output=True, check=False, cwd=root, stdin=subprocess.DEVNULL, text=True, timeout=timeout
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkFailed(f"{name}: {error}") from error
    if done.returncode != 0:
        raise BenchmarkFailed(f"{name}: exit code {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")
    figures = benchmark.figures_of(done.stdout)
    if not figures:
        raise BenchmarkFailed(f"{name}: no figure in its output: {done.stdout.strip()[-500:]}")
    return figures


def run(chosen, runs, root, progress=lambda text: None, timeout=600):
    """`runs` rounds of all sides; the rows. `timeout` is in seconds, for one run of one side."""
    if chosen.root and os.geteuid() != 0:
        raise BenchmarkFailed("this benchmark needs root: run it with sudo")
    programs = build(chosen.build, root)
    results = benchmark.Results()
    for number in range(1, runs + 1):
        progress(f"run {number} of {runs}: ours")
        results.add_ours(run_side("ours", command_of(chosen.ours, programs), root, timeout))
        for name, words in chosen.rivals.items():
            progress(f"run {number} of {runs}: {name}")
            results.add_rival(name, run_side(name, command_of(words, programs), root, timeout))
    try:
        return results.rows(chosen.asked)
    except KeyError as missing:
        raise BenchmarkFailed(f"ours: no figure {missing.args[0]}, of which something is asked") from missing
