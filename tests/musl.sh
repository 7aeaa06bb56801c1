#!/bin/bash
# The library with musl instead of glibc: compiled, and each example linked statically and run; its output must be what is expected.
# Left out is what stands on libraries that Debian has for glibc only (MessagePack, jemalloc, ncurses), and what is run with arguments.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export out TEST_TMPDIR=$out

cc() {
    musl-gcc @compile_flags.txt -O2 -Werror -idirafter /usr/include -idirafter "/usr/include/$(gcc -print-multiarch)" "$@"
}
export -f cc
needs_more() { grep -lE 'msgpack|jemalloc|data/(codec|packed)|queue/packed|core/arena|work/manager' "$@" /dev/null || true; }

mapfile -t sources < <(find core sync ipc -name '*.c' | sort | comm -23 - <(needs_more $(find core sync ipc -name '*.c' | sort)))
printf '%s\n' "${sources[@]}" | xargs -P2 -I{} bash -c 'cc -c -o "$out/$(echo {} | tr / _).o" {}'
ar rcs "$out/libshoal.a" "$out"/*.o
echo "${#sources[@]} files compiled"

passed=0 left_out=() refused=()
for expected in examples/*/*.expected; do
    name=$(basename "$expected" .expected)
    folder=$(dirname "$expected")
    if [[ -n $(needs_more "$folder"/*.c) || $name != "$(basename "$folder")" ]] || grep -q 'args =' "$folder/BUILD"; then
        left_out+=("$name")
        continue
    fi
    cc -static -pthread -o "$out/$name" "$folder"/*.c "$out/libshoal.a" -lm
    if bazel/compare.sh $(grep -q 'ids = True' "$folder/BUILD" && echo --ids) "$expected" "$out/$name" >"$out/log" 2>&1; then
        passed=$((passed + 1))
    elif grep -q 'spawn instead' "$out/log"; then # executors fork by clone(2), which musl does not expect
        refused+=("$name")
    else
        cat "$out/log"
        exit 1
    fi
done
echo "$passed examples as expected; refused, as documented: ${refused[*]}; left out: ${left_out[*]}"
