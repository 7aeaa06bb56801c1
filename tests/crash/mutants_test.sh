#!/bin/bash
# mutants_test.sh SWEEP MUTANT.sed MUTANT...: each seeded bug is found by the scenarios it names; without it they pass.
set -uo pipefail
sweep=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
bad=0 regexes=()
while (($#)); do
    [[ -s $1 ]] || { echo "no $1"; exit 2; }
    regex=$(sed -n 's/^# caught by: //p' "$1")
    name=$(basename "$1" .sed)
    "$2" --stop --only "$regex" >"$log" 2>&1
    rc=$?
    if ((rc == 1)); then
        printf '%-32s found   %s\n' "$name" "$(awk '/: / && ($(NF) != "") && / at [0-9]/ { sub(/^.*  at /, "at "); print; exit }' "$log")"
    else
        bad=1
        printf '%-32s MISSED (exit %d)\n' "$name" "$rc"
        cat "$log"
    fi
    regexes+=("$regex")
    shift 2
done
all=$(IFS='|'; echo "${regexes[*]}")
"$sweep" --only "$all" || { bad=1; echo "the scenarios fail without a mutant"; }
exit $bad
