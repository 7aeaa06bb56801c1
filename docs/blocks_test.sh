#!/bin/bash
# blocks_test.sh: the blocks of code of the guide and the README.
#   c     a program, if it has a main, with the headers that it includes, or that are named above it; else statements of
#         one, where `seg` is a new segment and `rc` an int, 0 at the end; the shoal command is on its path
#   text  what the block before it prints; without one it prints nothing
# Blocks of no language are pictures; of another one there are none. Names that begin with shoal_ or SHOAL_ are the headers',
# those between a line "Headers: ..." and the next heading of the headers that it names.
set -euo pipefail
install=$PWD/tools/install/install
pages=(README.md docs/*.md)
top=$PWD
"$install" --prefix "$TEST_TMPDIR/prefix" >/dev/null
prefix=$TEST_TMPDIR/prefix
export PATH=$prefix/bin:$PATH PKG_CONFIG_PATH=$prefix/lib/pkgconfig
flags=$(pkg-config --cflags --libs --static shoal-packed)
mkdir "$TEST_TMPDIR/blocks"
cd "$TEST_TMPDIR/blocks"
failed=0
wrong() { echo "$@"; failed=1; }

(cd "$prefix/include/shoal" && find . -name '*.h' ! -path './core/arena.h' -printf '#include "%P"\n' | sort) >all.h
printf '#include <%s.h>\n' signal stdio stdlib string sys/wait unistd >system.h

# extract PAGE: its blocks, as files named for their lines; its sections that name headers.
extract() {
    awk -v name="$(basename "$1" .md)" '
        !inside && /^#/ { section = "" }
        !inside && /^Headers: / { section = sprintf("%s-%04d.section", name, FNR) }
        section { print >section }
        /^```/ && inside { inside = 0; close(file); next }
        /^```/ {
            inside = 1
            kind = substr($0, 4)
            if (kind == "text" && last == "") { print "a text block behind no other, line " FNR; bad = 1 }
            if (kind == "c") { file = last = sprintf("%s-%04d.c", name, FNR); print section >(file ".of") }
            else if (kind == "text") { file = last ".expected"; last = "" }
            else if (kind == "") { file = "/dev/null"; last = "" }
            else { print "a block of a kind unknown here, line " FNR ": " kind; bad = 1 }
            printf "" >file
            next
        }
        inside { print >file }
        END { if (inside) { print "a block has no end"; bad = 1 }; exit bad }
    ' "$1" || wrong "$1"
}

# headers SECTION: those that its first paragraph names.
headers() { sed '/^$/q' "$1" | grep -o '`[a-z_/]*\.h`' | sed 's/`\(.*\)`/#include "\1"/'; }

# program BLOCK: what of it is compiled.
program() {
    local section
    section=$(<"$1.of")
    if ! grep -q '^#include' "$1"; then
        cat system.h
        if [[ -n $section ]]; then headers "$section"; elif ! grep -q 'main(' "$1"; then cat all.h; fi
    fi
    if grep -q 'main(' "$1"; then
        echo "#line 1 \"$1\""
        cat "$1"
    else
        printf '#include "core/%s.h"\n' error segment
        echo 'int main(void) { struct shoal_segment *seg; int rc = shoal_segment_create(NULL, NULL, &seg); if (rc) return 9; {'
        echo "#line 1 \"$1\""
        cat "$1"
        echo '} if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason()); return rc != 0; }'
    fi
}

run() {
    program "$1" >"$1.whole.c"
    cc -std=gnu11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -I. -o "$1.program" "$1.whole.c" $flags || return
    timeout -s KILL 60 "./$1.program"
}

for page in "${pages[@]}"; do extract "$top/$page"; done
blocks=(*-[0-9][0-9][0-9][0-9].c)
for block in "${blocks[@]}"; do
    touch "$block.expected"
    (run "$block") >"$block.actual" </dev/null || wrong "$block: status $?"
    diff -u "$block.expected" "$block.actual" || wrong "$block: prints something else"
done
((${#blocks[@]} >= 13)) || wrong "only ${#blocks[@]} blocks were found"

# unknown HEADERS TEXT: names of ours in TEXT that a program which includes HEADERS knows not.
names() { { grep -oE '\b(shoal|SHOAL)_[A-Za-z0-9_]+' || true; } | sort -u; }
unknown() {
    local known
    known=$(cc -E -dD -D_GNU_SOURCE -x c $(pkg-config --cflags shoal-packed) "$1" | names)
    comm -23 <(names <"$2") - <<<"$known" | tr '\n' ' '
}
for page in "${pages[@]}"; do
    missing=$(unknown all.h "$top/$page")
    [[ -z $missing ]] || wrong "$page: no header has $missing"
done
for section in *.section; do
    headers "$section" >"$section.h"
    missing=$(unknown "$section.h" "$section")
    [[ -z $missing ]] || wrong "$section: the headers it names have no $missing"
done
echo "${#blocks[@]} blocks"
exit "$failed"
