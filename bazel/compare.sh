#!/bin/bash
# compare.sh [--ids] EXPECTED PROGRAM [ARG...]: the program succeeds and prints what is expected. With --ids each number that
# stands alone is a process's, and compared as ID1, ID2... in the order in which they come.
set -euo pipefail
ids=cat
if [[ $1 == --ids ]]; then
    shift
    ids=number
fi
number() {
    awk '{
        line = ""
        while (match($0, /[0-9]+/)) {
            n = substr($0, RSTART, RLENGTH)
            before = RSTART > 1 ? substr($0, RSTART - 1, 1) : " "
            if (before !~ /[-A-Za-z_]/) {
                if (!(n in seen)) seen[n] = "ID" ++count
                n = seen[n]
            }
            line = line substr($0, 1, RSTART - 1) n
            $0 = substr($0, RSTART + RLENGTH)
        }
        print line $0
    }'
}
"${@:2}" </dev/null >"$TEST_TMPDIR/actual"
diff -u "$1" <($ids <"$TEST_TMPDIR/actual")
