#!/bin/sh
# model.sh MODEL.pml RUN|LONG: checks a model in every configuration its head lists with that word, one a line, and prints a
# row for each:
#   RUN: DEFINES ok        a complete search finds no error
#   RUN: DEFINES error     a mutant: the search finds one
#   LONG: the same, for hours when nobody waits
set -eu

command -v spin >/dev/null || { echo "no spin here: install the package spin" >&2; exit 1; }
model=$(realpath "$1") kind=$2
case $kind in
RUN) limits=-DMEMLIM=1500 table=22 depth=200000 seconds=250 ;;
*) limits=-DMEMLIM=12000 table=28 depth=2000000 seconds=7200 ;;
esac
work=$(mktemp -d "${TEST_TMPDIR:-${TMPDIR:-/tmp}}/model.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

# Without partial-order reduction: it does not know a death that strikes anywhere. -w22: a table of 32 MiB. What is soon searched
# takes longer to compile than to run: tcc, where it is installed, needs a fiftieth of the time, for a checker half as fast.
quick=$(command -v tcc || echo "${CC:-cc} -O0")
check() {
  case $kind in RUN) compile=$quick ;; *) compile="${CC:-cc} -O2" ;; esac
  spin -a $1 "$model" >spin.log 2>&1 && $compile -w -DSAFETY -DNOREDUCE -DCOLLAPSE $limits -o pan pan.c || return 1
  timeout $seconds ./pan -m$depth -w$table >pan.log 2>&1
}

said() {
  if ! grep -q 'errors: ' pan.log || grep -q 'max search depth too small\|reached -DMEMLIM\|hash factor.*0$' pan.log; then echo unfinished
  elif grep -q 'errors: 0' pan.log && ! grep -q 'Search not completed' pan.log; then echo ok
  elif grep -q 'assertion violated\|invalid end state' pan.log; then echo error
  else echo unfinished
  fi
}

failed=0 runs=0
sed -n "s/^[ /*]*$kind: *//p" "$model" >runs
while read -r line; do
  defines=$(echo "$line" | sed 's/\(.*\) *\b\(ok\|error\)\b.*/\1/; s/^\(ok\|error\).*//')
  wanted=$(echo "$line" | grep -ow 'ok\|error' | head -n 1)
  rm -f pan.log spin.log
  check "$defines" || [ -f pan.log ] || { cat spin.log; echo "$line: does not build" >&2; exit 1; }
  found=$(said)
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log)
  elapsed=$(sed -n 's/^pan: elapsed time \([0-9.]*\).*/\1/p' pan.log)
  verdict=PASS
  [ "$found" = "$wanted" ] || { verdict=FAIL; failed=1; cat pan.log; }
  printf '%s  %-44s wanted %-5s  found %-10s %10s states  %7s s\n' $verdict "${defines:--}" "$wanted" "$found" "$states" "$elapsed"
  runs=$((runs + 1))
done <runs
[ $runs -gt 0 ] || { echo "$model: no $kind line" >&2; exit 1; }
exit $failed
