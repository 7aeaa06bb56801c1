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

# How threads end: by return and by pthread_exit; as the last, whose process's first has ended before; while others try to take what
# they hold; in a child of fork; and the copy that fork made of one that holds something.
cat >"$out/ends.c" <<'C'
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/futex.h"
#include "core/identity_internal.h"
#include "core/robust.h"
#define MUST(x) ((x) ? (void)0 : (fprintf(stderr, "ends.c:%d: %s\n", __LINE__, #x), _exit(1)))
static struct shared {
  struct shoal_robust word[2];
  shoal_atomic32 held;
} *s;
static void *hold(void) {
  MUST(shoal_robust_check() == 0 && shoal_live_take_(&s->word[0]) == 0 && shoal_robust_acquire_(&s->word[1], SHOAL_TRY) == 0);
  shoal_store32_release(&s->held, 1);
  shoal_futex_wake(&s->held, 1);
  while (shoal_futex_sleepers(&s->word[0].word) == 0) sched_yield();
  return NULL;
}
// By no look once a second: it sleeps longer than the test may take.
static void sees_the_end(void) {
  while (!shoal_load32_acquire(&s->held)) shoal_futex_wait(&s->held, 0, SHOAL_FOREVER);
  uint32_t lives = shoal_load32_relaxed(&s->word[0].word);
  MUST(shoal_futex_wait(&s->word[0].word, lives, shoal_after_s(600)) == 0);
  MUST(shoal_load32_relaxed(&s->word[0].word) == (FUTEX_WAITERS | FUTEX_OWNER_DIED));
  MUST(shoal_robust_check() == 0);
  MUST(shoal_robust_acquire_(&s->word[1], SHOAL_FOREVER) == -EOWNERDEAD);  // the kernel marks the pending one last
  shoal_robust_release_(&s->word[1]);
  shoal_store32_relaxed(&s->word[0].word, 0);
  shoal_store32_relaxed(&s->held, 0);
}
static void *end(void *exits) {
  hold();
  if (exits) pthread_exit(NULL);
  return NULL;
}
static void a_thread(void *exits) {
  pthread_t thread;
  MUST(pthread_create(&thread, NULL, end, exits) == 0);
  sees_the_end();
  MUST(pthread_join(thread, NULL) == 0);
}
// Each ends with both words while another tries to take them, and takes one of its own beside them.
#define ROUNDS 200u
static shoal_atomic32 began, ended;
static void *pass_on(void *first) {
  struct shoal_robust own = {.state = 0};
  MUST(shoal_robust_check() == 0);
  shoal_add32_seq_cst(&began, 1);
  for (int i = 0; i < 2; i++) MUST(shoal_robust_acquire_(&s->word[i], SHOAL_FOREVER) == (first ? 0 : -EOWNERDEAD));
  MUST(shoal_robust_acquire_(&own, SHOAL_TRY) == 0);
  shoal_robust_release_(&own);
  while (shoal_load32_acquire(&began) - shoal_load32_relaxed(&ended) < 2) sched_yield();
  shoal_add32_seq_cst(&ended, 1);
  return NULL;
}
static void contended(void) {
  pthread_t thread;
  shoal_store32_relaxed(&began, 0);
  shoal_store32_relaxed(&ended, 0);
  for (unsigned i = 0; i < ROUNDS; i++) {
    MUST(pthread_create(&thread, NULL, pass_on, i ? NULL : s) == 0 && pthread_detach(thread) == 0);
    while (i ? shoal_load32_acquire(&ended) < i : shoal_robust_owner(shoal_load32_relaxed(&s->word[1].word)) == 0) sched_yield();
  }
  shoal_add32_seq_cst(&began, 1);
  while (shoal_load32_acquire(&ended) < ROUNDS) sched_yield();
  for (int i = 0; i < 2; i++) MUST(shoal_robust_acquire_(&s->word[i], SHOAL_FOREVER) == -EOWNERDEAD);
  for (int i = 2; i--;) shoal_robust_release_(&s->word[i]);
}
static void await(pid_t child) {
  int status;
  MUST(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}
static void *outlive(void *first) {
  while (!shoal_thread_gone_((uint32_t)getpid(), (uint32_t)getpid(), 0)) sched_yield();
  return _exit(0), first;
}
// What a thread holds as it forks is its own still when its copy ends: as the last, or not; having used the library, or not.
static void *fork_and_end(void *copies) {
  hold();
  uint32_t word = shoal_load32_relaxed(&s->word[0].word), locked = shoal_load32_relaxed(&s->word[1].word);
  for (int how = 0; how < 3; how++) {
    pid_t child = fork();
    if (child == 0) {
      pthread_t other;
      if (how == 1) MUST(shoal_robust_check() == 0);
      if (how == 2) MUST(pthread_create(&other, NULL, outlive, NULL) == 0);
      pthread_exit(NULL);
    }
    await(child);
    MUST(shoal_load32_relaxed(&s->word[0].word) == word && shoal_load32_relaxed(&s->word[1].word) == locked);
  }
  return copies;
}
static void copied(void) {
  pthread_t thread;
  MUST(pthread_create(&thread, NULL, fork_and_end, NULL) == 0);
  sees_the_end();
  MUST(pthread_join(thread, NULL) == 0);
}
// The last thread, whose process's first has ended before it: what it holds is its own until the process is gone.
static uint32_t last;
static void at_exit(void) {
  for (int i = 0; i < 2; i++) MUST(shoal_robust_owner(shoal_load32_relaxed(&s->word[i].word)) == last);
}
static void *outlive_the_first(void *unused) {
  while (!shoal_thread_gone_((uint32_t)getpid(), (uint32_t)getpid(), 0)) sched_yield();
  last = (uint32_t)gettid();
  MUST(atexit(at_exit) == 0);
  return hold(), unused;
}
// musl 1.2.3 hangs if that first one is a child of fork, so another sees it, and says so.
static void the_last(void) {
  pthread_t thread;
  pid_t seer = fork();
  MUST(seer >= 0);
  if (seer == 0) {
    sees_the_end();
    puts("the last one's end was seen");
    exit(0);
  }
  MUST(pthread_create(&thread, NULL, outlive_the_first, NULL) == 0);
  pthread_exit(NULL);
}
static void all(void) {
  a_thread(NULL);
  a_thread(s);
  contended();
  copied();
}
int main(void) {
  s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  MUST(s != MAP_FAILED);
  all();
  pid_t child = fork();
  if (child == 0) return all(), 0;
  await(child);
  the_last();
}
C
$CC -static -o "$out/ends" "$out/ends.c" "$out/libshoal.a"
"$out/ends" | grep -q 'end was seen'

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
