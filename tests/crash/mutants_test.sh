#!/bin/bash
# mutants_test.sh MUTANT.sed MUTANT...: each seeded bug is found by the scenarios it names. That they pass without it is what
# the sweep itself shows. Which instructions of a long operation are tried hangs on how its trace fell out, so who is missed at
# the default is asked once more at eight times as many. In shards, as Bazel asks.
set -uo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
[[ -z ${TEST_SHARD_STATUS_FILE:-} ]] || touch "$TEST_SHARD_STATUS_FILE"
bad=0 found=0
for ((i = 0; $#; i++)); do
    mutant=$1 program=$2
    shift 2
    ((i % ${TEST_TOTAL_SHARDS:-1} == ${TEST_SHARD_INDEX:-0})) || continue
    [[ -s $mutant ]] || { echo "no $mutant"; exit 2; }
    name=$(basename "$mutant" .sed)
    for points in 150 1200; do
        "$program" --stop --points $points --only "$(sed -n 's/^# caught by: //p' "$mutant")" >"$log" 2>&1
        rc=$?
        ((rc == 0)) || break
    done
    if ((rc == 1)); then
        ((++found))
        printf '%-40s found   of %4d: %s\n' "$name" $points "$(awk '/: / && ($(NF) != "") && / at [0-9]/ { sub(/^.*  at /, "at "); print; exit }' "$log")"
    else
        bad=1
        printf '%-40s MISSED (exit %d)\n' "$name" "$rc"
        cat "$log"
    fi
done
((found)) || bad=1
exit $bad
