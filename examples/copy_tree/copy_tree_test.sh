#!/bin/bash
# copy_tree_test.sh PROGRAM TREE_TOOL: a tree of everything, copied as cp -a copies it, with kills and without.
set -euo pipefail
export LC_ALL=C
program=$(readlink -f "$1") tool=$(readlink -f "$2")
dir=$(mktemp -d "${TEST_TMPDIR:-/tmp}/copy_tree.XXXXXX")
trap 'chmod -R u+rwx "$dir"; rm -rf "$dir"' EXIT
cd "$dir"

fail() {
    echo "FAILED: $*" >&2
    exit 1
}
field() { sed -n "s/^ *\"$1\": \([^,]*\),*\$/\1/p" figures.json; }
copy() { "$program" --json figures.json "$@" >out 2>err || { cat out err >&2; fail "$* ended with $?"; }; }
status() {
    local expected=$1 rc=0
    shift
    "$program" --json figures.json "$@" >out 2>err || rc=$?
    [[ $rc == "$expected" ]] || { cat out err >&2; fail "$* ended with $rc, not $expected"; }
}
same() {
    "$tool" list "$2" >list
    diff "$1" list || fail "$2 is another tree"
}
no_parts() { [[ -z $(find "$1" -name '.copy_tree.*') ]] || fail "parts are left in $1"; }

# As cp -a.
"$tool" make tree
cp -aT tree by-cp
"$tool" list by-cp >expected
copy --quiet tree copy
[[ ! -s out && ! -s err ]] || fail "--quiet says: $(cat out err)"
same expected copy
[[ $(field failed) == 0 && $(field skipped) == 0 && $(field links) == 5 ]] || fail "figures: $(cat figures.json)"
copy --workers 3 --verify tree/ again
same expected again
all=$(find tree ! -type d -printf . | wc -c)
[[ $(field differing) == 0 && $(field verified) == "$all" ]] || fail "$(cat figures.json)"

"$tool" deep deep
"$tool" list deep >deep.list
copy --verify deep deeper
same deep.list deeper

# What is there is skipped, and only that; a file that differs is found; an old one makes way.
copy --resume --verify tree copy
same expected copy
[[ $(field files) == 0 && $(field symlinks) == 0 && $(field specials) == 0 ]] || fail "--resume copied again"
rm "copy/links/below/same file" copy/specials/socket
printf x | dd of=copy/attributes/listed conv=notrunc status=none
touch -r tree/attributes/listed copy/attributes/listed
touch -r tree/attributes copy/attributes
status 1 --resume --verify tree copy
[[ $(field differing) == 1 && $(grep -c . err) == 1 ]] || fail "one file differs: $(cat err)"
grep -q '^copy_tree: tree/attributes/listed: differs: contents$' err || fail "says: $(cat err)"
printf 'longer than it was' >copy/links/again
rm copy/empty && ln -s nowhere copy/empty
copy tree copy
same expected copy

# A file that fails is one line, and the others are copied.
mkdir partly partly/empty
status 1 tree partly
grep -q '^copy_tree: tree/empty: name: ' err && [[ $(grep -c . err) == 1 && $(field failed) == 1 ]] || fail "$(cat err)"
rmdir partly/empty
copy --resume tree partly
same expected partly

# A small file that grows meanwhile is said to have changed, and has no name there: as many runs as it takes to be seen.
mkdir growing
rc=0
for ((run = 0; rc == 0 && run < 2000; run++)); do
    rm -rf growing/file grown
    "$tool" grow growing/file &
    until [[ -s growing/file ]]; do kill -0 $! || fail "nothing grows"; done
    "$program" growing grown >out 2>err || rc=$?
    kill $!
    wait $! || true
done
[[ $rc == 1 && ! -e grown/file ]] || fail "a file that grows: $rc"
grep -q '^copy_tree: growing/file: changed while it was copied$' err || fail "says: $(cat err)"
no_parts grown

# Workers are killed: as many runs as it takes. Then the whole of it is.
"$tool" bulk bulk 1000 32
"$tool" list bulk >bulk.list
kills=0
for ((run = 0; kills < 3; run++)); do
    rm -rf chaos
    copy --chaos --workers 2 bulk chaos
    same bulk.list chaos
    no_parts chaos
    kills=$((kills + $(field kills)))
done

"$program" --quiet bulk killed &
while [[ ! -e killed/d5/550 ]]; do kill -0 $! || break; done
kill -KILL $! || true
wait $! || true
diff -rq -x '.copy_tree.*' bulk killed >differ || true
! grep '^Files' differ || fail "files are half there"
there=$(find killed -type f ! -name '.copy_tree.*' -printf . | wc -c)
copy --resume bulk killed
same bulk.list killed
no_parts killed
(($(field skipped) >= there && there > 0)) || fail "--resume copied again what was there"

# Told to end, it leaves no parts and says so.
"$program" --quiet bulk ended &
while [[ ! -e ended/d1/150 ]]; do kill -0 $! || break; done
kill -TERM $! || true
rc=0
wait $! || rc=$?
[[ $rc == 143 || $rc == 0 ]] || fail "SIGTERM: $rc"
no_parts ended

# Refused, before anything is done.
status 2 tree
status 2 tree tree
status 2 tree tree/links/../copy
status 2 tree tree/empty\ directory/copy
status 2 tree/links tree
status 2 tree no-such/directory
status 2 no-such copy
status 2 --workers 0 tree copy2
[[ ! -e copy2 && ! -e "tree/empty directory/copy" ]] || fail "made what it refused"
echo "$kills kills"
