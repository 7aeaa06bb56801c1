#!/bin/bash
# jitter_test.sh PROGRAM: the histogram holds every message once, and is in order; what is no plan is refused.
set -euo pipefail
"$1" --messages 2000 --interval 5000 >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err"
cat "$TEST_TMPDIR/out"
awk '/ ns .*#/ { if ($1 <= last) exit 1; last = $1; sum += $3 } END { exit sum != 2000 }' "$TEST_TMPDIR/out"
grep -q '^2000 messages, one every 5000 ns: half in less than [1-9]' "$TEST_TMPDIR/out"
for wrong in --messages=0 --interval=x --processors=1 --processors=1,1; do
    if "$1" "$wrong" >/dev/null 2>&1; then
        echo "$wrong: accepted"
        exit 1
    fi
done
