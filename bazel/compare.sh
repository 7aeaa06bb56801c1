#!/bin/bash
# compare.sh EXPECTED PROGRAM [ARG...]: the program succeeds and prints what is expected.
set -euo pipefail
"${@:2}" </dev/null >"$TEST_TMPDIR/actual"
diff -u "$1" "$TEST_TMPDIR/actual"
