#!/bin/bash
# musl_test.sh: with musl's compiler all rooms compile, as strictly as with glibc's, and the examples, linked statically, print what
# is expected of them; a thread that ends is noticed at once.
#
# Not seen: MessagePack and jemalloc, which Debian has for glibc only; tracepoints, as musl-gcc does not see <sys/sdt.h>; and `not`.
set -euo pipefail
declare -A not=(
    [copy_tree]="argp" [jitter]="argp" [thread_vs_process]="argp" [wordcount]="argp" [queue_dynamic]="MessagePack"
    [terminate_process]="sigabbrev_np" [cpu_bound_sum]="the starter forks as only glibc lets it: -ENOSYS"
)
compare=$PWD/bazel/compare.sh out=$TEST_TMPDIR/musl
cd "$(dirname "$(readlink -f "$0")")/../.."
mkdir "$out"
# The kernel's headers, CK's and jemalloc's are not musl's, and come last.
export CC="musl-gcc @compile_flags.txt -Werror -O1 -idirafter /usr/include -idirafter /usr/include/$(uname -m)-linux-gnu"

find core sync ipc -name '*.c' ! -name 'arena.c' ! -name 'codec*.c' ! -name 'packed.c' >"$out/sources"
xargs -P2 -I{} sh -c '$CC -c -o "'"$out"'/$(echo {} | tr / -).o" {}' <"$out/sources"
ar rcs "$out/libshoal.a" "$out"/*.o

# By no look once a second: it sleeps longer than the test may take.
cat >"$out/ends.c" <<'C'
#include <pthread.h>
#include <stdio.h>
#include "core/backoff.h"
#include "core/futex.h"
#include "core/robust.h"
static struct shoal_robust word[2];
static shoal_atomic32 held;
static void *end(void *exits) {
  if (shoal_robust_check() || shoal_live_take_(&word[0]) || shoal_robust_acquire_(&word[1], SHOAL_TRY)) return &held;
  shoal_store32_release(&held, 1);
  shoal_futex_wake(&held, 1);
  while (shoal_futex_sleepers(&word[0].word) == 0) shoal_pause();
  if (exits) pthread_exit(NULL);
  return NULL;
}
int main(void) {
  for (int exits = 0; exits < 2; exits++) {
    pthread_t thread;
    pthread_create(&thread, NULL, end, exits ? &held : NULL);
    while (!shoal_load32_acquire(&held)) shoal_futex_wait(&held, 0, SHOAL_FOREVER);
    uint32_t lives = shoal_load32_relaxed(&word[0].word);
    if (shoal_futex_wait(&word[0].word, lives, shoal_after_s(600)) != 0) return 1;
    pthread_join(thread, NULL);
    if (shoal_load32_relaxed(&word[0].word) != (FUTEX_WAITERS | FUTEX_OWNER_DIED)) return 2;
    if (shoal_robust_check() || shoal_robust_acquire_(&word[1], SHOAL_TRY) != -EOWNERDEAD) return 3;
    shoal_robust_release_(&word[1]);
    shoal_store32_relaxed(&word[0].word, 0);
    shoal_store32_relaxed(&held, 0);
  }
  return 0;
}
C
$CC -static -o "$out/ends" "$out/ends.c" "$out/libshoal.a"
"$out/ends"

example() {
    local args ids='' name=$1
    $CC -static -o "$out/$name" examples/"$name"/*.c "$out/libshoal.a"
    args=$(sed -n 's/^ *args = \[\(.*\)\],$/\1/p' "examples/$name/BUILD" | tr -d '",')
    if grep -q 'ids = True' "examples/$name/BUILD"; then ids=--ids; fi
    mkdir "$out/$name.tmp"
    TEST_TMPDIR=$out/$name.tmp "$compare" $ids "examples/$name/$name.expected" "$out/$name" $args
}
failed=0 n=0
for name in $(basename -a examples/*/); do
    if [[ -n ${not[$name]-} ]]; then continue; fi
    n=$((n + 1))
    example "$name" || { echo "FAILED: $name"; failed=$((failed + 1)); }
done
echo "$n examples, $failed failed"
((n > 50 && failed == 0))
