#!/bin/bash
# lint.sh LINT [ROOT]: runs LINT.awk over a tree, by default the one this checkout belongs to.
set -euo pipefail
lint=$1
script=$(readlink -f "$(dirname "$0")/$lint.awk")
cd "${2:-$(dirname "$script")/../..}"

sources() { find "$@" \( -name '*.[ch]' -o -name '*.cc' \) -print 2>/dev/null | sort; }
case $lint in
includes)
    mapfile -t files < <(sources core sync ipc tools bench examples)
    awk -f "$script" "${files[@]}" </dev/null
    ;;
orders)
    [[ -e core/atomic.h ]] || exit 0
    mapfile -t files < <(sources core sync ipc | grep -vx core/atomic.h)
    awk -f "$script" core/atomic.h "${files[@]}" pass=2 "${files[@]}"
    ;;
esac
