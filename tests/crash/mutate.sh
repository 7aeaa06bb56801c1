#!/bin/bash
# mutate.sh CC OUT.a SOURCE...: the sources, each compiled on its own; in OUT.a.d, a line each, what each reads.
# mutate.sh CC OUT MUTANT.sed WHOLE.a WHOLE.a.d SOURCE...: the program made of them, one changed by the sed script, whose first
# lines say which:
#   # file: core/robust.h
#   # caught by: REGEX of scenarios
# A script that changes nothing is an error.
set -euo pipefail
cc=$1 out=$(realpath -m "$2")
shift 2

compile() { # SOURCE...: each into ./path_to_source.o
    local source
    for source; do
        "$cc" -std=gnu11 -D_GNU_SOURCE -O2 -pthread -w -I. -MMD -c "$source" -o "${source//\//_}.o"
    done
}

who_reads() { # FILE WHOLE.a.d: the sources that it is, or is included by
    awk -v file="$1" '{ for (i = 2; i <= NF; i++) if ($i == file) print $2 }' "$2"
}

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
if [[ $out == *.a ]]; then
    cp -L --parents "$@" "$tree"
    cd "$tree"
    mapfile -t sources < <(find -- * -name '*.c')
    compile "${sources[@]}"
    ar rcs "$out" ./*.o
    cat ./*.d | sed -e ':a; /\\$/ { N; s/\\\n//; ba }' >"$out.d"
    exit
fi

mutant=$1 whole=$2 reads=$(realpath "$3")
shift 3
file=$(sed -n 's/^# file: //p' "$mutant")
cp -L --parents "$@" "$tree"
cp "$whole" "$tree/mutant.a"
sed -E -i.before -f "$mutant" "$tree/$file"
if cmp -s "$tree/$file" "$tree/$file.before"; then
    echo >&2 "mutate: $mutant changes nothing in $file"
    exit 1
fi
cd "$tree"
mapfile -t sources < <(who_reads "$file" "$reads")
compile "${sources[@]}"
chmod u+w mutant.a
ar rs mutant.a ./*.o
"$cc" -pthread -static -Wl,--whole-archive mutant.a -Wl,--no-whole-archive -o "$out"
