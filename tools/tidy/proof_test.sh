#!/bin/bash
# The layers are proved on the build graph. Bazel is asked by a second server with an output base of its own, because
# the one that runs this test holds the lock of its own.
set -eu
tidy=$(realpath "$TEST_SRCDIR/$TEST_WORKSPACE/tools/tidy/tidy")
exec /usr/bin/python3 "$tidy" --rule layers --query \
  --bazel-startup=--batch --bazel-startup=--output_base="$TEST_TMPDIR/query"
