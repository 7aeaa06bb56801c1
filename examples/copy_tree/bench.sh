#!/bin/bash
# bench.sh PROGRAM TREE_TOOL [DIR [ROUNDS]]: against cp -a, alternately, all in memory: 20,000 files of 1..8 KiB, and four of
# 256 MiB. Seconds, seconds of processor time, and how many times as fast as cp.
set -euo pipefail
export LC_ALL=C TIMEFORMAT='%R %U %S'
program=$(readlink -f "$1") tool=$(readlink -f "$2") rounds=${4:-5}
dir=$(mktemp -d "${3:-/tmp}/copy_tree.XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir"

run() { # what it took
    rm -rf copy
    { time "$@" copy; } 2>&1
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
compare() { # TREE
    run cp -aT "$1" >/dev/null
    for ((i = 0; i < rounds; i++)); do
        echo "$(run cp -aT "$1") $(run "$program" --quiet "$1")"
    done >times
    awk '{ printf "  cp %.3f s (%.3f), copy_tree %.3f s (%.3f): %.2f\n", $1, $2 + $3, $4, $5 + $6, $1 / $4 }' times
    echo "$1: median $(awk '{ printf "%.2f\n", $1 / $4 }' times | median), by processor time" \
        "$(awk '{ printf "%.2f\n", ($2 + $3) / ($5 + $6) }' times | median)"
}

"$tool" bulk small 20000 0
compare small
rm -rf small copy
mkdir large
for i in 1 2 3 4; do "$tool" bulk "large/$i" 0 256; done
compare large
