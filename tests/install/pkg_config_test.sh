#!/bin/bash
# pkg_config_test.sh: what is installed compiles, links and runs by what pkg-config says, dynamically and statically, in C and C++.
set -euo pipefail
prefix=$TEST_TMPDIR/prefix
tools/install/install --prefix "$prefix"
examples=$prefix/share/doc/shoal/examples
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
mkdir "$TEST_TMPDIR/empty"
cd "$TEST_TMPDIR/empty"

letters() { [[ $("$1") == $'A\nB\nC\nD\nE\n'* ]] || { echo "$1: $("$1")"; exit 1; }; }
cc -o dynamic "$examples/letters/letters.c" $(pkg-config --cflags --libs shoal)
letters ./dynamic
cc -o static -static "$examples/letters/letters.c" $(pkg-config --cflags --libs --static shoal)
letters ./static
if ldd ./static 2>/dev/null; then exit 1; fi
cc -o packed "$examples/queue_dynamic/queue_dynamic.c" $(pkg-config --cflags --libs --static shoal-packed)
./packed

for several in copy_tree thread_vs_process wordcount; do
    cc -D_GNU_SOURCE -I"$prefix/share/doc/shoal" -o "$several" "$examples/$several"/*.c $(pkg-config --cflags --libs --static shoal)
done
./wordcount --help >/dev/null
[[ -s $examples/README.md && -s $prefix/share/doc/shoal/docs/README.md ]]

archives=(core core_arena sync queue queue_packed data data_codec data_packed work work_manager)
ls "$prefix"/lib/libshoal_*.a | diff - <(printf "$prefix/lib/libshoal_%s.a\n" "${archives[@]}" | sort)
cc -o layers "$examples/letters/letters.c" $(pkg-config --cflags shoal) -L"$prefix/lib" -lshoal_queue -lshoal_sync -lshoal_core -pthread
letters ./layers

cat >arena.c <<'END'
#include "core/arena.h"
int (*volatile create)(struct shoal_heap *, struct shoal_arena **) = shoal_arena_create;  // volatile: it is linked
int main(void) { return !create; }
END
cc -o arena arena.c $(pkg-config --cflags --libs --static shoal-arena)
./arena

"$prefix/bin/shoal" ls --json >ls.json
[[ $(<ls.json) == \[* && -s $prefix/share/man/man1/shoal.1 && -s $prefix/share/bash-completion/completions/shoal ]]

(cd "$prefix/include/shoal" && find . -name '*.h' ! -path './core/arena.h' -printf '#include "%P"\n') >all.h
echo 'int main(void) { return 0; }' | cat all.h - >all.c
cc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -o all all.c $(pkg-config --cflags --libs shoal-packed)
g++ -std=c++17 -Wall -Wextra -Werror -x c++ all.c -x none -o all++ $(pkg-config --cflags --libs shoal-packed)
./all && ./all++

tools=$OLDPWD/tools/install/install
for wrong in --prefix --pre '--prefix='; do
    "$tools" $wrong >/dev/null 2>&1 && { echo "install $wrong: accepted"; exit 1; }
done
[[ $("$tools" --prefix /usr --destdir "$TEST_TMPDIR/stage") == *stage/usr ]]
grep -qx 'prefix=/usr' "$TEST_TMPDIR/stage/usr/lib/pkgconfig/shoal.pc"
odd="$TEST_TMPDIR/R&D, this | that"
"$tools" --prefix "$odd" >/dev/null
grep -qxF "prefix=$odd" "$odd/lib/pkgconfig/shoal.pc"
eval cc -o odd "'$examples/letters/letters.c'" "$(PKG_CONFIG_PATH=$odd/lib/pkgconfig pkg-config --cflags --libs shoal)"
letters ./odd
