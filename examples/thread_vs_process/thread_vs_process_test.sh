#!/bin/bash
# thread_vs_process_test.sh PROGRAM EXPECTED: the table has its rows and the plot its lines; times may be any.
set -euo pipefail
svg="$TEST_TMPDIR/plot.svg"
"$1" --size 2 --times 1 --svg "$svg" | sed -E 's/ +[0-9]+\.[0-9]{3}/ T/g' | diff -u "$2" -
lines=$(grep -c '<polyline' "$svg") points=$(grep -c '<circle' "$svg")
[[ $lines == 12 && $points == 48 ]] || { echo "$lines lines, $points points" >&2; exit 1; }
[[ $(head -c 4 "$svg") == '<svg' && $(tail -n 1 "$svg") == '</svg>' ]] || { echo "no whole plot" >&2; exit 1; }
! grep -q 'nan\|inf' "$svg" || { echo "no numbers" >&2; exit 1; }
