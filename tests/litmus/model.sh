#!/bin/sh
# model.sh MODEL.pml: checks a model in every configuration its head lists, one a line, and prints a row for each:
#   RUN: DEFINES ok        a complete search finds no error
#   RUN: DEFINES error     a mutant: the search finds one
set -eu

command -v spin >/dev/null || { echo "no spin here: install the package spin" >&2; exit 1; }
model=$(realpath "$1")
work=$(mktemp -d "${TEST_TMPDIR:-${TMPDIR:-/tmp}}/model.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

# Without partial-order reduction: it does not know a death that strikes anywhere. -w24: a table of 128 MiB.
check() {
  spin -a $1 "$model" >spin.log 2>&1 && ${CC:-cc} -O2 -w -DSAFETY -DNOREDUCE -DCOLLAPSE -DMEMLIM=1500 -o pan pan.c || return 1
  timeout 50 ./pan -m2000000 -w24 >pan.log 2>&1
}

said() {
  if ! grep -q 'errors: ' pan.log || grep -q 'max search depth too small\|reached -DMEMLIM\|hash factor.*0$' pan.log; then echo unfinished
  elif grep -q 'errors: 0' pan.log && ! grep -q 'Search not completed' pan.log; then echo ok
  elif grep -q 'assertion violated\|invalid end state' pan.log; then echo error
  else echo unfinished
  fi
}

failed=0 runs=0
sed -n 's/^[ /*]*RUN: *//p' "$model" >runs
while read -r line; do
  defines=$(echo "$line" | sed 's/\(.*\) *\b\(ok\|error\)\b.*/\1/; s/^\(ok\|error\).*//')
  wanted=$(echo "$line" | grep -ow 'ok\|error' | head -n 1)
  rm -f pan.log spin.log
  check "$defines" || { cat spin.log; echo "$line: does not build" >&2; exit 1; }
  found=$(said)
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log)
  seconds=$(sed -n 's/^pan: elapsed time \([0-9.]*\).*/\1/p' pan.log)
  verdict=PASS
  [ "$found" = "$wanted" ] || { verdict=FAIL; failed=1; cat pan.log; }
  printf '%s  %-34s wanted %-5s  found %-10s %9s states  %6s s\n' $verdict "${defines:--}" "$wanted" "$found" "$states" "$seconds"
  runs=$((runs + 1))
done <runs
[ $runs -gt 0 ] || { echo "$model: no RUN line" >&2; exit 1; }
exit $failed
