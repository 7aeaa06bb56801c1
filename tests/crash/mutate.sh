#!/bin/bash
# mutate.sh CC OUT MUTANT.sed SOURCE...: compiles the sources into OUT, one of them changed by the sed script, whose first
# lines say which:
#   # file: core/robust.h
#   # caught by: REGEX of scenarios
# A script that changes nothing is an error.
set -euo pipefail
cc=$1 out=$2 mutant=$3
shift 3

file=$(sed -n 's/^# file: //p' "$mutant")
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cp -L --parents "$@" "$tree"
sed -E -i.before -f "$mutant" "$tree/$file"
if cmp -s "$tree/$file" "$tree/$file.before"; then
    echo >&2 "mutate: $mutant changes nothing in $file"
    exit 1
fi
mapfile -t sources < <(cd "$tree" && find . -name '*.c')
out=$(realpath -m "$out")
cd "$tree"
"$cc" -std=gnu11 -D_GNU_SOURCE -O2 -pthread -w -I. "${sources[@]}" -static -o "$out"
