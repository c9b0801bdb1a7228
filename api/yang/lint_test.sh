#!/bin/sh
# Every module compiles without an error or a warning, is named as RFC 9907 wants it, and its tree
# is the one on record. Usage: lint_test.sh TREE STANDARD MODULE...; STANDARD is one of the modules
# of RFCs, which stand in one directory.
set -u
tree=$1
standard=$(dirname "$2")
shift 2
directory=$(dirname "$1")
actual=${TEST_TMPDIR:?}/tree
failures=0
fail() {
  echo "FAIL: $*"
  failures=$((failures + 1))
}

command -v yanglint >/dev/null || {
  echo "yanglint is missing: apt-get install libyang2-tools"
  exit 1
}

: >"$actual"
for file in "$@"; do
  name=$(basename "$file" .yang)
  module=${name%@*}
  revision=${name#*@}
  # yanglint loads what the module imports by module name from the directory.
  messages=$(yanglint -p "$directory" -p "$standard" -f tree "$file" 2>&1 >>"$actual") || fail "$file: not valid"
  [ -z "$messages" ] || fail "$file: $messages"
  grep -q "^module $module {" "$file" || fail "$file: the module is not called $module"
  grep -q "^  yang-version 1.1;" "$file" || fail "$file: not YANG 1.1"
  grep -q "^  namespace \"urn:portolan:yang:$module\";" "$file" || fail "$file: namespace"
  first=$(sed -n 's/^  revision \([0-9-]*\) {$/\1/p' "$file" | head -n 1)
  [ "$first" = "$revision" ] || fail "$file: its newest revision is $first"
  awk -v file="$file" 'length > 72 { print file ":" NR ": longer than 72 columns"; bad = 1 }
       /\t/ { print file ":" NR ": a tab"; bad = 1 } END { exit bad }' "$file" ||
    failures=$((failures + 1))
done

if ! diff -u "$tree" "$actual"; then
  fail "the tree differs from api/yang/portolan.tree (above, + is now). When that is wanted:" \
    "yanglint -p api/yang -p /usr/share/yuma/modules/ietf -f tree on each module, in the order of their names, into that file"
fi
[ "$failures" -eq 0 ]
