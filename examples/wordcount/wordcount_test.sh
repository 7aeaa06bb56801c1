#!/bin/bash
# wordcount_test.sh PROGRAM: the count of a made tree, with and without kills, against tr, sort and uniq.
set -euo pipefail
export LC_ALL=C
program=$(readlink -f "$1")
dir=$(mktemp -d "${TEST_TMPDIR:-/tmp}/wordcount.XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# A tree: many small files; big ones, whose words lie across the parts they are read in; runs of letters longer than a word,
# one of several parts; a file without an end of line; names with spaces; and what is not a text.
mkdir -p "tree/small files/deep" tree/big
for i in $(seq 300); do seq "$i" 7 "$((i * 9))" | tr '0-9' 'a-jA-J' >"tree/small files/$i"; done
seq 1 700000 | tr '0-9 ' 'a-j ' | paste -sd ' \n,;' >tree/big/numbers
yes 'The quick brown Fox jumps over the lazy dog 0123456789' | head -c 5000001 >tree/big/fox || true
yes abcdefghij | tr -d '\n' | head -c 3500000 >tree/big/run || true
printf ' tail' >>tree/big/run
yes 'x' | tr -d '\n' | head -c 1572888 >tree/big/boundary || true
printf ' %s' word{1..50} >>tree/big/boundary
printf 'no end of line' >'tree/small files/deep/last'
printf 'byte\0byte' >tree/not-text
{ head -c 5000 /dev/zero | tr '\0' 'z'; printf '\0 late nul'; } >tree/late
: >tree/empty
ln -s big tree/link

texts() { find tree -type f ! -name not-text "$@"; }
texts -exec sh -c 'for f; do cat "$f"; echo; done' sh {} + | tr -cs 'A-Za-z' '\n' | tr 'A-Z' 'a-z' | cut -c1-64 |
    grep . | sort | uniq -c | sort -k1,1nr -k2 >expected
head -20 expected | awk '{ printf "%10d  %s\n", $1, $2 }' >expected.top
words=$(awk '{ n += $1 } END { printf "%d", n }' expected)
unique=$(wc -l <expected)
lines=$(texts -exec cat {} + | tr -dc '\n' | wc -c)
bytes=$(texts -exec cat {} + | wc -c)
files=$(texts -size +0c | wc -l)

field() { sed -n "s/^ *\"$1\": \([^,]*\),*\$/\1/p" figures.json; }
check() {
    "$program" --json figures.json "$@" tree >out 2>err || { cat out err >&2; fail "$* ended with an error"; }
    [[ $(tail -1 out) == 'exact: yes' ]] || { cat out >&2; fail "$*: not exact"; }
    head -20 out | diff - expected.top || fail "$*: other words than sort and uniq found"
    local name
    for name in words unique lines bytes files; do
        [[ $(field $name) == "${!name}" ]] || fail "$*: $name: $(field $name), not ${!name}"
    done
    [[ $(field skipped) == 1 && $(field exact) == true ]] || fail "$*: skipped or exact"
}

check --workers 2
[[ $(field kills) == 0 && $(field redelivered) == 0 && $(field restarts) == 0 ]] || fail "kills without --chaos"
check --workers 1 --producers 3
check --workers 5 --producers 2

# As many runs as it takes: how long one is, is not known. The test's own time limit ends it.
kills=0
while ((kills < 10)); do
    check --workers 2 --producers 2 --chaos
    kills=$((kills + $(field kills)))
    (($(field restarts) <= $(field kills))) || fail "more restarts than kills"
done

# The walk ends with the file that reaches the limit.
"$program" --limit 1 --json figures.json tree >/dev/null 2>&1 || fail "--limit"
[[ $(field files) == 1 ]] || fail "--limit 1 read $(field files) files"
! "$program" --workers none tree >/dev/null 2>&1 || fail "took 'none' for a number"
! "$program" no-such-path >/dev/null 2>&1 || fail "counted what is not there"
! "$program" --limit 9G tree >/dev/null 2>&1 || fail "took a limit at which counts could overflow"
echo "$kills kills"
