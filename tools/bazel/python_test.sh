#!/bin/bash
# Runs one Python test module (dotted name) from the runfiles tree.
set -eu
cd "$TEST_SRCDIR/$TEST_WORKSPACE"
export PYTHONPATH="$PWD" PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 tools/bazel/python_test.py "$@"
