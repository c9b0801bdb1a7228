#!/bin/bash
# The whole repository keeps the house rules. Run by Bazel, it looks at the sources themselves and not at a copy of
# what some target names, so it also sees files that no BUILD file knows.
set -eu
tidy=$(realpath "$TEST_SRCDIR/$TEST_WORKSPACE/tools/tidy/tidy")
exec /usr/bin/python3 "$tidy" "$@"
