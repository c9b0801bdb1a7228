#!/bin/sh
# Prints a C++ file that holds the given NAME@REVISION.yang files as string literals.
set -eu
echo '#include "api/yang/modules.h"'
echo 'namespace portolan::api {'
echo 'const YangModule kYangModules[] = {'
for file in "$@"; do
  name=$(basename "$file" .yang)
  printf '{"%s", R"YANG(' "${name%@*}"
  cat "$file"
  echo ')YANG"},'
done
echo '};'
echo 'const size_t kYangModuleCount = sizeof(kYangModules) / sizeof(kYangModules[0]);'
echo '}  // namespace portolan::api'
